"""What a training step relies on, whatever the latents are: nothing waits for the device, every gradient is finite."""

import pytest
import torch

from tests.helpers import config_of
from tests.waiting import NoWaiting
from vae_runner.build import build_model, make
from vae_runner.data.space import Batch, Space

VARIANTS = ["iwae", "miwae", "ciwae", "piwae", "beta_tcvae", "factor_vae", "dip_vae_i", "dip_vae_ii"]
DOUBLY = ["objective.gradient=doubly_reparameterised"]
CASES = [*((variant, []) for variant in VARIANTS), ("iwae", DOUBLY), ("miwae", DOUBLY)]
LATENTS = {
    "flat": ["architecture.width=8"],
    "maps": ["architecture=conv", "architecture.spatial=true", "architecture.width=4"],
    "a ladder": ["model=ladder", "architecture.width=8"],
}


@pytest.mark.parametrize("latents", LATENTS)
@pytest.mark.parametrize(("variant", "overrides"), CASES)
def test_a_step_never_waits_and_moves_every_parameter(variant, overrides, latents):
    if variant == "beta_tcvae" and latents == "a ladder":
        pytest.skip("refused")
    config = config_of(f"variant={variant}", *overrides, *LATENTS[latents], "latent_dim=2")
    torch.manual_seed(0)
    model = build_model(config, Space((1, 8, 8), "unit"))
    objective, kl = make(config["objective"], model, 100), make(config["kl"], 10, 100)
    x = torch.rand(5, 1, 8, 8)
    with NoWaiting():
        losses, _ = objective.losses(model, Batch(x, x), kl)
        moved = set()
        for name, phase in objective.phases(model).items():
            gradients = torch.autograd.grad(sum(losses[name].values()), phase.parameters, retain_graph=True)
            moved |= {id(parameter) for parameter in phase.parameters}
            finite = torch.stack([gradient.isfinite().all() for gradient in gradients]).all()
    assert finite
    assert moved == {id(parameter) for module in (model, objective) for parameter in module.parameters()}
