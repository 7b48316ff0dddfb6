import functools

import pytest
import torch

from vae_runner.architectures.recurrent import Recurrent
from vae_runner.data.space import Batch, Space
from vae_runner.distributions.likelihoods.bernoulli import Bernoulli
from vae_runner.distributions.likelihoods.categorical import Categorical
from vae_runner.distributions.likelihoods.gaussian import Gaussian as GaussianLikelihood
from vae_runner.distributions.posteriors.gaussian import Gaussian
from vae_runner.distributions.priors.conditional import Conditional
from vae_runner.distributions.priors.normal import Normal
from vae_runner.models.vrnn import VRNN

ROLL = Space((6, 3), "binary", ragged=True)
TEXT, SERIES = Space((6,), "categorical", ragged=True, categories=4), Space((6, 2), "real")
CONDITIONAL = functools.partial(Conditional, width=8)
LIKELIHOODS = {"binary": Bernoulli, "categorical": Categorical, "real": GaussianLikelihood}


class Embedding(torch.nn.Module):
    shape = (2,)

    def forward(self, c):
        return c


def model_of(space=ROLL, condition=None, prior=CONDITIONAL, **settings):
    torch.manual_seed(0)
    likelihood = LIKELIHOODS[space.support]
    model = VRNN(space, condition, Recurrent(width=8, **settings), Gaussian, prior, likelihood, latent_dim=2).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return model


def batch_of(space=ROLL, lengths=(6, 4, 1, 5), c=None):
    n = len(lengths)
    mask = (torch.arange(6) < torch.tensor(lengths)[:, None]).float()
    if space is TEXT:
        x = torch.randint(4, (n, 6)) * mask.long()
    else:
        mask = mask[:, :, None]
        x = torch.rand(n, *space.shape).round() * mask
    return Batch(x, x, mask=mask if space.ragged else None, c=c)


def certain(model):
    """The same model with a posterior that has next to no noise, so that a bound can be computed twice."""
    head = model.posterior_heads[0]
    head.weight.data[2:] = 0
    head.bias.data[2:] = -30
    return model


def bound(evidence):
    return evidence.log_px[0] - evidence.kl


@pytest.mark.parametrize("space", [ROLL, TEXT])
@pytest.mark.parametrize("encoder", ["recurrent", "bidirectional", "convolutional"])
def test_padding_changes_no_bound(space, encoder):
    model, lengths = certain(model_of(space, encoder=encoder)), (6, 4, 1, 5)
    batch = batch_of(space, lengths)
    with torch.no_grad():
        together = bound(model(batch))
        for row, length in enumerate(lengths):
            x = batch.x[row : row + 1, :length]
            alone = bound(model(Batch(x, x, mask=batch.mask[row : row + 1, :length])))
            torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-4)


def test_padded_steps_cost_nothing_and_their_codes_are_zero():
    model, batch = model_of(), batch_of(lengths=(6, 2))
    level = model.infer(batch, 3)[0]
    assert (level.code[1, :, 2:] == 0).all()
    moved = level.z.clone()
    moved[:, 1, :, 2:] += 7
    assert torch.equal(level.density(level.q)[:, 1], type(level)(moved, level.q, level.p, level.features).log_q[:, 1])


def test_what_follows_the_end_gets_no_gradient():
    model, batch = model_of(), batch_of()
    x = batch.x.clone().requires_grad_()
    torch.manual_seed(1)
    (gradient,) = torch.autograd.grad(bound(model(Batch(x, x, mask=batch.mask))).sum(), x)
    there = batch.mask.expand_as(x)
    assert (gradient[there == 0] == 0).all()
    assert (gradient[there == 1] != 0).any()


@pytest.mark.parametrize("prior", [CONDITIONAL, Normal])
def test_the_closed_form_kl_equals_monte_carlo(prior):
    with torch.no_grad():
        level = model_of(prior=prior).infer(batch_of(), 20_000)[0]
    assert not level.kl_is_estimate
    assert level.kl_units.shape == (4, 2)
    terms = level.log_q - level.log_p - level.q.kl_units(level.p).sum(1).view(20_000, 4)
    error = terms.std(0) / len(terms) ** 0.5
    assert (terms.mean(0).abs() < 4.5 * error).all()


