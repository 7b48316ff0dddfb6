import pytest
import torch
from scipy import stats
from torch import distributions as oracle

from tests.distributions.quadrature import plane
from vae_runner.data.space import Space
from vae_runner.distributions.likelihoods.bernoulli import Bernoulli
from vae_runner.distributions.likelihoods.continuous_bernoulli import ContinuousBernoulli
from vae_runner.distributions.likelihoods.gaussian import Gaussian
from vae_runner.distributions.likelihoods.laplace import Laplace
from vae_runner.distributions.numerics import bernoulli_log_prob
from vae_runner.errors import UserError

IMAGE, PAIR, NUMBER = (Space(shape, "unit") for shape in [(2, 3, 4), (2,), (1,)])
REAL, BINARY = Space((2, 3, 4), "real"), Space((2, 3, 4), "binary")
VARIANCES = ["fixed", "shared", "pixel"]
LOGITS = [-20.0, -5.0, -0.21, -0.19, -1e-3, -1e-8, 0.0, 1e-8, 1e-6, 1e-3, 0.1, 0.19, 0.21, 1.0, 5.0, 20.0]


def double(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64)


def test_bernoulli_equals_torch_distributions_on_binary_data():
    logits, x = double(5, *BINARY.shape), torch.randint(2, (5, *BINARY.shape)).double()
    expected = oracle.Bernoulli(logits=logits)
    px = Bernoulli(BINARY)(logits)
    torch.testing.assert_close(px.log_prob(x), expected.log_prob(x).flatten(1).sum(1))
    torch.testing.assert_close(px.mean, expected.mean)


@pytest.mark.parametrize("size", [1, 6, 7, 40, 784])  # of an event: its logarithms are taken of 1 to 16 factors
@pytest.mark.parametrize("scale", [0.01, 3.0, 200.0])
def test_bernoulli_equals_torch_distributions_on_grey_levels_to_the_rounding_of_its_sum(size, scale):
    logits, x = scale * torch.randn(50, size), torch.rand(50, size)
    expected = oracle.Bernoulli(logits=logits.double(), validate_args=False).log_prob(x.double()).sum(1)
    found = Bernoulli(Space((size,), "unit"))(logits).log_prob(x)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 1)])
def test_masked_values_have_no_part_in_the_bernoulli_nor_in_its_gradient(shape):
    logits, x = double(4, 3, 5).requires_grad_(), torch.rand(4, 3, 5, dtype=torch.float64)
    mask = (torch.rand(shape) < 0.5).double()
    expected = (oracle.Bernoulli(logits=logits, validate_args=False).log_prob(x) * mask).flatten(1).sum(1)
    found = Bernoulli(Space((3, 5), "unit"))(logits).log_prob(x, mask)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(each.square().sum(), logits) for each in (found, expected)))


@pytest.mark.parametrize("masked", [False, True])
def test_the_bernoulli_can_be_differentiated_twice_by_logits_and_by_data(masked):
    logits, x = torch.randn(2, 3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    given = logits.requires_grad_(), x.requires_grad_(), torch.tensor([1.0, 0.0, 1.0]).double() if masked else None
    assert torch.autograd.gradcheck(bernoulli_log_prob, given)
    assert torch.autograd.gradgradcheck(bernoulli_log_prob, given)


def test_the_bernoulli_mass_of_all_binary_examples_is_one():
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 6)
    px = Bernoulli(Space((6,), "binary"))(torch.randn(6).expand(64, 6))
    assert px.log_prob(x).exp().sum().item() == pytest.approx(1, rel=1e-5)


def test_bernoulli_on_grey_levels_is_the_expected_log_mass_of_coins_thrown_by_them():
    logits, x = double(1, 3), torch.tensor([[0.2, 0.5, 0.9]], dtype=torch.float64)
    coins = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    chance = torch.where(coins == 1, x, 1 - x).prod(1)
    px = Bernoulli(Space((3,), "unit"))
    expected = (chance * px(logits.expand(8, 3)).log_prob(coins)).sum()
    torch.testing.assert_close(px(logits).log_prob(x)[0], expected)


