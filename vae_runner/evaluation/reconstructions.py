"""Examples beside what the model makes of their codes."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.space import Batch


@dataclass
class Reconstruction:
    """x (N, *shape): means of p(x|z) at the codes, the means of q(z|x).

    squared_error: from the target, mean over the values of an example that count, (N,); the share of wrong ones, where
    values are categories. log_px: log p(x|z) there, nats, (N,).
    """

    x: Tensor
    squared_error: Tensor
    log_px: Tensor


@torch.no_grad()
def reconstruct(model: Any, batch: Batch) -> Reconstruction:
    codes, context = model.encode(batch), model.context(batch)
    mean = model.decode(codes, context, temperature=0.0).mean
    error = (mean - batch.x).square() if batch.x.is_floating_point() else (mean != batch.x).float()
    counts = torch.ones_like(error) if batch.mask is None else batch.mask.expand_as(error)
    told = model.decode(codes, context, x=batch.x)
    return Reconstruction(
        mean, (error * counts).flatten(1).sum(1) / counts.flatten(1).sum(1), told.log_prob(batch.x, batch.mask)
    )
