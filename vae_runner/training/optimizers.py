"""torch's optimizers, as factories with checked settings. Fused kernels where torch has them: a third of the time.

A factory called with parameters gives the optimizer; a phase of an objective may change settings (`lr=...`).
"""

from typing import Annotated, Any

import torch
from torch import nn

from vae_runner.settings import Range

Rate = Annotated[float, Range(0, 1000, open_low=True)]
Share = Annotated[float, Range(0, 1, open_high=True)]
Decay = Annotated[float, Range(0, 1000)]
Epsilon = Annotated[float, Range(0, 1, open_low=True)]


class Optimizer:
    """Calls a torch optimizer with these settings."""

    kind: Any  # a class of torch.optim
    fused = False

    def __init__(self, **settings: Any):
        self.settings = settings

    def __call__(self, parameters: list[nn.Parameter], **changes: Any) -> torch.optim.Optimizer:
        settings = {**self.settings, **changes}
        if self.fused:
            settings["fused"] = True
        elif parameters and parameters[0].device.type == "cuda":
            settings["capturable"] = True  # its step count stays on the device
        return self.kind(parameters, **settings)


class Adam(Optimizer):
    """Kingma & Ba 2015."""

    kind: Any = torch.optim.Adam
    fused = True

    def __init__(
        self,
        *,
        lr: Rate = 1e-3,
        betas: tuple[Share, Share] = (0.9, 0.999),
        eps: Epsilon = 1e-8,
        weight_decay: Decay = 0,
    ):
        super().__init__(lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)


class AdamW(Adam):
    """Loshchilov & Hutter 2019: Adam with decoupled weight decay."""

    kind, fused = torch.optim.AdamW, True


class Adamax(Adam):
    """Kingma & Ba 2015, section 7.1: Adam with the infinity norm."""

    kind, fused = torch.optim.Adamax, False


class RAdam(Adam):
    """Liu et al. 2020: Adam with a rectified variance, a warm-up of its own."""

    kind, fused = torch.optim.RAdam, False


class RMSprop(Optimizer):
    """Tieleman & Hinton 2012."""

    kind = torch.optim.RMSprop

    def __init__(
        self,
        *,
        lr: Rate = 1e-3,
        alpha: Share = 0.99,
        eps: Epsilon = 1e-8,
        momentum: Share = 0.0,
        weight_decay: Decay = 0,
    ):
        super().__init__(lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for."""

    kind, fused = torch.optim.SGD, True

    def __init__(self, *, lr: Rate = 1e-3, momentum: Share = 0.9, nesterov: bool = False, weight_decay: Decay = 0):
        super().__init__(lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