@pytest.mark.parametrize("teacher_forcing", [None, False])
@pytest.mark.parametrize("space", [ROLL, TEXT, SERIES])
def test_decoding_its_latents_with_the_target_gives_the_likelihood_of_the_bound(space, teacher_forcing):
    model, batch = model_of(space, cell="lstm", depth=2, teacher_forcing=teacher_forcing), batch_of(space)
    with torch.no_grad():
        evidence = model(batch, 3)
        px = model.decode([evidence.levels[0].z[1]], x=batch.x)
    torch.testing.assert_close(px.log_prob(batch.x, batch.mask), evidence.log_px[1], rtol=1e-4, atol=1e-4)


def test_the_prior_of_a_step_knows_the_steps_before_it_alone():
    model, batch = certain(model_of(encoder="recurrent")), batch_of(lengths=(6, 6))
    changed = batch.x.clone()
    changed[:, 3] = 1 - changed[:, 3]
    with torch.no_grad():
        before, after = (model.infer(Batch(x, x, mask=batch.mask))[0].p.mean for x in (batch.x, changed))
    difference = (before - after).abs().amax((0, 1))
    assert (difference[:4] < 1e-5).all()
    assert (difference[4:] > 1e-4).all()


@pytest.mark.parametrize("teacher_forcing", [True, False])
def test_the_state_sees_x_where_it_is_told_it(teacher_forcing):
    model = model_of(SERIES, teacher_forcing=teacher_forcing)
    z, one, other = torch.randn(3, 2, 6), torch.randn(3, 6, 2), torch.randn(3, 6, 2)
    means = [model.decode([z], x=x).mean[:, 1:] for x in (one, other)]
    assert torch.equal(*means) != teacher_forcing


def test_a_free_run_is_what_its_latents_and_its_own_steps_say():
    model = model_of(SERIES)
    with torch.no_grad():
        (z,), run = model.generate(5)
        told = model.decode([z], x=run.sample())
    assert z.shape == (5, *model.latent_shapes[0])
    torch.testing.assert_close(told.mean, run.mean)


def test_first_latents_and_values_of_free_runs_are_spread_as_the_model_says():
    model, n = model_of(), 20_000
    with torch.no_grad():
        (z,), run = model.generate(n)
        p = model.prior(torch.zeros(1, 8))
        chances = model.decode([p.sample(n)[:, 0, :, None].expand(-1, -1, 6)], x=torch.zeros(n, 6, 3)).mean[:, 0]
    torch.testing.assert_close(z[:, :, 0].mean(0), p.mean[0], atol=0.1, rtol=0.03)
    torch.testing.assert_close(z[:, :, 0].std(0), (p.log_variance[0] / 2).exp(), atol=0, rtol=0.03)
    torch.testing.assert_close(run.sample()[:, 0].mean(0), chances.mean(0), atol=0.02, rtol=0)


def test_a_prompt_is_kept_and_continued_in_ways_that_differ():
    model, prompt = model_of(), torch.ones(30, 3, 3)
    with torch.no_grad():
        run = model.decode(model.sample_latents(30), prompt=prompt).sample()
    assert torch.equal(run[:, :3], prompt)
    assert len(run[:, 3:].flatten(1).unique(dim=0)) > 1


def test_at_temperature_zero_a_free_run_is_always_the_same():
    model = model_of()
    with torch.no_grad():
        one, other = (model.generate(2, temperature=0.0)[1].sample() for _ in range(2))
    assert torch.equal(one, other)


def test_a_context_changes_prior_posterior_and_decoder():
    model = model_of(condition=lambda space: Embedding())
    one, other = torch.zeros(4, 2), torch.ones(4, 2)
    x, z = batch_of().x, torch.randn(4, 2, 6)
    with torch.no_grad():
        levels = [model.infer(Batch(x, x, c=c))[0] for c in (one, other)]
        assert not torch.equal(levels[0].q.mean[:, :, 0], levels[1].q.mean[:, :, 0])
        assert not torch.equal(levels[0].p.mean[:, :, 0], levels[1].p.mean[:, :, 0])
        assert not torch.equal(model.decode([z], one, x=x).mean[:, 0], model.decode([z], other, x=x).mean[:, 0])
        assert model.sample(4, one).shape == (4, 6, 3)


def test_codes_reconstruct_to_the_shape_of_the_data():
    model, batch = model_of(), batch_of()
    (code,) = model.encode(batch)
    assert code.shape == (4, *model.latent_shapes[0])
    assert torch.equal(code, model.encode(batch)[0])
    assert model.reconstruct(batch).shape == batch.x.shape


def test_every_parameter_belongs_to_inference_or_generation():
    model = model_of()
    both = [*model.inference_parameters, *model.generative_parameters]
    assert {id(p) for p in both} == {id(p) for p in model.parameters()}
    assert len(both) == len(list(model.parameters()))
