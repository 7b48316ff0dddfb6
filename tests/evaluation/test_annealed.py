"""Annealed importance sampling where log p(x) is known, and beside importance sampling where it is not."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers import QUICK, config_of, fit
from tests.objectives.linear_gaussian import LinearGaussian, examples, likelihood
from vae_runner.build import Run, build_experiment
from vae_runner.evaluation import blocks
from vae_runner.evaluation.annealed import annealed
from vae_runner.evaluation.evaluate import Preserved
from vae_runner.evaluation.groups import GROUPS, Settings, Subject
from vae_runner.evaluation.likelihood import importance_weighted


class Decodable(LinearGaussian):
    """With what annealing asks of a model: a prior to start from, and densities of z that it draws itself."""

    autoregressive = False

    def context(self, batch):
        return None

    def sample_latents(self, n, context=None):
        return [torch.randn(n, 2, dtype=torch.double)]

    def decode(self, latents, context=None, x=None):
        return likelihood(self.decoder(latents[0]), self.scale)

    def log_prior(self, latents, context=None) -> Tensor:
        return torch.distributions.Normal(0, 1).log_prob(latents[0]).sum(1)


def test_it_comes_to_the_exact_likelihood_of_a_linear_gaussian_model_and_the_closer_the_longer():
    torch.manual_seed(0)
    model, batch = Decodable(), examples(100)
    exact = model.log_likelihood(batch.x)
    short, long = (annealed(model, batch, temperatures=t, chains=10) for t in (2, 100))
    error = long.log_likelihood - exact
    assert abs(error.mean()) < 3 * error.std() / 10 + 1e-3
    assert error.abs().mean() < 0.1
    assert (short.log_likelihood - exact).abs().mean() > 2 * error.abs().mean()
    assert 0.4 < long.acceptance < 1


class InOtherUnits(Decodable):
    """The same model with latents a hundred times apart, as levels of a ladder may be."""

    units = torch.tensor([0.05, 5], dtype=torch.double)

    def sample_latents(self, n, context=None):
        return [super().sample_latents(n, context)[0] * self.units]

    def decode(self, latents, context=None, x=None):
        return super().decode([latents[0] / self.units], context, x)

    def log_prior(self, latents, context=None):
        return super().log_prior([latents[0] / self.units]) - self.units.log().sum()


def test_it_does_not_hang_on_the_units_of_latents():
    found = []
    for kind in (Decodable, InOtherUnits):
        torch.manual_seed(0)
        model, batch = kind(), examples(20)
        found.append(annealed(model, batch, temperatures=20, chains=5))
    torch.testing.assert_close(found[0].log_likelihood, found[1].log_likelihood, atol=1e-6, rtol=0)
    assert found[0].acceptance == pytest.approx(found[1].acceptance)


def test_the_density_of_latents_of_a_ladder_is_that_of_its_levels(tmp_path):
    fit(tmp_path, "variant=hvae", "trainer=debug", "data.limit=100")
    run = Run.load(tmp_path)
    batch = run.data.batch(run.data.test, torch.arange(20))
    with Preserved(run.model, run.device, seed=0):
        levels = run.model.infer(batch)
        density = run.model.log_prior([level.z[0] for level in levels])
    torch.testing.assert_close(density, sum(level.log_p for level in levels)[0])


@pytest.mark.parametrize("variant", ["hvae", "ss_vae"])
def test_it_agrees_with_importance_sampling_for_a_trained_model_of_several_latents(variant, tmp_path):
    fit(tmp_path, f"variant={variant}", "trainer.steps=400", "architecture.width=32", "latent_dim=4")
    run = Run.load(tmp_path)
    batch = run.data.batch(run.data.test, torch.arange(20))
    with Preserved(run.model, run.device, seed=0):
        weighted = importance_weighted(run.model, batch, 3000)
        opinion = annealed(run.model, batch, temperatures=100, chains=5)
    assert abs((opinion.log_likelihood - weighted).mean()) < 0.1


def subject_of(*overrides):
    e = build_experiment(config_of(*QUICK, *overrides))
    settings = Settings(weights=2, temperatures=2, chains=2)
    return Subject(e.model, e.data, e.data.test, e.device, pytest.fail, 20, settings=settings)


def test_what_the_encoder_sees_of_the_annealed_examples_comes_from_the_seed():
    subject = subject_of("corruption=gaussian")
    assert GROUPS["likelihood"](subject) == GROUPS["likelihood"](subject)


def test_as_many_examples_are_annealed_however_large_they_are(monkeypatch):
    subject = subject_of()
    whole = GROUPS["likelihood"](subject)
    monkeypatch.setattr(blocks, "VALUES", 7 * 64)  # in a block
    assert whole["annealed_examples"] == 20
    assert GROUPS["likelihood"](subject) == whole


def test_there_is_none_for_latents_by_step_around_a_latent_class(tmp_path):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 6, 2)).astype(np.float32), np.arange(60) % 2
    np.savez(tmp_path / "x.npz", x=x, y=y)
    data = ["data=series", f"data.path={tmp_path / 'x.npz'}", "data.labels=null", "likelihood=gaussian"]
    figures = GROUPS["likelihood"](subject_of("variant=[ss_vae,vrnn]", *data))
    assert figures["annealed_log_likelihood"] is None
