"""Everything that a run trains, put together from its config."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vae_runner.data.data import Data
from vae_runner.kl import KL
from vae_runner.objectives.objective import Objective


@dataclass
class Experiment:
    """config: the resolved config as plain containers. optimizer, scheduler: factories (scheduler may be None)."""

    config: dict[str, Any]
    data: Data
    model: Any
    objective: Objective
    kl: KL
    optimizer: Any
    scheduler: Any
    device: torch.device

    @property
    def seed(self) -> int:
        return self.config["seed"]

    def modules(self) -> list[nn.Module]:
        return [self.model, self.objective, self.kl]
