"""Affine couplings (Dinh et al. 2017, RealNVP, section 3.2): half of the dimensions scale and shift the other half.

    y_1 = x_1,   y_2 = x_2 exp(s) + t,   (s, t) = network(x_1, context),   log |det dy/dx| = sum s
"""

import torch
from torch import Tensor, nn

from vae_runner.distributions.numerics import at_least_float32

LARGEST_LOG_SCALE = 2.0  # of one coupling; a larger one, at a point far from all data, would be as good as infinite


class Coupling(nn.Module):
    """Reorders x (..., size) by `order` (size,), keeps the first half, and moves the rest. At first it moves nothing."""

    order: Tensor

    def __init__(self, order: Tensor, context: int, width: int) -> None:
        super().__init__()
        self.register_buffer("order", order)
        self.kept = len(order) // 2
        last = nn.Linear(width, 2 * (len(order) - self.kept))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(
            nn.Linear(self.kept + context, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """y (..., size) and the log-determinant (...), of x (..., size) and context (..., C)."""
        kept, moved = self._halves(x[..., self.order])
        log_scale, shift = self._transform(kept, context)
        return torch.cat([kept, moved * log_scale.exp() + shift], -1), log_scale.sum(-1)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """The x (..., size) that y (..., size) came from."""
        kept, moved = self._halves(y)
        log_scale, shift = self._transform(kept, context)
        return torch.cat([kept, (moved - shift) * (-log_scale).exp()], -1)[..., self.order.argsort()]

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[..., : self.kept], x[..., self.kept :]

    def _transform(self, kept: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        known = kept if context is None else torch.cat([kept, context], -1)
        log_scale, shift = at_least_float32(self.network(known)).chunk(2, -1)
        return LARGEST_LOG_SCALE * (log_scale / LARGEST_LOG_SCALE).tanh(), shift
