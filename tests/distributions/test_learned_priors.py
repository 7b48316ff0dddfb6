"""The autoregressive prior over codes, the conditional prior, and the fixed one of classes."""

import pytest
import torch
from scipy import stats
from torch import distributions as oracle
from torch.nn import functional as F

from vae_runner.data.space import Space
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.distributions.posteriors.quantized import Quantized
from vae_runner.distributions.priors.autoregressive import Autoregressive
from vae_runner.distributions.priors.classes import Classes
from vae_runner.distributions.priors.conditional import Conditional


def autoregressive(context: tuple[int, ...] = (), shape: tuple[int, ...] = (6,), codes: int = 3):
    posterior = Quantized(shape, codes=codes, code_dim=2).eval()
    prior = Autoregressive(shape, context, width=16)
    prior.attach(Space((1, 8, 8), "unit"), posterior, lambda x, context=None: None)
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return prior.eval(), posterior


def everything(posterior: Quantized) -> torch.Tensor:
    """All sequences of codes, (codes ** positions, positions)."""
    return torch.cartesian_prod(*[torch.arange(posterior.codes)] * posterior.positions)


@pytest.mark.parametrize("context", [(), (4,), (2, 3, 3)])
@pytest.mark.parametrize("shape", [(6,), (2, 2, 2)])
def test_the_chances_of_all_sequences_of_codes_sum_to_one(context, shape):
    prior, posterior = autoregressive(context, shape)
    z = posterior.vectors(everything(posterior))
    given = torch.randn(2, *context) if context else None
    batch = z[:, None].expand(-1, 2, *shape)
    chances = prior(given).log_prob(batch).exp()
    assert chances.std(0).min() > 1e-3
    torch.testing.assert_close(chances.sum(0), torch.ones(2))


@pytest.mark.parametrize("context", [(), (4,)])
def test_samples_come_at_the_chances_of_their_codes(context):
    prior, posterior = autoregressive(context)
    given = torch.randn(1, 4).expand(5000, 4) if context else None
    with torch.no_grad():
        codes = posterior.indices_of(prior.sample(5000, given)) @ torch.tensor([9, 3, 1])
        expected = prior(given[:1] if context else None).log_prob(posterior.vectors(everything(posterior))[:, None])
    expected = expected[:, 0].double().exp()
    assert stats.chisquare(torch.bincount(codes, minlength=27), 5000 * expected / expected.sum()).pvalue > 1e-3


def test_at_temperature_zero_every_code_is_the_likeliest_after_those_before_it():
    prior, posterior = autoregressive()
    codes = posterior.indices_of(prior.sample(2, temperature=0.0))
    assert torch.equal(codes[0], codes[1])
    for position in range(3):
        rivals = codes[:1].repeat(3, 1)
        rivals[:, position] = torch.arange(3)
        chances = prior.log_chances(rivals, None)[:, position].gather(1, rivals[:, position : position + 1])
        assert chances.argmax() == codes[0, position]


def test_a_code_is_predicted_from_those_before_it_alone():
    prior, _ = autoregressive()
    codes = torch.randint(3, (1, 3))
    other = codes.clone()
    other[0, 1] = (other[0, 1] + 1) % 3
    before, after = prior.log_chances(codes, None)[0], prior.log_chances(other, None)[0]
    assert torch.equal(before[:2], after[:2])
    assert not torch.equal(before[2], after[2])


def test_each_row_of_a_batch_is_held_against_its_own_context():
    prior, posterior = autoregressive((4,))
    contexts, codes = torch.randn(5, 4), torch.randint(3, (2, 5, 3))
    z = posterior.vectors(codes)
    together = prior(contexts).log_prob(z)
    alone = torch.stack([prior(contexts[i : i + 1]).log_prob(z[:, i : i + 1])[:, 0] for i in range(5)], 1)
    torch.testing.assert_close(together, alone)


def test_the_kl_term_teaches_the_prior_the_order_of_codes():
    # the second code repeats the first, the third is one up
    posterior = Quantized((6,), codes=3, code_dim=2).eval()
    prior = Autoregressive((6,), width=32)
    prior.attach(Space((1, 8, 8), "unit"), posterior, lambda x, context=None: None)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.01)
    for _ in range(200):
        first = torch.randint(3, (64,))
        q = posterior(posterior.vectors(torch.stack([first, first, (first + 1) % 3], 1)))
        optimizer.zero_grad()
        q.kl_units(prior()).sum(1).mean().backward()
        optimizer.step()
    prior.eval()
    first, second, third = posterior.indices_of(prior.sample(500)).T
    assert (first == second).float().mean() > 0.97
    assert ((first + 1) % 3 == third).float().mean() > 0.97
    assert q.kl_units(prior()).mean().item() == pytest.approx(torch.tensor(3.0).log().item(), abs=0.1)


