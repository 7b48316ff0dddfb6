"""A small model, its objective and a batch, put together from a command line, for tests that look at losses."""

from dataclasses import dataclass
from typing import Any

import torch

from vae_runner.build import build_model, make
from vae_runner.config import compose, resolved
from vae_runner.data.space import Batch, Space

IMAGES = Space((1, 8, 8), "unit", classes=3)


@dataclass
class Playing:
    """In double precision, so that gradients can be held against independent ones."""

    model: Any
    objective: Any
    kl: Any
    batch: Batch

    def losses(self):
        """The losses on the same noise each time."""
        torch.manual_seed(1)
        return self.objective.losses(self.model, self.batch, self.kl)

    def gradients(self, phase):
        """What the loop computes for a phase: the gradient of its loss for its parameters."""
        losses, _ = self.losses()
        parameters = self.objective.phases(self.model)[phase].parameters
        return torch.autograd.grad(sum(losses[phase].values()), parameters, allow_unused=True)


def playing(*overrides, space=IMAGES, examples=6, dtype=torch.double):
    config = resolved(compose(["architecture.width=16", "latent_dim=3", *overrides]))
    torch.manual_seed(0)
    model = build_model(config, space).to(dtype)
    objective = make(config["objective"], model, 100).to(dtype)
    x = torch.rand(examples, *space.shape, dtype=dtype)
    batch = Batch(x, x, y=torch.arange(examples) % 3)
    if model.condition is not None:
        batch = model.condition.complete(batch)
    return Playing(model, objective, make(config["kl"], 10, 100), batch)


def assert_equal_gradients(given, expected):
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(
            torch.zeros(()) if one is None else one, torch.zeros(()) if other is None else other, check_dtype=False
        )
