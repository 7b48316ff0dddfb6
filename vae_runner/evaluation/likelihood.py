"""log p(x), estimated by importance sampling: L_K = log 1/K sum_k p(x, z_k) / q(z_k|x)  (Burda et al. 2016, section 5).

L_K is below log p(x) on average, the less so the larger K is. Of the same draws come those of fewer: a bound of k draws
is the mean over as many groups of k of them as there are, which share none.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.data import Data
from vae_runner.data.space import Batch
from vae_runner.data.splits import Split
from vae_runner.data.streamed import StreamedSplit
from vae_runner.errors import UserError
from vae_runner.evaluation.blocks import blocks, takes_any_length
from vae_runner.evaluation.evaluate import Preserved
from vae_runner.reporting.progress import watched

BLOCK = 50  # examples at a time: fixed, so that those of one length draw the same noise however many are asked for
ROWS = 10_000  # examples times draws that are decoded at once, or fewer, so that they have at most
VALUES = 2**23  # values on a CPU, of each of which networks make tens of numbers: gigabytes, where more is no faster


def bounds(
    model: Any, data: Data, split: Split, device: torch.device, *, samples: int, limit: int | None = None, seed: int = 0
) -> dict[int, Tensor]:
    """L_K of a split, or of `limit` of its examples, (N,) in nats, in double precision, for K = 1, 2, 5, ... `samples`.

    Examples that are binarised as they are read come out the same for every model and K.

    Raises UserError where q(z|x) has no density.
    """
    of_data = torch.Generator(device).manual_seed(seed)
    with Preserved(model, device, seed):
        parts = blocks(split, device, limit, size=BLOCK, by_length=takes_any_length(model))
        batches: Iterator[Batch] = data.batches(
            split, [part.indices for part in parts], of_data, [part.steps for part in parts]
        )
        if not isinstance(split, StreamedSplit):
            batches = iter([*batches])  # so that what a corruption draws does not depend on K either
        found: list[dict[int, Tensor]] = []
        for batch in watched(batches, len(parts)):
            if not found and not model(batch).has_density:
                raise UserError(f"samples={samples}: codes without noise have no density, so there is nothing to weigh")
            log_w = log_weights(model, batch, samples)
            found.append({draws: bound(log_w, draws) for draws in numbers_of_draws(samples)})
        order = torch.cat([part.places for part in parts]).argsort().to(device)
        return {draws: torch.cat([of_block[draws] for of_block in found])[order] for draws in found[0]}


def importance_weighted(model: Any, batch: Any, samples: int) -> Tensor:
    """L_K with K = `samples` of each example of a batch, (B,)."""
    return bound(log_weights(model, batch, samples), samples)


def log_weights(model: Any, batch: Any, samples: int) -> Tensor:
    """log p(x, z) - log q(z|x) of `samples` draws of z for each example, (samples, B); they are made in parts."""
    part = draws_at_once(batch)
    parts = [min(part, samples - start) for start in range(0, samples, part)]
    return torch.cat([model(batch, drawn).log_w.double() for drawn in parts])


def draws_at_once(batch: Any) -> int:
    """How many draws of each example of a batch are decoded at once."""
    rows = min(ROWS, VALUES // batch.x[0].numel()) if batch.x.device.type == "cpu" else ROWS
    return max(rows // len(batch), 1)


def bound(log_w: Tensor, draws: int) -> Tensor:
    """L_K with K = `draws`, (B,), from log weights (S, B), S >= K: the mean over groups of draws that share none."""
    groups = len(log_w) // draws
    grouped = log_w[: groups * draws].unflatten(0, (groups, draws))
    return (grouped.logsumexp(1) - math.log(draws)).mean(0)


def numbers_of_draws(most: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... below `most`, and `most`."""
    decades = (10**power for power in range(len(str(most))))
    return [*(digit * decade for decade in decades for digit in (1, 2, 5) if digit * decade < most), most]
