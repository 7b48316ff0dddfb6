import itertools
import math
import re

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal

from tests.helpers import config_of
from tests.objectives.linear_gaussian import LinearGaussian, examples, full_weight, likelihood
from vae_runner.build import build_model
from vae_runner.data.space import Batch, Space
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.errors import UserError
from vae_runner.kl import Linear
from vae_runner.models.evidence import Evidence, Level
from vae_runner.objectives.combination_importance_weighted import CombinationImportanceWeighted
from vae_runner.objectives.importance_weighted import ImportanceWeighted
from vae_runner.objectives.partially_importance_weighted import PartiallyImportanceWeighted

GRADIENTS = ["standard", "doubly_reparameterised"]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LinearGaussian()


def evaluated(objective, model, batch, kl=None, seed=1):
    """The loss of each phase, and the evidence, on noise of a seed."""
    torch.manual_seed(seed)
    losses, evidence = objective.losses(model, batch, kl or full_weight())
    return {phase: sum(terms.values()) for phase, terms in losses.items()}, evidence


def joint_and_posterior(model, evidence):
    """log p(x, z) and log q(z|x), (S, B), by torch.distributions, at the latents of the evidence."""
    x, z = evidence.x, evidence.levels[0].z
    standard = Independent(Normal(torch.zeros(2).double(), torch.ones(2).double()), 1)
    px = Independent(Normal(model.decoder(z), model.scale), 1)
    q = Independent(Normal(model.encoder(x), (model.log_variance / 2).exp()), 1)
    return px.log_prob(x) + standard.log_prob(z), q.log_prob(z)


# --- values


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_with_one_sample_it_is_the_monte_carlo_bound_on_the_same_noise(model, gradient):
    loss, evidence = evaluated(ImportanceWeighted(model, 5, samples=1, gradient=gradient), model, examples(5))
    joint, q = joint_and_posterior(model, evidence)
    torch.testing.assert_close(loss["model"], -(joint - q).mean())


def test_the_bound_grows_with_the_samples_towards_the_exact_log_likelihood(model):
    x = torch.randn(4, 3, dtype=torch.double)
    exact = model.log_likelihood(x).mean().item()

    def gap(samples, repeats):
        batch = Batch(x.repeat(repeats, 1), x.repeat(repeats, 1))
        with torch.no_grad():
            loss, _ = evaluated(ImportanceWeighted(model, 4, samples=samples), model, batch)
        return exact + loss["model"].item()

    gaps = [gap(samples, 4000) for samples in (1, 4, 16, 64)]
    assert gaps[0] > 0.5
    assert all(later < 0.6 * earlier for earlier, later in itertools.pairwise(gaps))
    assert gap(100_000, 1) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_several_estimates_are_averaged_after_the_logarithm(model, gradient):
    objective = ImportanceWeighted(model, 5, samples=3, estimates=2, gradient=gradient)
    loss, evidence = evaluated(objective, model, examples(5))
    joint, q = joint_and_posterior(model, evidence)
    w = (joint - q).exp()
    assert len(w) == 6
    torch.testing.assert_close(loss["model"], -(w[:3].mean(0).log() + w[3:].mean(0).log()).mean() / 2)


def test_the_log_says_the_bound_and_its_samples_at_weight_one_whatever_the_weight(model):
    batch, objective = examples(5), ImportanceWeighted(model, 5, samples=3, estimates=2)
    loss, full = evaluated(objective, model, batch)
    _, low = evaluated(objective, model, batch, full_weight(0.2))
    assert full.figures.keys() == low.figures.keys() == {"iw_bound_3"}
    assert full.figures["iw_bound_3"] == low.figures["iw_bound_3"] == -loss["model"]


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_at_the_start_of_a_warm_up_it_is_the_likelihood_alone(model, gradient):
    objective = ImportanceWeighted(model, 5, samples=4, gradient=gradient)
    loss, evidence = evaluated(objective, model, examples(5), Linear(10, 1000).double())
    torch.testing.assert_close(loss["model"], -evidence.log_px.exp().mean(0).log().mean())


