import pytest
import torch

from tests.helpers import config_of
from vae_runner.build import build_model, make
from vae_runner.data.space import Batch, Space


def terms_of(*overrides):
    config = config_of("architecture.width=16", "latent_dim=3", *overrides)
    torch.manual_seed(0)
    model = build_model(config, Space((1, 8, 8), "unit"))
    x = torch.rand(6, 1, 8, 8)
    losses, evidence = make(config["objective"], model, 6).losses(model, Batch(x, x), make(config["kl"], 10, 100))
    return losses["model"], evidence


def test_the_terms_are_reconstruction_and_weighted_kl():
    terms, evidence = terms_of("variant=beta_vae", "kl.weight=4")
    assert terms.keys() == {"reconstruction", "kl"}
    assert terms["kl"].item() == pytest.approx(4 * evidence.kl.mean().item(), rel=1e-6)
    assert terms["reconstruction"].item() == pytest.approx(-evidence.log_px.mean().item())


def test_a_deterministic_code_leaves_the_reconstruction_alone():
    terms, _ = terms_of("variant=ae")
    assert terms.keys() == {"reconstruction"}


def test_the_gradient_is_that_of_the_expected_bound():
    """By finite differences of the loss on the same noise."""
    config = config_of("architecture.width=8", "latent_dim=2")
    torch.manual_seed(0)
    model = build_model(config, Space((4,), "unit")).double()
    x = torch.rand(5, 4, dtype=torch.double)
    objective, kl = make(config["objective"], model, 5), make(config["kl"], 10, 100)

    def loss():
        torch.manual_seed(1)
        losses, _ = objective.losses(model, Batch(x, x), kl)
        return sum(losses["model"].values())

    weight = model.posterior_heads[0].weight
    (gradient,) = torch.autograd.grad(loss(), weight)
    step = 1e-6
    with torch.no_grad():
        for i, j in [(0, 0), (1, 3), (3, 5)]:
            weight[i, j] += step
            above = loss()
            weight[i, j] -= 2 * step
            below = loss()
            weight[i, j] += step
            assert float((above - below) / (2 * step)) == pytest.approx(float(gradient[i, j]), rel=1e-5, abs=1e-8)
