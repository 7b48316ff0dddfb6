from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.objectives.linear_gaussian import LinearGaussian, examples, full_weight
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.objectives.dip import DIP
from vae_runner.objectives.elbo import ELBO


def penalties(q, **settings):
    evidence = SimpleNamespace(top=SimpleNamespace(q=q), mean_log_px=torch.zeros(()), has_density=False)
    terms = DIP(None, len(q.mean), **settings).terms(evidence, full_weight())
    return terms["off_diagonal"].item(), terms["diagonal"].item()


def test_the_first_kind_acts_on_the_covariance_of_the_codes():
    torch.manual_seed(0)
    q = DiagonalGaussian(torch.randn(50, 3, dtype=torch.double) @ torch.randn(3, 3).double(), torch.zeros(50, 3))
    covariance = np.cov(q.mean.numpy(), rowvar=False, bias=True)
    off_diagonal, diagonal = penalties(q, kind="i", off_diagonal=2.0, diagonal=5.0)
    assert off_diagonal == pytest.approx(2 * sum(covariance[i, j] ** 2 for i in range(3) for j in range(3) if i != j))
    assert diagonal == pytest.approx(5 * sum((covariance[i, i] - 1) ** 2 for i in range(3)))


def test_the_second_kind_acts_on_the_covariance_of_the_latents():
    """Measured on many draws from the aggregate posterior."""
    torch.manual_seed(0)
    mean, log_variance = torch.randn(50, 2) @ torch.tensor([[1.0, 0.7], [0.0, 0.5]]), torch.rand(50, 2) - 1
    q = DiagonalGaussian(mean, log_variance)
    covariance = np.cov(q.sample(20_000).flatten(0, 1).numpy(), rowvar=False)
    off_diagonal, diagonal = penalties(q, kind="ii", off_diagonal=1.0, diagonal=1.0)
    assert off_diagonal == pytest.approx(2 * covariance[0, 1] ** 2, rel=0.01)
    assert diagonal == pytest.approx(((covariance.diagonal() - 1) ** 2).sum(), rel=0.01)


@pytest.mark.parametrize("kind", ["i", "ii"])
def test_one_latent_and_one_example_are_taken_as_they_come(kind):
    assert penalties(DiagonalGaussian(torch.zeros(1, 1), torch.zeros(1, 1)), kind=kind)[0] == 0


def test_the_penalties_are_added_to_the_elbo():
    model, batch = LinearGaussian(), examples(6)
    losses = []
    for objective in (ELBO(model, 6), DIP(model, 6)):
        torch.manual_seed(1)
        losses.append(objective.losses(model, batch, full_weight())[0]["model"])
    plain, penalised = losses
    assert penalised.keys() == {*plain, "off_diagonal", "diagonal"}
    assert all(penalised[name] == plain[name] for name in plain)