def test_each_level_counts_for_its_own_weight():
    evidence = two_levels(*parameters(6), samples=3)
    objective = ImportanceWeighted(LinearGaussian(), 6, samples=3)
    loss = objective.terms(evidence, full_weight([0.5, 2.0]))["iw_bound"]
    low, top = evidence.levels
    log_w = evidence.log_px + 0.5 * (low.log_p - low.log_q) + 2 * (top.log_p - top.log_q)
    torch.testing.assert_close(loss, -(log_w.exp().mean(0).log()).mean())


def test_the_combination_lies_between_the_bound_and_the_elbo(model):
    batch = examples(5)
    losses = {
        share: evaluated(CombinationImportanceWeighted(model, 5, samples=4, elbo_share=share), model, batch)[0]["model"]
        for share in (0.0, 0.25, 1.0)
    }
    joint, q = joint_and_posterior(model, evaluated(ImportanceWeighted(model, 5, samples=4), model, batch)[1])
    torch.testing.assert_close(losses[0.0], -(joint - q).exp().mean(0).log().mean())
    torch.testing.assert_close(losses[1.0], -(joint - q).mean())
    torch.testing.assert_close(losses[0.25], 0.75 * losses[0.0] + 0.25 * losses[1.0])


# --- gradients


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_gradient_is_that_of_each_sample_weighed_by_its_share(model, weight):
    batch = examples(2)
    loss, evidence = evaluated(ImportanceWeighted(model, 2, samples=4), model, batch, full_weight(weight))
    parameters = [*model.parameters()]
    gradients = torch.autograd.grad(loss["model"], parameters, retain_graph=True)
    joint, q = joint_and_posterior(model, evidence)
    x, z = evidence.x, evidence.levels[0].z
    px = Independent(Normal(model.decoder(z), model.scale), 1).log_prob(x)
    log_w = px + weight * (joint - px - q)
    expected = [torch.zeros_like(parameter) for parameter in parameters]
    for b in range(2):
        w = np.exp(log_w[:, b].detach().numpy())
        for k in range(4):
            each = torch.autograd.grad(log_w[k, b], parameters, retain_graph=True)
            for total, gradient in zip(expected, each, strict=True):
                total -= w[k] / w.sum() * gradient / 2
    torch.testing.assert_close(gradients, tuple(expected))


def parameters(n, dims=4):
    """n copies of numbers that make up a small q: their gradients are n independent draws of one gradient."""
    return [torch.full((n, 1), v, dtype=torch.double).requires_grad_() for v in (0.8, -0.6, -0.3, 0.2)[:dims]]


def one_level(mean, log_variance, samples):
    """p(z) = N(0, 1), p(x|z) = N(1.5 z, 0.6^2), x = 1."""
    q = DiagonalGaussian(mean, log_variance)
    z = q.sample(samples)
    x = torch.ones(len(mean), 1, dtype=torch.double)
    p = StandardNormal(torch.zeros(1, dtype=torch.double))
    return Evidence(likelihood(1.5 * z.flatten(0, 1), 0.6), x, None, [Level(z=z, q=q, p=p)])


def two_levels(mean, log_variance, low_mean, low_log_variance, samples):
    """p(y) = N(0, 1), p(z|y) = N(y, 0.8^2), p(x|z) = N(z, 0.6^2), x = 1; what q(z|y, x) is follows from y."""
    upper = one_level(mean, log_variance, samples).top
    y = upper.z.flatten(0, 1)
    q = DiagonalGaussian(low_mean.repeat(samples, 1) + 0.7 * y, low_log_variance.repeat(samples, 1) - 0.4 * y)
    z = q.sample(1).view(upper.z.shape)
    p = DiagonalGaussian(y, torch.full_like(y, 2 * math.log(0.8)))
    x = torch.ones(len(mean), 1, dtype=torch.double)
    return Evidence(likelihood(z.flatten(0, 1), 0.6), x, None, [Level(z=z, q=q, p=p), upper])


def expected_bound(make, values, nodes, samples, weight):
    """E[L_K] by Gauss-Hermite quadrature over the noise of `samples` draws, of the weighted log w."""
    points, masses = np.polynomial.hermite_e.hermegauss(nodes)
    log_w, mass = make(values, points, masses, weight)  # of one draw, over its own grid
    grids = np.meshgrid(*[log_w] * samples, indexing="ij")
    weights = np.meshgrid(*[mass] * samples, indexing="ij")
    bound = np.logaddexp.reduce(grids, axis=0) - math.log(samples)
    return float((bound * np.prod(weights, axis=0)).sum())


