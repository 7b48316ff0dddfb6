"""What lies between two examples."""

import pytest
import torch

from tests.helpers import QUICK, config_of
from vae_runner.build import build_experiment
from vae_runner.evaluation.evaluate import Preserved
from vae_runner.evaluation.interpolations import interpolate


def between(*overrides: str, steps: int = 5):
    """Eight examples, the model, and what is decoded between each two of them."""
    experiment = build_experiment(config_of(*QUICK, *overrides))
    with Preserved(experiment.model, experiment.device, 0):
        batch = experiment.data.batch(experiment.data.test, torch.arange(8))
        return batch, experiment.model, interpolate(experiment.model, batch, steps)


@pytest.mark.parametrize("variant", ["vae", "hvae", "svae", "ae", "cvae", "ss_vae"])
def test_the_way_begins_and_ends_at_the_reconstructions(variant):
    batch, model, x = between(f"variant={variant}")
    assert x.shape == (4, 5, 1, 8, 8)
    with torch.no_grad():
        codes, context = model.encode(batch), model.context(batch)
        if context is not None:
            context = context[0::2].repeat_interleave(2, 0)  # the condition of the first
        ends = model.decode(codes, context, temperature=0.0).mean.unflatten(0, (4, 2))
    torch.testing.assert_close(x[:, 0], ends[:, 0])
    torch.testing.assert_close(x[:, -1], ends[:, 1])


def test_half_the_way_is_the_mean_of_the_codes():
    batch, model, x = between("variant=vae")
    with torch.no_grad():
        (code,) = model.encode(batch)
        torch.testing.assert_close(x[:, 2], model.decode([(code[0::2] + code[1::2]) / 2]).mean)


def test_on_a_sphere_half_the_way_is_on_it_too():
    batch, model, x = between("variant=svae")
    with torch.no_grad():
        (code,) = model.encode(batch)
        middle = code[0::2] + code[1::2]
        torch.testing.assert_close(x[:, 2], model.decode([middle / middle.norm(dim=1, keepdim=True)]).mean)


@pytest.mark.parametrize("variant", ["vq_vae", "categorical_vae", "joint_vae"])
def test_nothing_lies_between_codes_that_are_picks_of_a_few(variant):
    assert between(f"variant={variant}", "latent_dim=20")[2] is None


def test_what_a_condition_shows_is_shown():
    visible = ["condition=image", "condition.transform=quadrants", "condition.visible=2", "prior=conditional"]
    batch, _, x = between(*visible)
    shown = batch.mask[0::2] == 0  # what is given away does not count
    assert shown.any()
    expected = batch.x[0::2]
    assert torch.equal(x[:, 3][shown], expected[shown])
