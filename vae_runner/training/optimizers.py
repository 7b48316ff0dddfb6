"""torch's optimizers, as factories with checked settings. Fused kernels where torch has them: a third of the time.

A factory called with parameters gives the optimizer; a phase of an objective may change settings (`lr=...`).
"""

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from vae_runner.settings import Range
from vae_runner.without_compiler import without_compiler

Rate = Annotated[float, Range(0, 1000, open_low=True)]
Share = Annotated[float, Range(0, 1, open_high=True)]
Decay = Annotated[float, Range(0, 1000)]
Epsilon = Annotated[float, Range(0, 1, open_low=True)]


# each number moves by its own gradients alone, wherever it stands: runs that train as one can share such an optimizer
ELEMENTWISE = {getattr(torch.optim, name) for name in ("Adam", "AdamW", "Adamax", "RAdam", "RMSprop", "SGD")}


class Optimizer:
    """Calls a torch optimizer with these settings."""

    kind: Any  # a class of torch.optim
    fused = False
    counts = True  # whether its steps depend on how many there were

    def __init__(self, **settings: Any):
        self.settings = settings

    @property
    def elementwise(self) -> bool:
        return self.kind in ELEMENTWISE

    def __call__(self, parameters: list[nn.Parameter], **changes: Any) -> torch.optim.Optimizer:
        settings = {**self.settings, **changes}
        settings |= {"fused": True} if self.fused else {}
        # the learning rate and the step count stay on the device, so that a recorded step finds them there
        if parameters and (device := parameters[0].device).type == "cuda":
            settings |= {"lr": torch.tensor(float(settings["lr"]), device=device)}
            settings |= {"capturable": True} if self.counts else {}
        elif parameters and self.fused and device.type == "cpu":
            settings |= {"lr": torch.tensor(float(settings["lr"]), dtype=torch.float64)}
        return without_compiler(self.kind)(parameters, **settings)


def can_be_recorded(optimizer: torch.optim.Optimizer) -> bool:
    """Whether its steps find in tensors all that differs from one to the next."""
    return all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)


def write_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate where it is kept: a number, or a tensor that stays the same one."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def lies_as(parameter: Tensor, tensor: Tensor) -> Tensor:
    """The tensor, in the order in memory of a parameter of its shape."""
    return tensor if tensor.stride() == parameter.stride() else torch.empty_like(parameter).copy_(tensor)


def state_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Its state, with the learning rate as a number, so that it can be loaded on any device. Waits for the device."""
    state = optimizer.state_dict()
    groups = [{**group, "lr": float(group["lr"])} for group in state["param_groups"]]
    return {**state, "param_groups": groups}


def restore_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Brings back a state from whatever device; where things are kept and computed is as it is here."""
    of_device = ("lr", "fused", "foreach", "capturable")
    groups = [
        {**saved, **{key: own[key] for key in of_device if key in own}}
        for own, saved in zip(optimizer.param_groups, state["param_groups"], strict=True)
    ]
    optimizer.load_state_dict({**state, "param_groups": groups})
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            # it may have been laid out for another device; fused kernels go through all of them by place alone
            if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                moments[name] = lies_as(parameter, moment)


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
        super().__init__(lr=lr, betas=tuple(map(float, betas)), eps=eps, weight_decay=weight_decay)


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

    kind, fused, counts = torch.optim.SGD, True, False

    def __init__(self, *, lr: Rate = 1e-3, momentum: Share = 0.9, nesterov: bool = False, weight_decay: Decay = 0):
        super().__init__(lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)