def normal(x, mean, scale):
    return -0.5 * ((x - mean) / scale) ** 2 - np.log(scale) - 0.5 * math.log(2 * math.pi)


def draw_of_one_level(values, points, masses, weight):
    mean, log_variance = values
    scale = math.exp(log_variance / 2)
    z = mean + scale * points
    log_w = normal(1, 1.5 * z, 0.6) + weight * (normal(z, 0, 1) - normal(z, mean, scale))
    return log_w, masses / masses.sum()


def draw_of_two_levels(values, points, masses, weight):
    mean, log_variance, low_mean, low_log_variance = values
    e, f = (grid.ravel() for grid in np.meshgrid(points, points))
    scale = math.exp(log_variance / 2)
    y = mean + scale * e
    centre, spread = low_mean + 0.7 * y, np.exp((low_log_variance - 0.4 * y) / 2)
    z = centre + spread * f
    ratio = normal(y, 0, 1) - normal(y, mean, scale) + normal(z, y, 0.8) - normal(z, centre, spread)
    share = masses / masses.sum()
    return normal(1, z, 0.6) + weight * ratio, np.outer(share, share).ravel()


CASES = {
    "one level": (one_level, draw_of_one_level, 2, 40, 3),
    "two levels": (two_levels, draw_of_two_levels, 4, 18, 2),
}


@pytest.mark.parametrize("weight", [1.0, 0.4])
@pytest.mark.parametrize("case", CASES)
def test_both_gradients_have_the_true_one_for_their_mean(case, weight):
    """The true one by central differences of the expected bound, which is integrated numerically."""
    evidence_of, draw, dims, nodes, samples = CASES[case]
    values = [0.8, -0.6, -0.3, 0.2][:dims]
    true, step = [], 1e-4
    for i in range(dims):
        above, below = ([v + sign * step * (i == j) for j, v in enumerate(values)] for sign in (1, -1))
        difference = [expected_bound(draw, v, nodes, samples, weight) for v in (above, below)]
        true.append((difference[0] - difference[1]) / (2 * step))
    variances = {}
    for gradient in GRADIENTS:
        torch.manual_seed(0)
        n = 60_000
        leaves = parameters(n, dims)
        objective = ImportanceWeighted(LinearGaussian(), n, samples=samples, gradient=gradient)
        loss = objective.terms(evidence_of(*leaves, samples=samples), full_weight(weight))["iw_bound"]
        each = -n * torch.stack(torch.autograd.grad(loss, leaves))[..., 0]
        error = each.std(1) / math.sqrt(n)
        assert ((each.mean(1) - torch.tensor(true).double()).abs() < 4 * error).all(), gradient
        variances[gradient] = each.var(1)
    if weight == 1:
        standard, doubly = (variances[gradient][:2] for gradient in GRADIENTS)
        assert (doubly < 0.8 * standard).all()


def test_estimates_of_one_draw_each_leave_the_path_derivative_alone():
    """With one draw a bound is the ELBO, whose score has mean zero and is left out (Roeder et al. 2017)."""
    mean, log_variance = parameters(7, 2)
    torch.manual_seed(3)
    evidence = one_level(mean, log_variance, 4)
    objective = ImportanceWeighted(LinearGaussian(), 7, samples=1, estimates=4, gradient="doubly_reparameterised")
    gradients = torch.autograd.grad(objective.terms(evidence, full_weight())["iw_bound"], [mean, log_variance])
    torch.manual_seed(3)
    z = DiagonalGaussian(mean, log_variance).sample(4)
    px, p = Normal(1.5 * z, 0.6).log_prob(torch.ones(())), Normal(0.0, 1.0).log_prob(z)
    path = px + p - Normal(mean.detach(), (log_variance / 2).exp().detach()).log_prob(z)
    torch.testing.assert_close(gradients, torch.autograd.grad(-path.mean(), [mean, log_variance]))


