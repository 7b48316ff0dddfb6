"""How far the units of a code are the factors its data were made from: seven scores of a fixed set of examples.

Every score is a pure function of codes (N, D), real, and factors (N, F), whole numbers, of the same N examples, and has
a file of its own that states its formula, its paper and its conventions. Common to all:

- Codes are posterior means or samples, as the caller gives them. Papers and disentanglement_lib score the means.
- Factors with a single value in the set are left out. Real-valued factors are refused: cut them into classes first.
- No generator of examples is needed: where a paper fixes a factor, examples that share its value are drawn.
- Whatever is fitted is fitted on some of the examples and scored on a share `held_out` of them. The share is the same
  examples in every score of one `seed`, on which alone all that is random depends.
"""

import math
from collections.abc import Collection
from typing import Any

from numpy.typing import ArrayLike

from vae_runner.evaluation.disentanglement.beta_vae import beta_vae_score
from vae_runner.evaluation.disentanglement.dci import TREES, Importances, dci_scores
from vae_runner.evaluation.disentanglement.examples import require_one_of
from vae_runner.evaluation.disentanglement.explicitness import explicitness_score
from vae_runner.evaluation.disentanglement.factor_vae import factor_vae_score
from vae_runner.evaluation.disentanglement.mutual_information import mig_score, modularity_score
from vae_runner.evaluation.disentanglement.sap import sap_score
from vae_runner.evaluation.latents import ACTIVE

__all__ = ["NAMES", "scores"]

NAMES = ("mig", "modularity", "factor_vae", "beta_vae", "sap", "dci", "explicitness")


def scores(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    names: Collection[str] = NAMES,
    bins: int = 20,
    seed: int = 0,
    held_out: float = 0.25,
    batch: int = 64,
    batches: int = 5000,
    active: float = ACTIVE,
    categorical: Collection[int] = (),
    importances: Importances = "forest",
    trees: int = TREES,
) -> dict[str, float]:
    """The scores of codes (N, D) and factors (N, F) under their names; those of dci are three.

    names: the scores wanted, of NAMES; the others cost nothing. bins: of mig and modularity. batch, batches: of
    factor_vae and beta_vae. active: of factor_vae. categorical: of sap. importances, trees: of dci. A score that
    is not defined is left out: those which tell factors apart with one factor, completeness with one unit.
    """
    for name in names:
        require_one_of("names", name, NAMES)
    part: dict[str, Any] = {"held_out": held_out, "seed": seed}
    draws: dict[str, Any] = {"batch": batch, "batches": batches, **part}
    found: dict[str, float] = {}
    if "mig" in names:
        found["mig"] = mig_score(codes, factors, bins=bins)
    if "modularity" in names:
        found["modularity"] = modularity_score(codes, factors, bins=bins)
    if "factor_vae" in names:
        found["factor_vae"] = factor_vae_score(codes, factors, active=active, **draws)
    if "beta_vae" in names:
        found["beta_vae"] = beta_vae_score(codes, factors, **draws)
    if "sap" in names:
        found["sap"] = sap_score(codes, factors, categorical=categorical, **part)
    if "dci" in names:
        of_dci = dci_scores(codes, factors, importances=importances, trees=trees, **part)
        found |= {f"dci_{name}": value for name, value in of_dci._asdict().items()}
    if "explicitness" in names:
        found["explicitness"] = explicitness_score(codes, factors, **part)
    return {name: value for name, value in found.items() if not math.isnan(value)}
