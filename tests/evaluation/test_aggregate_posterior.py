"""The parts of the KL against closed forms: Gaussian codes with noise have a Gaussian aggregate posterior."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.distributions.one_hots import OneHots, uniform_one_hots
from vae_runner.distributions.posteriors.joint import Product
from vae_runner.distributions.von_mises_fisher import UniformOnSphere, VonMisesFisher
from vae_runner.evaluation import units
from vae_runner.evaluation.aggregate_posterior import decompose, decompose_codes, mutual_information
from vae_runner.evaluation.rungs import Below, Top

NOISE = 0.5  # variance of q(z|x)


def of_one_level(q, p, draws=1):
    return decompose([Top(q.sample(draws).flatten(0, 1), q, p)])[0]


@pytest.fixture(scope="module")
def correlated():
    """4,000 posteriors with means from N(m, S): together they are N(m, S + NOISE I), but for the draw of the means."""
    mean, covariance = torch.tensor([0.5, 0.0, 0.0]), torch.tensor([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1e-6]])
    torch.manual_seed(0)
    means = torch.distributions.MultivariateNormal(mean, covariance).sample((4000,))
    q = DiagonalGaussian(means.double(), torch.full((4000, 3), math.log(NOISE), dtype=torch.double))
    return q, mean, covariance + NOISE * torch.eye(3)


@pytest.fixture(scope="module")
def parts(correlated):
    torch.manual_seed(1)
    return of_one_level(correlated[0], StandardNormal(torch.zeros(3, dtype=torch.double)))


def test_the_divergence_from_the_prior_is_that_of_two_gaussians(parts, correlated):
    _, mean, covariance = correlated
    aggregate = torch.distributions.MultivariateNormal(mean, covariance)
    exact = torch.distributions.kl_divergence(
        aggregate, torch.distributions.MultivariateNormal(torch.zeros(3), torch.eye(3))
    )
    assert parts.divergence.mean == pytest.approx(float(exact), abs=0.05)


def test_the_total_correlation_is_that_of_correlated_gaussians(parts):
    correlation = 0.8 / (1 + NOISE)
    assert parts.units.total_correlation.mean == pytest.approx(-0.5 * math.log(1 - correlation**2), abs=0.03)


def test_the_information_is_that_of_gaussian_channels(parts, correlated):
    _, _, covariance = correlated
    joint = 0.5 * (torch.logdet(covariance) - 3 * math.log(NOISE))
    assert parts.mutual_information.mean == pytest.approx(float(joint), abs=0.05)
    assert parts.units.information[0] == pytest.approx(0.5 * math.log(1 + 1 / NOISE), abs=0.03)
    assert parts.units.information[2] == pytest.approx(0, abs=1e-3)


def test_the_information_of_a_unit_is_that_of_its_mixture_by_another_integration():
    """Posteriors as a trained model has them: wide and narrow, far apart and alike, and one of two narrow heaps."""
    torch.manual_seed(0)
    mean = torch.stack([torch.randn(60), 0.05 * torch.randn(60), 3 * torch.randn(60), torch.randn(60).sign()], 1)
    deviation = torch.stack([torch.rand(60) + 0.05, 0.9 + 0.1 * torch.rand(60), torch.full((60,), 0.01)], 1)
    deviation = torch.cat([deviation, torch.full((60, 1), 1e-3)], 1)
    found = units.information(DiagonalGaussian(mean.double(), 2 * deviation.double().log()))
    each = []
    for unit in range(4):
        part = stats.norm(mean[:, unit].numpy(), deviation[:, unit].numpy())
        cuts = np.unique(part.mean()[:, None] + np.arange(-9, 10) * part.std()[:, None])
        cuts = cuts[np.diff(cuts, prepend=-np.inf) > 1e-6]
        each.append(_entropy(part, cuts) - part.entropy().mean())
    assert found.tolist() == pytest.approx(each, abs=1e-6)
    assert found[3] == pytest.approx(math.log(2), abs=0.01)


def _entropy(parts, cuts):
    """Of the mixture of scipy's distributions, by adaptive quadrature between the cuts."""
    pieces = itertools.pairwise(cuts)
    return sum(integrate.quad(lambda z: special.entr(parts.pdf(z).mean()), *ends)[0] for ends in pieces)


