import math
import re

import pytest
import torch

from tests.helpers import config_of
from tests.objectives.finite_mixture import exact_terms, mixture
from tests.objectives.linear_gaussian import LinearGaussian, examples, full_weight
from vae_runner.build import build_model
from vae_runner.data.space import Space
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.errors import UserError
from vae_runner.kl import Linear
from vae_runner.models.evidence import Evidence, Level
from vae_runner.objectives.total_correlation import TotalCorrelation

N = 1000
STANDARD = StandardNormal(torch.zeros(2, dtype=torch.double))


@pytest.fixture(scope="module")
def posteriors():
    """A thousand known posteriors along a curve in two latents, which therefore depend on each other."""
    generator = torch.Generator().manual_seed(0)
    along, *noise = torch.randn(3, N, generator=generator, dtype=torch.double).unbind()
    mean = torch.stack([1.2 * along + 0.5, 1.2 * along + 0.4 * (3 * along).sin()], 1)
    return DiagonalGaussian(mean, 0.3 * torch.stack(noise, 1) - torch.tensor([2.0, 2.5]))


def terms(q, kl=None, **settings):
    """The terms at one draw from each posterior; with those of all N in a batch, unless examples says otherwise."""
    objective = TotalCorrelation(LinearGaussian(), settings.pop("examples", len(q.mean)), **settings)
    zero = torch.zeros(len(q.mean))
    evidence = Evidence(None, zero, None, [Level(z=q.sample(1), q=q, p=STANDARD)])
    evidence.log_px = zero
    return objective.terms(evidence, kl or full_weight())


def test_each_term_is_that_of_the_finite_mixture(posteriors):
    torch.manual_seed(0)
    draws = [terms(posteriors) for _ in range(20)]
    for name, exact in exact_terms(posteriors).items():
        estimate = sum(draw[name].item() for draw in draws) / len(draws)
        assert exact > 0.3
        assert estimate == pytest.approx(exact, rel=0.02), name


@pytest.mark.parametrize("batch", [5, 50])
def test_the_density_estimated_from_a_batch_has_the_density_for_its_mean(posteriors, batch):
    """At a draw from one posterior, over batches of that one and others."""
    torch.manual_seed(0)
    objective = TotalCorrelation(LinearGaussian(), N)
    z = posteriors.mean[:1]
    density = mixture(posteriors)[0].log_prob(z).exp()
    estimates = []
    for _ in range(1500):
        chosen = torch.cat([torch.zeros(1, dtype=torch.long), 1 + torch.randperm(N - 1)[: batch - 1]])
        q = DiagonalGaussian(posteriors.mean[chosen], posteriors.log_variance[chosen])
        level = Level(z=z.expand(1, batch, 2), q=q, p=STANDARD)
        estimates.append(objective.aggregate(level)[0][0].exp())
    estimates = torch.stack(estimates)
    error = estimates.std() / math.sqrt(len(estimates))
    assert error < 0.3 * density
    assert abs(estimates.mean() - density) < 4 * error


def test_the_weighted_estimator_is_too_small_by_the_log_of_the_examples(posteriors):
    """With all examples in the batch, each density is: one time in q(z), once for each of the two q(z_d)."""
    q = posteriors[:200]
    torch.manual_seed(0)
    exact = terms(q)
    torch.manual_seed(0)
    weighted = terms(q, estimator="weighted")
    for name, times in {"mutual_information": 1, "total_correlation": 1, "dimension_wise_kl": -2}.items():
        assert weighted[name].item() == pytest.approx(exact[name].item() + times * math.log(200), abs=1e-9)


@pytest.mark.parametrize("estimator", ["stratified", "weighted"])
def test_with_all_weights_one_the_terms_are_the_monte_carlo_bound(estimator):
    model = LinearGaussian()
    evidence = model(examples(6))
    parts = TotalCorrelation(model, 100, estimator=estimator).terms(evidence, full_weight())
    assert parts.keys() == {"reconstruction", "mutual_information", "total_correlation", "dimension_wise_kl"}
    torch.testing.assert_close(sum(parts.values()), -evidence.log_w.mean())


def test_each_term_has_its_own_weight(posteriors):
    q = posteriors[:100]
    torch.manual_seed(0)
    plain = terms(q)
    torch.manual_seed(0)
    weighed = terms(q, full_weight(6.0), alpha=0.5, gamma=3.0)
    for name, weight in {"mutual_information": 0.5, "total_correlation": 6.0, "dimension_wise_kl": 3.0}.items():
        torch.testing.assert_close(weighed[name], weight * plain[name])


def test_a_warm_up_warms_up_the_total_correlation(posteriors):
    parts = terms(posteriors[:50], Linear(10, 1000, weight=6.0).double())
    assert parts["total_correlation"] == 0
    assert parts["mutual_information"] > 0


def test_a_weight_given_as_a_list_of_one_level_is_that_weight(posteriors):
    assert terms(posteriors[:50], full_weight([2.0]))["total_correlation"].shape == ()


def test_a_batch_of_one_example_is_finite(posteriors):
    assert all(value.isfinite() for value in terms(posteriors[:1], examples=N).values())


def test_latents_of_any_shape_are_taken_unit_by_unit(posteriors):
    q = posteriors[:40]
    maps = DiagonalGaussian(q.mean.view(40, 1, 2, 1), q.log_variance.view(40, 1, 2, 1))
    z = q.sample(1)
    objective = TotalCorrelation(LinearGaussian(), 40)
    flat = objective.aggregate(Level(z=z, q=q, p=STANDARD))
    spatial = objective.aggregate(Level(z=z.view(1, 40, 1, 2, 1), q=maps, p=STANDARD))
    torch.testing.assert_close(flat, spatial)


@pytest.mark.parametrize(
    ("override", "message"),
    [("model=ladder", "model=vae"), ("prior=mixture", "prior=normal"), ("posterior=iaf", "posterior=gaussian")],
)
def test_what_does_not_come_apart_by_dimension_is_refused_in_a_line(override, message):
    with pytest.raises(UserError, match=re.escape(message)):
        config_of("variant=beta_tcvae", override)


def test_a_class_that_is_inferred_is_refused_in_a_line():
    model = build_model(config_of("variant=[beta_tcvae,ss_vae]"), Space((1, 8, 8), "unit", 10))
    with pytest.raises(UserError, match="inferred class"):
        TotalCorrelation(model, 100)
