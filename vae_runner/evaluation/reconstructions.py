"""Examples beside what the model makes of their codes."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.space import Batch


@dataclass
class Reconstruction:
    """x (N, *shape): means of p(x|z) at the codes, the means of q(z|x).

    squared_error: from the target, mean over the values of an example, (N,). log_px: log p(x|z) there, nats, (N,).
    """

    x: Tensor
    squared_error: Tensor
    log_px: Tensor


@torch.no_grad()
def reconstruct(model: Any, batch: Batch) -> Reconstruction:
    px = model.decode(model.encode(batch), model.context(batch))
    error = (px.mean - batch.x).square().flatten(1).mean(1)
    return Reconstruction(px.mean, error, px.log_prob(batch.x, batch.mask))