def test_at_the_exact_posterior_the_doubly_reparameterised_gradient_has_no_noise():
    precision = 1 + 1.5**2 / 0.6**2
    mean = torch.full((50, 1), 1.5 / 0.6**2 / precision, dtype=torch.double).requires_grad_()
    log_variance = torch.full((50, 1), -math.log(precision), dtype=torch.double).requires_grad_()
    largest = {}
    for gradient in GRADIENTS:
        objective = ImportanceWeighted(LinearGaussian(), 50, samples=8, gradient=gradient)
        loss = objective.terms(one_level(mean, log_variance, 8), full_weight())["iw_bound"]
        largest[gradient] = max(g.abs().max().item() for g in torch.autograd.grad(loss, [mean, log_variance]))
    assert largest["doubly_reparameterised"] < 1e-12 < 1e-3 < largest["standard"]


def test_the_generative_gradient_is_the_same_for_both(model):
    batch, gradients = examples(5), []
    for gradient in GRADIENTS:
        loss, _ = evaluated(ImportanceWeighted(model, 5, samples=4, gradient=gradient), model, batch)
        gradients.append(torch.autograd.grad(loss["model"], model.generative_parameters))
    torch.testing.assert_close(*gradients)


def test_each_player_of_piwae_has_the_gradient_of_its_own_bound(model):
    batch = examples(5)
    objective = PartiallyImportanceWeighted(model, 5, samples=3, estimates=2)
    loss, evidence = evaluated(objective, model, batch)
    phases = objective.phases(model)
    assert next(iter(phases)) == "model"
    joint, q = joint_and_posterior(model, evidence)
    w = (joint - q).exp()
    expected = {
        "model": (w.mean(0).log().mean(), model.generative_parameters),
        "inference": ((w[:3].mean(0).log() + w[3:].mean(0).log()).mean() / 2, model.inference_parameters),
    }
    for name, (bound, parameters) in expected.items():
        assert {id(p) for p in phases[name].parameters} == {id(p) for p in parameters}
        gradients = torch.autograd.grad(loss[name], phases[name].parameters, retain_graph=True)
        torch.testing.assert_close(gradients, torch.autograd.grad(-bound, phases[name].parameters, retain_graph=True))
    assert evidence.figures.keys() == {"iw_bound_6"}


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_the_bound_can_be_taken_without_gradients(model, gradient):
    with torch.no_grad():
        loss, _ = evaluated(ImportanceWeighted(model, 5, samples=2, gradient=gradient), model, examples(5))
    assert loss["model"].isfinite()


def test_in_a_ladder_both_gradients_have_one_mean():
    """Of all parameters, over many draws of a model as it is built from a config."""
    config = config_of("model=ladder", "architecture.width=4", "latent_dim=2", "objective=importance_weighted")
    torch.manual_seed(0)
    model = build_model(config, Space((3,), "unit")).double()
    x = torch.rand(1, 3, dtype=torch.double).expand(3000, -1)
    parameters = [*model.parameters()]
    means, errors = {}, {}
    for gradient in GRADIENTS:
        objective, draws = ImportanceWeighted(model, 1, samples=4, gradient=gradient), []
        for seed in range(12):
            loss, _ = evaluated(objective, model, Batch(x, x), seed=seed)
            draws.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss["model"], parameters)]))
        means[gradient] = torch.stack(draws).mean(0)
        errors[gradient] = torch.stack(draws).std(0) / math.sqrt(len(draws))
    differences = means["standard"] - means["doubly_reparameterised"]
    assert (differences != 0).any()
    assert (differences.abs() <= 6 * torch.hypot(*errors.values()) + 1e-9).all()


# --- refusals


@pytest.mark.parametrize("variant", ["iwae", "miwae", "ciwae", "piwae"])
@pytest.mark.parametrize(
    ("override", "message"),
    [("kl.free_bits=0.1", "kl.free_bits"), ("kl.capacity=3", "kl.capacity"), ("posterior=delta", "posterior=gaussian")],
)
def test_what_a_bound_of_several_draws_cannot_use_is_refused_in_a_line(variant, override, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        config_of(f"variant={variant}", override, "prior=mixture")
    assert all(len(line) < 200 for line in str(error.value).splitlines())


def test_a_posterior_that_cannot_be_held_fixed_has_no_doubly_reparameterised_gradient():
    with pytest.raises(UserError, match=re.escape("type objective.gradient=standard")):
        config_of("variant=[iwae,planar_vae]", "objective.gradient=doubly_reparameterised")
