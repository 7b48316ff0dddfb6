"""A penalty on the dependence between latents lessens it, and the more the higher its weight, by an exact measure."""

import itertools

import pytest
import torch

from tests.helpers import config_of
from tests.objectives.finite_mixture import total_correlation
from vae_runner.build import build_model, make
from vae_runner.data.space import Batch, Space
from vae_runner.training.step import Player, TrainingStep

N = 128
# a linear model that hardly pays for its KL takes any two directions for its latents
ANY_DIRECTIONS = ["architecture.depth=0", "kl.weight=0.1"]
CASES = {
    "beta_tcvae": (["kl.weight={}"], [0, 2, 10]),
    "factor_vae": (
        ["objective.weight={}", "objective.discriminator_learning_rate=0.01", "objective.width=64", *ANY_DIRECTIONS],
        [0, 1, 10],
    ),
    "dip_vae_i": (["objective.off_diagonal={0}", "objective.diagonal={0}", *ANY_DIRECTIONS], [0, 0.1, 1]),
    "dip_vae_ii": (["objective.off_diagonal={0}", "objective.diagonal={0}", *ANY_DIRECTIONS], [0, 0.1, 1]),
}


def plane(kind: str, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(N, 2, generator=generator)
    if kind == "beta_tcvae":  # three clusters: dependent in any two directions
        return torch.tensor([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])[torch.arange(N) % 3] + 0.3 * noise
    return noise * torch.tensor([1.5, 0.7])


def trained(kind: str, overrides: list[str]):
    """The posteriors of all examples after training on them: a plane, seen in five dimensions."""
    generator = torch.Generator().manual_seed(0)
    x = plane(kind, generator) @ torch.randn(2, 5, generator=generator) + 0.1 * torch.randn(N, 5, generator=generator)
    config = config_of(
        *(f"variant={kind}", "likelihood=gaussian", "likelihood.scale=0.5", "latent_dim=2", "architecture.width=32"),
        *overrides,
    )
    torch.manual_seed(0)
    model = build_model(config, Space((5,), "real"))
    objective, kl = make(config["objective"], model, N), make(config["kl"], 10, 100)
    players = [
        Player(name, phase, torch.optim.Adam(phase.parameters, **{"lr": 5e-3, **phase.optimizer}))
        for name, phase in objective.phases(model).items()
    ]
    step = TrainingStep(model, objective, kl, players, torch.device("cpu"))
    for i in range(250):
        step(Batch(x, x), i)
    with torch.no_grad():
        return model.infer(Batch(x, x))[0].q


@pytest.mark.parametrize("kind", CASES)
def test_total_correlation_falls_as_its_weight_grows(kind):
    overrides, weights = CASES[kind]
    measured = [total_correlation(trained(kind, [text.format(w) for text in overrides])) for w in weights]
    assert measured[0] > 0.3
    assert all(later < 0.7 * earlier for earlier, later in itertools.pairwise(measured)), measured
