"""Batch normalisation by the moments of the whole batch, also where each process has a part of it.

torch's own of that kind, SyncBatchNorm, is for GPUs alone, and for parts of one size.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vae_runner import parts


class _OfWholeBatch(_BatchNorm):
    def forward(self, h: Tensor) -> Tensor:
        part = parts.current()
        if part is None or not self.training:
            return super().forward(h)
        axes, shape = [0, *range(2, h.ndim)], (-1, *[1] * (h.ndim - 2))
        mean = parts.average(h.float().mean(axes))
        centred = h.float() - mean.view(shape)
        variance = parts.average(centred.square().mean(axes))
        self._remember(mean.detach(), variance.detach(), h.numel() / h.shape[1] / part.share)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(h.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        self.num_batches_tracked.add_(1)


class BatchNorm1d(_OfWholeBatch, nn.BatchNorm1d):
    """nn.BatchNorm1d of the whole batch."""


class BatchNorm2d(_OfWholeBatch, nn.BatchNorm2d):
    """nn.BatchNorm2d of the whole batch."""