@pytest.mark.parametrize("logit", LOGITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_continuous_bernoulli_integrates_to_one_and_to_its_mean(logit, dtype):
    x, weights = plane([[0.0, 0.5, 1.0]] * 2)
    logits = torch.tensor([logit, -0.3], dtype=dtype)
    px = ContinuousBernoulli(PAIR)(logits.expand(len(x), 2))
    density = px.log_prob(x.to(dtype)).double().exp() * weights
    assert density.sum().item() == pytest.approx(1, rel=1e-5)
    torch.testing.assert_close(px.mean[0].double(), density @ x, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("logit", LOGITS)
def test_the_gradient_of_the_continuous_bernoulli_is_its_moment_condition(logit):
    # an exponential family in its natural parameter: d log p / dl = x - E[x]
    x, weights = plane([[0.0, 0.5, 1.0]] * 2)
    logits = torch.full((1, 1), logit, requires_grad=True)
    log_prob = ContinuousBernoulli(NUMBER)(logits.expand(len(x), 1)).log_prob(x[:, :1].float())
    mean = (log_prob.double().exp() * weights * x[:, 0]).sum()
    (gradient,) = torch.autograd.grad(log_prob[0], logits)
    assert gradient.item() == pytest.approx((x[0, 0] - mean).item(), rel=2e-4, abs=2e-6)


def test_the_continuous_bernoulli_can_be_differentiated_twice():
    logits = torch.tensor([[-9.0, -0.3, -0.1, 0.0, 0.1, 2.0]], dtype=torch.float64, requires_grad=True)
    x = torch.rand(1, 6, dtype=torch.float64)
    likelihood = ContinuousBernoulli(Space((6,), "unit"))
    assert torch.autograd.gradcheck(lambda logits: likelihood(logits).log_prob(x), logits)
    assert torch.autograd.gradgradcheck(lambda logits: likelihood(logits).log_prob(x), logits)


def test_continuous_bernoulli_equals_torch_distributions():
    logits, x = 3 * double(5, *IMAGE.shape), torch.rand(5, *IMAGE.shape, dtype=torch.float64)
    expected = oracle.ContinuousBernoulli(logits=logits)
    px = ContinuousBernoulli(IMAGE)(logits)
    torch.testing.assert_close(px.log_prob(x), expected.log_prob(x).flatten(1).sum(1), rtol=1e-6, atol=0)
    torch.testing.assert_close(px.mean, expected.mean, rtol=1e-6, atol=0)


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize(("family", "expected"), [(Gaussian, oracle.Normal), (Laplace, oracle.Laplace)])
def test_gaussian_and_laplace_equal_torch_distributions(family, expected, variance):
    likelihood = family(REAL, variance=variance, scale=0.7).double()
    px = likelihood(double(5, *likelihood.parameter_shape))
    x = double(5, *REAL.shape)
    torch.testing.assert_close(px.log_prob(x), expected(px.mean, px.log_scale.exp()).log_prob(x).flatten(1).sum(1))


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("family", [Gaussian, Laplace])
def test_gaussian_and_laplace_integrate_to_one_in_two_dimensions(family, variance):
    likelihood = family(PAIR, variance=variance, scale=0.7)
    parameters = torch.randn(1, *likelihood.parameter_shape)
    px = likelihood(parameters)
    widths = (60 * px.log_scale.exp()).expand(1, 2)[0].tolist()
    x, weights = plane([[m - w, m, m + w] for m, w in zip(px.mean[0].tolist(), widths, strict=True)], nodes=120)
    density = likelihood(parameters.expand(len(x), -1)).log_prob(x).exp()
    assert (density * weights).sum().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("family", [Gaussian, Laplace])
def test_a_fixed_scale_is_the_scale(family):
    px = family(REAL, scale=0.25)(torch.randn(3, *REAL.shape))
    assert px.log_scale.exp().item() == pytest.approx(0.25)
    assert not list(family(REAL).parameters())


@pytest.mark.parametrize("variance", ["shared", "pixel"])
@pytest.mark.parametrize("family", [Gaussian, Laplace])
def test_a_learned_scale_starts_at_the_scale(family, variance):
    likelihood = family(REAL, variance=variance, scale=0.25)
    scale = likelihood(torch.zeros(3, *likelihood.parameter_shape)).log_scale.exp()
    torch.testing.assert_close(scale, torch.full_like(scale, 0.25), rtol=0.01, atol=0)


@pytest.mark.parametrize(
    ("family", "size"), [(Gaussian, lambda e: e.square().mean().sqrt()), (Laplace, lambda e: e.abs().mean())]
)
def test_a_shared_scale_learns_the_size_of_the_errors(family, size):
    likelihood = family(REAL, variance="shared", scale=1.0)
    x, parameters = 3 * torch.randn(50, *REAL.shape), torch.zeros(50, *REAL.shape)
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        (-likelihood(parameters).log_prob(x).mean()).backward()
        optimizer.step()
    torch.testing.assert_close(likelihood(parameters).log_scale.exp(), size(x), rtol=1e-3, atol=0)


def test_a_learned_scale_is_bounded_from_below_and_can_return():
    likelihood = Gaussian(NUMBER, variance="pixel", scale=1.0)
    parameters = torch.tensor([[0.0, -8.0]], requires_grad=True)
    px = likelihood(parameters)
    assert 1 / 150 < px.log_scale.exp().item() < 1 / 135
    px.log_prob(torch.ones(1, 1)).sum().backward()
    assert parameters.grad[0, 1] > 0


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        (Bernoulli, {}),
        (ContinuousBernoulli, {}),
        *[(family, {"variance": variance}) for family in (Gaussian, Laplace) for variance in VARIANCES],
    ],
)
def test_a_mask_leaves_out_what_it_hides(family, settings):
    whole, row = family(Space((2, 3, 4), "unit"), **settings), family(Space((2, 1, 4), "unit"), **settings)
    parameters, x = torch.randn(5, *whole.parameter_shape), torch.rand(5, 2, 3, 4)
    mask = torch.zeros(5, 1, 3, 1)
    mask[:, :, 1] = 1
    visible = row(parameters[:, :, 1:2]).log_prob(x[:, :, 1:2])
    torch.testing.assert_close(whole(parameters).log_prob(x, mask), visible)
    torch.testing.assert_close(whole(parameters).log_prob(x, torch.ones(5, 2, 3, 4)), whole(parameters).log_prob(x))