def test_the_parts_add_up_to_the_kl(parts, correlated):
    """I + KL(q(z) || p(z)) is the mean KL, which has a closed form, within the standard errors of the two."""
    q, _, _ = correlated
    total = q.kl_units(StandardNormal(torch.zeros(3, dtype=torch.double))).sum(1).mean()
    estimate = parts.mutual_information.mean + parts.divergence.mean
    spread = parts.mutual_information.standard_error + parts.divergence.standard_error
    assert abs(estimate - float(total)) < 4 * spread


@pytest.fixture(scope="module")
def ladder():
    """Two levels of 3,000 examples x in the plane, all Gaussian: the covariance of (x, z_2, z_1), C, and the parts.

    q(z_2|x) = N(A x, I / 2); z_1 is proposed as N(B x, 1/4), and expected as N(C z_2, 1), in two units.
    """
    torch.manual_seed(0)
    x = torch.randn(3000, 2, dtype=torch.double)
    a, b, c = (torch.tensor(m, dtype=torch.double) for m in ([[0.6, 0.2]], [[0.3, 0.5], [-0.4, 0.3]], [[0.7], [-0.5]]))
    top = DiagonalGaussian(x @ a.T, torch.full((3000, 1), math.log(0.5), dtype=torch.double))
    z_2 = top.sample(1)[0]
    proposed = DiagonalGaussian(x @ b.T, torch.full((3000, 2), math.log(0.25), dtype=torch.double))
    expected = DiagonalGaussian(z_2 @ c.T, torch.zeros(3000, 2, dtype=torch.double))
    z_1 = proposed.merge(expected).sample(1)[0]
    rungs = [
        Top(z_2, top, StandardNormal(torch.zeros(1, dtype=torch.double))),
        Below(z_1, proposed, expected),
    ]
    # precisions 4 and 1 add up to 5: z_1 = 4/5 B x + 1/5 C z_2 + noise of variance 1/5
    make = torch.zeros(5, 5, dtype=torch.double)  # (x, z_2, z_1) of as many independent normals
    make[:2, :2] = torch.eye(2)
    make[2, :2], make[2, 2] = a, math.sqrt(0.5)
    make[3:] = 0.2 * c @ make[2:3]
    make[3:, :2] += 0.8 * b
    make[3:, 3:] += math.sqrt(0.2) * torch.eye(2)
    return (make @ make.T).numpy(), c.numpy(), decompose(rungs), mutual_information(rungs)


def entropy(covariance, of, given=()):
    """Of some of jointly Gaussian numbers, given others, but for the constant that information does without."""
    return 0.5 * (_log_volume(covariance, [*of, *given]) - _log_volume(covariance, [*given]))


def _log_volume(covariance, chosen):
    return np.linalg.slogdet(covariance[np.ix_(chosen, chosen)])[1] if chosen else 0.0


def test_a_lower_level_tells_what_is_left_to_tell_given_the_one_above(ladder):
    covariance, _, (top, lower), _ = ladder
    left = entropy(covariance, [3, 4], [2]) - entropy(covariance, [3, 4], [0, 1, 2])
    of_top = entropy(covariance, [2]) - entropy(covariance, [2], [0, 1])
    assert abs(top.mutual_information.mean - of_top) < 4 * top.mutual_information.standard_error
    assert abs(lower.mutual_information.mean - left) < 4 * lower.mutual_information.standard_error
    whole = entropy(covariance, [2, 3, 4]) - entropy(covariance, [2, 3, 4], [0, 1])
    both = (lower + top).mutual_information
    assert abs(both.mean - whole) < 4 * both.standard_error
    assert left > 20 * lower.mutual_information.standard_error  # there is something to tell
    for unit, found in zip([3, 4], lower.units.information.tolist(), strict=True):
        expected = entropy(covariance, [unit], [2]) - entropy(covariance, [unit], [0, 1, 2])
        assert found == pytest.approx(expected, abs=0.04)


