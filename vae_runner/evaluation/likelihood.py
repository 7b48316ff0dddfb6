"""log p(x), estimated by importance sampling: L_K = log 1/K sum_k p(x, z_k) / q(z_k|x)  (Burda et al. 2016, section 5).

L_K is below log p(x) on average, the less so the larger K is.
"""

import math
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.data import Data
from vae_runner.data.splits import Split
from vae_runner.errors import UserError
from vae_runner.evaluation.evaluate import Preserved

BLOCK = 50  # examples at a time: fixed, so that each draws the same noise however many are asked for
ROWS = 10_000  # examples times draws that are decoded at once


def log_likelihood(
    model: Any, data: Data, split: Split, device: torch.device, *, samples: int, limit: int | None = None, seed: int = 0
) -> Tensor:
    """L_K with K = `samples` of the first `limit` examples of a split, (N,), in nats, in double precision.

    Examples that are binarised as they are read come out the same for every model and K.

    Raises UserError where q(z|x) has no density.
    """
    n = len(split) if limit is None else min(len(split), limit)
    of_data = torch.Generator(device).manual_seed(seed)
    with Preserved(model, device, seed):
        blocks = [data.batch(split, indices, of_data) for indices in torch.arange(n, device=device).split(BLOCK)]
        if not model(blocks[0]).has_density:
            raise UserError(f"samples={samples}: codes without noise have no density, so there is nothing to weigh")
        return torch.cat([importance_weighted(model, batch, samples) for batch in blocks])


def importance_weighted(model: Any, batch: Any, samples: int) -> Tensor:
    """L_K with K = `samples` of each example of a batch, (B,); the draws are made and weighed in parts."""
    total = torch.full((len(batch),), -math.inf, dtype=torch.float64, device=batch.x.device)
    left, part = samples, max(ROWS // len(batch), 1)
    while left:
        drawn = min(part, left)
        log_w = model(batch, drawn).log_w.double()
        total = torch.logaddexp(total, log_w.logsumexp(0))
        left -= drawn
    return total - math.log(samples)