def test_a_step_with_the_autoregressive_prior_never_waits_for_the_device(no_waiting):
    prior, posterior = autoregressive((4,))
    h = torch.randn(5, 6, requires_grad=True)
    with no_waiting():
        q, p = posterior.train()(h), prior.train()(torch.randn(5, 4))
        (q.kl_units(p).mean() + p.log_prob(q.sample(2)).mean()).backward()
        prior.sample(3, torch.randn(3, 4), 0.5)


def random_conditional(shape: tuple[int, ...] = (3,), context: tuple[int, ...] = (4,), **settings) -> Conditional:
    prior = Conditional(shape, context, width=8, **settings)
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return prior


@pytest.mark.parametrize("shape", [(3,), (3, 2, 2)])
@pytest.mark.parametrize("context", [(4,), (2, 3, 3)])
def test_the_kl_and_the_density_of_the_conditional_prior_equal_torch_distributions(shape, context):
    p = random_conditional(shape, context)(torch.randn(5, *context))
    q = DiagonalGaussian(torch.randn(5, *shape), torch.randn(5, *shape))
    of_p, of_q = (oracle.Normal(d.mean, (0.5 * d.log_variance).exp()) for d in (p, q))
    torch.testing.assert_close(q.kl_units(p), oracle.kl_divergence(of_q, of_p).reshape(5, 3, -1).sum(2))
    z = torch.randn(2, 5, *shape)
    torch.testing.assert_close(p.log_prob(z), of_p.log_prob(z).flatten(2).sum(2))


def test_the_conditional_prior_begins_as_the_standard_normal():
    p = Conditional((3,), (4,))(torch.randn(5, 4))
    assert not p.mean.any()
    assert not p.log_variance.any()


@pytest.mark.parametrize("depth", [0, 2])
def test_samples_of_the_conditional_prior_follow_their_own_contexts(depth):
    prior, contexts = random_conditional(depth=depth), torch.randn(2, 4)
    p = prior(contexts)
    z = prior.sample(8000, contexts.repeat_interleave(4000, 0)).view(2, 4000, 3)
    deviation = (0.5 * p.log_variance).exp()
    assert ((z.mean(1) - p.mean).abs() < 5 * deviation / 4000**0.5).all()
    torch.testing.assert_close(z.std(1), deviation, rtol=0.06, atol=0)
    torch.testing.assert_close(prior.sample(2, contexts, 0.0), p.mean)


@pytest.mark.parametrize("classes", [2, 3, 10, 47])
@pytest.mark.parametrize("shape", [(1,), (2,), (3,), (20,), (2, 4, 4)])
def test_the_nearest_two_classes_are_apart_by_the_separation(classes, shape):
    means = Classes(shape, (classes,), separation=3.0)(torch.eye(classes)).mean
    assert torch.pdist(means.flatten(1)).min().item() == pytest.approx(3, rel=1e-4)


def test_two_dimensions_have_the_classes_on_a_circle():
    means = Classes((2,), (10,))(torch.eye(10)).mean
    torch.testing.assert_close(means.norm(dim=1), means[0].norm().expand(10))
    around = torch.atan2(means[:, 1], means[:, 0]) % (2 * torch.pi)
    torch.testing.assert_close(around.diff(), torch.full((9,), torch.pi / 5), rtol=1e-3, atol=0)


def test_the_label_chooses_the_gaussian():
    prior = Classes((2,), (3,), separation=6.0)
    p = prior(F.one_hot(torch.tensor([2, 0]), 3).float())
    expected = oracle.Independent(oracle.Normal(prior.means[[2, 0]], 1.0), 1)
    z = torch.randn(4, 2, 2)
    torch.testing.assert_close(p.log_prob(z), expected.log_prob(z))
    drawn = prior.sample(3000, F.one_hot(torch.ones(3000, dtype=torch.int64), 3).float())
    torch.testing.assert_close(drawn.mean(0), prior.means[1], atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.std(0), torch.ones(2), atol=0.06, rtol=0)
    assert not list(prior.parameters())


def test_these_priors_ask_for_what_they_are_told():
    assert set(Autoregressive.requires) == {"posterior.indices"}
    assert set(Conditional.requires) == {"condition.condition"}
    assert set(Classes.requires) == {"condition.one_hot", "model.levels|model.one_level"}
    assert "indices" in Quantized.provides
