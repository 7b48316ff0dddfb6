"""The FactorVAE score: which factor is fixed, by majority vote of the unit that varies least (Kim & Mnih 2018, 4).

In a mini-batch with factor k fixed, every unit's variance is divided by its variance over all examples. The unit with
the least votes for k. The classifier gives each unit the factor that most of its votes are for; the score is its
accuracy on the votes of examples held out. Chance is 1/F. A perfect code reaches 1, and so does a code of more units
than factors where several tell of one factor.

Units that do not vary are left out, or they would win every vote. The paper leaves out those that have collapsed to the
prior; of codes alone, those of variance up to `active` (Burda et al. 2016, section 5.2, if codes are posterior means).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vae_runner.evaluation.disentanglement.examples import Examples, examples_of, generator_of, require, split
from vae_runner.evaluation.disentanglement.shared_values import AT_A_TIME, SharedValues, turns
from vae_runner.evaluation.latents import ACTIVE
from vae_runner.settings import Range


def factor_vae_score(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    batch: int = 64,
    batches: int = 5000,
    active: float = ACTIVE,
    held_out: float = 0.25,
    seed: int = 0,
) -> float:
    """The accuracy from codes (N, D) of the factor fixed among factors (N, F); nan of one factor.

    batch: examples of a mini-batch. batches: mini-batches to vote, and as many again, from the share `held_out` of the
    examples, to score on. With no unit active there is nothing to go by, and the score is that of a constant answer.
    """
    require("batch", batch, Range(2))
    require("active", active, Range(0))
    examples = examples_of(codes, factors)
    require("batches", batches, Range(examples.factors.shape[1]))
    if examples.factors.shape[1] == 1:
        return float("nan")
    generator = generator_of(seed)
    fitted, scored = split(examples, held_out, generator)
    variance = (fitted.codes - fitted.codes[0]).var(0, ddof=1)  # less one example, or of 0.1, 0.1, ... it is not 0
    units = np.flatnonzero(variance > active)
    scale = np.sqrt(variance[units])
    cast, other = (votes(part, units, scale, batch, batches, generator) for part in (fitted, scored))
    answers = cast.argmax(0)
    return float(other[answers, np.arange(len(answers))].sum() / other.sum())


def votes(
    examples: Examples,
    units: NDArray[np.int64],
    scale: NDArray[np.float64],
    batch: int,
    batches: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """How often (F, D) each unit varied least where each factor was fixed."""
    normalised = examples.codes[:, units] / scale if len(units) else np.zeros((len(examples.codes), 1))
    counts = []
    for values, column, share in zip(
        examples.factors.T, examples.columns, turns(batches, len(examples.columns)), strict=True
    ):
        rows = SharedValues(values, int(column)).batches(generator, share, batch)
        parts = (rows[start : start + AT_A_TIME] for start in range(0, share, AT_A_TIME))
        least = [normalised[part].var(1, ddof=1).argmin(1) for part in parts]
        counts.append(np.bincount(np.concatenate(least), minlength=normalised.shape[1]))
    return np.stack(counts)
