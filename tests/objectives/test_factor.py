import math

import pytest
import torch

from tests.objectives.linear_gaussian import LinearGaussian, examples, full_weight
from vae_runner.objectives.elbo import ELBO
from vae_runner.objectives.factor import Factor, permuted


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LinearGaussian()


def losses_of(objective, model, batch):
    torch.manual_seed(1)
    return objective.losses(model, batch, full_weight())


def test_permuting_keeps_every_dimension_and_breaks_what_holds_them_together():
    torch.manual_seed(0)
    z = torch.randn(5000, 1).expand(-1, 3) + 0.1 * torch.randn(5000, 3)
    broken = permuted(z)
    torch.testing.assert_close(broken.sort(0).values, z.sort(0).values)
    assert z.T.corrcoef()[0, 1:].min() > 0.9
    assert broken.T.corrcoef()[0, 1:].abs().max() < 0.06


def test_the_best_discriminator_gives_the_total_correlation_in_nats(model):
    """Of two Gaussian latents of correlation r it is -log(1 - r^2) / 2."""
    torch.manual_seed(0)
    objective = Factor(model, 1000, width=32, depth=2)
    optimizer = torch.optim.Adam(objective.discriminator.parameters(), lr=5e-3)
    mix = torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    estimates = []
    for _ in range(400):
        z = torch.randn(1000, 2) @ mix
        real, fake = objective.discriminator(z), objective.discriminator(permuted(z))
        loss = (torch.nn.functional.softplus(-real) + torch.nn.functional.softplus(fake)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        estimates.append(real.mean().item())
    assert sum(estimates[200:]) / 200 == pytest.approx(-math.log(1 - 0.8**2) / 2, rel=0.1)


def test_the_loss_is_the_elbo_and_the_weighted_total_correlation(model):
    batch, objective = examples(6), Factor(model, 6, weight=3.0).double()
    losses, evidence = losses_of(objective, model, batch)
    plain, _ = losses_of(ELBO(model, 6), model, batch)
    total_correlation = losses["model"].pop("total_correlation")
    assert losses["model"] == plain["model"]
    torch.testing.assert_close(total_correlation, 3 * objective.discriminator(evidence.levels[0].z[0]).mean())
    assert 0 <= evidence.figures["discriminator_accuracy"] <= 1


def test_the_discriminator_is_a_player_with_a_learning_rate_of_its_own(model):
    objective = Factor(model, 6, discriminator_learning_rate=0.02).double()
    phases = objective.phases(model)
    assert [*phases] == ["model", "discriminator"]
    assert phases["discriminator"].optimizer == {"lr": 0.02}
    assert {id(p) for p in phases["discriminator"].parameters} == {id(p) for p in objective.parameters()}
    assert not {id(p) for p in objective.parameters()} & {id(p) for p in phases["model"].parameters}


def test_one_step_of_each_player_works_against_the_other(model):
    """The discriminator gets better at its task by its own step; by the model's step the codes look less dependent."""
    batch, objective = examples(200), Factor(model, 200, weight=100.0).double()
    losses, _ = losses_of(objective, model, batch)
    for name, phase in objective.phases(model).items():
        before = losses[name]["total_correlation" if name == "model" else "classification"].item()
        gradients = torch.autograd.grad(sum(losses[name].values()), phase.parameters, retain_graph=True)
        with torch.no_grad():
            for parameter, gradient in zip(phase.parameters, gradients, strict=True):
                parameter -= 1e-3 * gradient
            after = losses_of(objective, model, batch)[0][name][
                "total_correlation" if name == "model" else "classification"
            ]
            for parameter, gradient in zip(phase.parameters, gradients, strict=True):
                parameter += 1e-3 * gradient
        assert after < before
