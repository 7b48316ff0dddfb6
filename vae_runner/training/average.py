"""An exponential moving average of the weights, which evaluation and `best.pt` use where it is on."""

import math
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """The mean of the weights after each of n steps, those of t steps ago counting decay^t (Polyak & Juditsky 1992).

    The sums begin at zero, and are divided by what their weights come to, 1 - decay^n: the weights that a run begins
    with have no part in it, however short the run is (as in Adam, Kingma & Ba 2015, section 3).
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.parameters = [parameter.detach() for parameter in model.parameters()]
        self.sums: list[Tensor] = [torch.zeros_like(parameter) for parameter in self.parameters]
        # on the device, where a step may be replayed without a word to Python
        self.steps = torch.zeros((), dtype=torch.int64, device=self.parameters[0].device)

    def follow(self, model: nn.Module) -> None:
        """Goes on with the weights of a model where they are now."""
        self.parameters = [parameter.detach() for parameter in model.parameters()]
        pairs = zip(self.parameters, self.sums, strict=True)
        self.sums = [torch.empty_like(parameter).copy_(total) for parameter, total in pairs]

    def update(self) -> None:
        torch._foreach_lerp_(self.sums, self.parameters, 1 - self.decay)
        self.steps += 1

    def __enter__(self) -> None:
        """The model has the averages, or what it has where there was no step yet."""
        self._kept = [parameter.clone() for parameter in self.parameters]
        if steps := int(self.steps):
            share = -math.expm1(steps * math.log(self.decay))
            for parameter, total in zip(self.parameters, self.sums, strict=True):
                parameter.copy_(total / share)

    def __exit__(self, *error: Any) -> None:
        for parameter, kept in zip(self.parameters, self._kept, strict=True):
            parameter.copy_(kept)
        del self._kept

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps.copy_(state["steps"])
        for total, saved in zip(self.sums, state["sums"], strict=True):
            total.copy_(saved)
