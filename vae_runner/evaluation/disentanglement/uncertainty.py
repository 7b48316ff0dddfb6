"""The standard errors of the scores, over examples: by random groups of them, in each of which all is fitted anew.

See `vae_runner.evaluation.standard_errors`. What is cheap is taken in halves, which are most like the whole, and what
is fitted in smaller groups, each of which costs less. A group has its share of the mini-batches, so that their noise is
that of the whole, and a forest of it 10 trees: 50 change what mean importances vary by but little.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement import NAMES, scores
from vae_runner.evaluation.standard_errors import PARTITIONS, Figures, Rows, of_groups, partitions

# into how many groups, and how many times
CUT = {
    **dict.fromkeys(("mig", "modularity", "factor_vae"), (2, PARTITIONS)),
    **dict.fromkeys(("beta_vae", "sap"), (4, 4)),
    "explicitness": (4, 2),
    "dci": (8, 1),
}
FEW_TREES = 10


def standard_errors(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    names: Collection[str] = NAMES,
    batches: int = 5000,
    seed: int = 0,
    **settings: Any,
) -> dict[str, float | None]:
    """Those of the `scores` of codes (N, D) and factors (N, F) under their names, with the settings that they have.

    A score which is not defined is left out, and so is one for which the groups are too small.
    """
    z, v = np.asarray(codes), np.asarray(factors)
    found: dict[str, float | None] = {}
    for name in names:
        groups, times = CUT[name]
        share: dict[str, Any] = {"names": [name], "batches": max(batches // groups, v.shape[1]), "trees": FEW_TREES}

        def of(rows: Rows, share: dict[str, Any] = share) -> Figures:
            return scores(z[rows], v[rows], seed=seed, **share, **settings)

        try:
            found |= of_groups(of, partitions(len(z), groups=groups, times=times, seed=seed))
        except UserError:
            continue
    return found