@pytest.mark.parametrize("logit", [-20.0, -1.0, 0.0, 1e-7, 0.3, 4.0, 20.0])
def test_samples_of_the_continuous_bernoulli_follow_it(logit):
    px = ContinuousBernoulli(NUMBER)(torch.full((5000, 1), logit))
    expected = oracle.ContinuousBernoulli(logits=torch.tensor(logit, dtype=torch.float64), validate_args=False)
    x = px.sample()[:, 0].double()
    assert stats.kstest(x.numpy(), lambda at: expected.cdf(torch.as_tensor(at)).numpy()).pvalue > 1e-3


@pytest.mark.parametrize(("family", "expected"), [(Gaussian, stats.norm), (Laplace, stats.laplace)])
def test_samples_of_gaussian_and_laplace_follow_them(family, expected):
    likelihood = family(NUMBER, variance="pixel", scale=0.5)
    px = likelihood(torch.tensor([[1.5, 0.8]]).expand(5000, 2))
    x = px.sample()[:, 0].double().numpy()
    assert stats.kstest(x, expected(1.5, px.log_scale[0].exp().item()).cdf).pvalue > 1e-3


def test_samples_of_the_bernoulli_are_zeros_and_ones_at_its_rate():
    px = Bernoulli(NUMBER)(torch.full((20_000, 1), 0.7))
    x = px.sample()
    assert set(x.unique().tolist()) == {0.0, 1.0}
    assert x.mean().item() == pytest.approx(px.mean[0].item(), abs=0.02)


@pytest.mark.parametrize("family", [Bernoulli, ContinuousBernoulli, Gaussian, Laplace])
def test_means_and_samples_have_the_shape_of_the_data(family):
    likelihood = family(IMAGE)
    px = likelihood(torch.randn(5, *likelihood.parameter_shape))
    assert px.mean.shape == px.sample().shape == (5, *IMAGE.shape)
    assert px.log_prob(torch.rand(5, *IMAGE.shape)).shape == (5,)


def test_only_a_scale_per_pixel_needs_more_parameters_than_values():
    assert Gaussian(REAL).parameter_shape == Laplace(REAL, variance="shared").parameter_shape == (2, 3, 4)
    assert Gaussian(REAL, variance="pixel").parameter_shape == (4, 3, 4)
    assert Bernoulli(IMAGE).parameter_shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("family", "support", "fix"),
    [
        (Bernoulli, "real", "likelihood=gaussian"),
        (ContinuousBernoulli, "real", "likelihood=gaussian"),
        (ContinuousBernoulli, "binary", "likelihood=bernoulli"),
    ],
)
def test_data_outside_the_support_is_refused_with_the_fix(family, support, fix):
    with pytest.raises(UserError, match=f"likelihood={family.option} .*{fix}"):
        family(Space((4,), support))


@pytest.mark.parametrize("family", [Bernoulli, ContinuousBernoulli, Gaussian, Laplace])
def test_every_support_is_taken_or_has_a_fix(family):
    assert family.supports | set(family.fixes) == {"binary", "unit", "real"}
    assert not family.supports & set(family.fixes)