def test_units_of_a_lower_level_depend_on_each_other_as_their_covariance_given_the_one_above_says(ladder):
    covariance, _, (_, lower), _ = ladder
    expected = sum(entropy(covariance, [unit], [2]) for unit in (3, 4)) - entropy(covariance, [3, 4], [2])
    found = lower.units.total_correlation
    assert abs(found.mean - expected) < 4 * found.standard_error


def test_the_divergence_of_a_lower_level_is_that_of_what_follows_from_the_one_above(ladder):
    """KL of two Gaussians whose means are linear in z_2, over which the square of their distance is averaged."""
    covariance, c, (_, lower), _ = ladder
    slope = covariance[3:, 2:3] / covariance[2, 2]
    left = covariance[3:, 3:] - slope @ covariance[2:3, 3:]
    gap = np.square(slope - c).sum() * covariance[2, 2]
    expected = 0.5 * (np.trace(left) + gap - 2 - np.linalg.slogdet(left)[1])
    assert abs(lower.divergence.mean - expected) < 4 * lower.divergence.standard_error


def test_a_z_is_as_dense_as_by_the_posteriors_that_the_model_merges():
    torch.manual_seed(0)
    proposed, expected = (DiagonalGaussian(torch.randn(n, 2, 3), torch.randn(n, 2, 3)) for n in (5, 4))
    z = torch.randn(4, 2, 3)
    found = units.merged_log_probs(proposed, expected, z)
    for i, j in itertools.product(range(4), range(5)):
        q = proposed[j : j + 1].merge(expected[i : i + 1])
        each = torch.distributions.Normal(q.mean, (0.5 * q.log_variance).exp()).log_prob(z[i])
        torch.testing.assert_close(found[i, j], each.flatten())


def test_information_by_itself_is_that_among_the_other_terms(ladder):
    _, _, parts, alone = ladder
    for part, information in zip(parts, alone, strict=True):
        assert torch.equal(part.mutual_information.values, information.values)


def test_a_top_that_tells_the_examples_apart_leaves_nothing_to_tell():
    top = DiagonalGaussian(100.0 * torch.arange(8)[:, None], torch.zeros(8, 1))
    torch.manual_seed(0)
    proposed = DiagonalGaussian(torch.randn(8, 2), torch.zeros(8, 2))
    expected = DiagonalGaussian(torch.zeros(8, 2), torch.zeros(8, 2))
    z = proposed.merge(expected).sample(1)[0]
    above = Top(top.sample(1)[0], top, StandardNormal(torch.zeros(1)))
    parts = decompose([above, Below(z, proposed, expected)])
    assert parts[0].mutual_information.mean == pytest.approx(math.log(8))
    assert parts[1].mutual_information.mean == pytest.approx(0, abs=1e-6)
    assert parts[1].units.information.tolist() == pytest.approx([0, 0], abs=1e-6)


def test_information_cannot_exceed_the_logarithm_of_the_examples():
    means = 100.0 * torch.arange(8)[:, None].float()
    parts = of_one_level(DiagonalGaussian(means, torch.zeros(8, 1)), StandardNormal(torch.zeros(1)))
    assert parts.mutual_information.mean == pytest.approx(math.log(8))


def chances(*shape):
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(0)).softmax(-1)


def of_table(joint):
    """The mutual information of the rows and the columns of a table of chances."""
    independent = np.outer(joint.sum(1), joint.sum(0))
    return float(special.rel_entr(joint, independent).sum())


