"""An exponential moving average of the weights, which evaluation and `best.pt` use where it is on."""

from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """average <- decay * average + (1 - decay) * weights, after every step (Polyak & Juditsky 1992)."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.parameters = [parameter.detach() for parameter in model.parameters()]
        self.averages: list[Tensor] = [parameter.clone() for parameter in self.parameters]

    def follow(self, model: nn.Module) -> None:
        """Goes on with the weights of a model where they are now."""
        self.parameters = [parameter.detach() for parameter in model.parameters()]
        pairs = zip(self.parameters, self.averages, strict=True)
        self.averages = [torch.empty_like(parameter).copy_(average) for parameter, average in pairs]

    def update(self) -> None:
        torch._foreach_lerp_(self.averages, self.parameters, 1 - self.decay)

    def swap(self) -> None:
        """Exchanges the model's weights with their averages; a second call exchanges them back."""
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            kept = parameter.clone()
            parameter.copy_(average)
            average.copy_(kept)

    def __enter__(self) -> None:
        self.swap()

    def __exit__(self, *error: Any) -> None:
        self.swap()

    def state_dict(self) -> dict[str, Any]:
        return {"averages": self.averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for average, saved in zip(self.averages, state["averages"], strict=True):
            average.copy_(saved)