@pytest.mark.parametrize("rest", [(), (2,)])
def test_categorical_variables_tell_what_the_table_of_their_chances_says(rest):
    """Two variables of three classes and eight examples: all nine pairs of classes can be summed over."""
    of_each = chances(8, 2, *rest, 3)
    q = OneHots(of_each.log().movedim(-1, 2).flatten(1, 2), 3)
    torch.manual_seed(1)
    parts = of_one_level(q, uniform_one_hots((6, *rest), 3, torch.zeros(1, dtype=torch.double)), draws=4000)
    each = of_each.flatten(1, -2).numpy()
    expected = [of_table(each[:, unit] / 8) for unit in range(each.shape[1])]
    assert parts.units.information.tolist() == pytest.approx(expected, abs=1e-9)
    pairs = functools.reduce(lambda a, b: np.einsum("na,nb->nab", a, b).reshape(8, -1), each.swapaxes(0, 1))
    information = of_table(pairs / 8)
    divergence = float(special.rel_entr(pairs.mean(0), 1 / pairs.shape[1]).sum())
    marginals = functools.reduce(np.multiply.outer, each.mean(0)).flatten()
    correlation = float(special.rel_entr(pairs.mean(0), marginals).sum())
    for estimate, exact in (
        (parts.mutual_information, information),
        (parts.divergence, divergence),
        (parts.units.total_correlation, correlation),
    ):
        assert abs(estimate.mean - exact) < 4 * estimate.standard_error


def test_units_of_both_kinds_stand_beside_each_other(correlated):
    gaussian = correlated[0][:200]
    kinds = OneHots(chances(200, 1, 4).log().flatten(1), 4)
    q = units.together([Product(gaussian[part], kinds[part], 3, -1) for part in (slice(0, 70), slice(70, 200))])
    expected = torch.cat([units.information(gaussian), units.information(kinds)])
    torch.testing.assert_close(units.information(q), expected)
    z = q.sample(1)[0][:5]
    pairs = units.log_probs(q, z)
    assert pairs.shape == (5, 200, 4)
    torch.testing.assert_close(pairs.sum(2), q.log_prob(z[:, None].expand(-1, 200, -1)))


def test_directions_that_point_everywhere_alike_tell_what_their_concentration_does():
    """On a circle, von Mises posteriors at evenly spread angles have the uniform aggregate but for a ripple."""
    n, kappa = 400, 20.0
    angles = 2 * math.pi * torch.arange(n, dtype=torch.double) / n
    q = VonMisesFisher(torch.stack([angles.cos(), angles.sin()], 1), torch.full((n,), kappa, dtype=torch.double))
    torch.manual_seed(0)
    parts = of_one_level(
        units.together([q[:100], q[100:]]), UniformOnSphere(torch.zeros(2, dtype=torch.double)), draws=20
    )
    expected = math.log(2 * math.pi) - float(stats.vonmises(kappa).entropy())
    assert abs(parts.mutual_information.mean - expected) < 4 * parts.mutual_information.standard_error
    assert parts.divergence.mean == pytest.approx(0, abs=1e-4)
    assert parts.units is None


def test_codes_tell_the_entropy_of_their_sequences():
    indices = torch.randint(3, (500, 4), generator=torch.Generator().manual_seed(0))
    indices[:, 3] = indices[:, 0]
    indices[:, 2] = 1
    log_prior = -torch.rand(500, dtype=torch.double) - 3
    parts = decompose_codes(indices, log_prior)
    _, counts = np.unique(indices.numpy(), axis=0, return_counts=True)
    assert parts.mutual_information.mean == pytest.approx(float(stats.entropy(counts)))
    each = [float(stats.entropy(np.bincount(place))) for place in indices.T.numpy()]
    assert parts.units.information.tolist() == pytest.approx(each)
    assert parts.units.total_correlation.mean == pytest.approx(sum(each) - float(stats.entropy(counts)))
    # the two parts of the rate, which is -log p of the codes
    assert parts.mutual_information.mean + parts.divergence.mean == pytest.approx(-float(log_prior.mean()))
