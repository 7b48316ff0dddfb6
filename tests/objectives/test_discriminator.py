import math

import pytest
import torch
import torch.nn.functional as F

from vae_runner.objectives.discriminator import Discriminator, FeatureDiscriminator, pass_for_real, slope, tell_apart


def test_the_discriminator_minimises_the_cross_entropy_of_its_verdicts():
    torch.manual_seed(0)
    real, fake = 3 * torch.randn(7), 3 * torch.randn(5)
    expected = F.binary_cross_entropy(real.sigmoid(), torch.ones(7))
    expected = expected + F.binary_cross_entropy(fake.sigmoid(), torch.zeros(5))
    torch.testing.assert_close(tell_apart(real, fake)[0], expected)


def test_guessing_costs_log_4():
    assert float(tell_apart(torch.zeros(3), torch.zeros(3))[0]) == pytest.approx(math.log(4))


def test_accuracy_counts_both_kinds_the_same():
    _, accuracy = tell_apart(torch.tensor([1.0, 2.0, -1.0, 3.0]), torch.tensor([-1.0, 1.0]))
    assert float(accuracy) == pytest.approx((0.75 + 0.5) / 2)


def test_the_generator_still_has_a_gradient_where_the_discriminator_is_sure():
    logit = torch.tensor([-30.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(pass_for_real(logit), logit)
    assert float(gradient) == pytest.approx(-1)  # of the loss that saturates it would be 1e-13


def test_a_trained_discriminator_is_as_accurate_as_can_be():
    """N(0, 1) against N(2, 1): the best rule is right with probability Phi(1) = 0.841."""
    torch.manual_seed(0)
    discriminator = Discriminator(1, width=16, depth=1)
    parameters = list(discriminator.parameters())
    for _ in range(200):
        loss, _ = tell_apart(discriminator(torch.randn(256, 1)), discriminator(torch.randn(256, 1) + 2))
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= 0.3 * gradient
    _, accuracy = tell_apart(discriminator(torch.randn(4000, 1)), discriminator(torch.randn(4000, 1) + 2))
    assert float(accuracy) == pytest.approx(0.841, abs=0.015)


def test_depth_zero_is_linear():
    discriminator = Discriminator(4, width=16, depth=0)
    x, y = torch.randn(2, 1, 4)
    torch.testing.assert_close(discriminator(x + y) + discriminator(0 * x), discriminator(x) + discriminator(y))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 17, 23), (1, 3, 4), (4, 28, 28), (7,)])
def test_features_of_examples_of_any_shape_are_each_its_own(shape):
    torch.manual_seed(0)
    discriminator = FeatureDiscriminator(shape, width=8)
    x = torch.rand(5, *shape)
    features, logits = discriminator(x)
    assert (features.ndim, logits.shape) == (2, (5,))
    alone, logit = discriminator(x[:1])
    torch.testing.assert_close((features[:1], logits[:1]), (alone, logit), atol=1e-5, rtol=1e-4)


def test_the_slope_is_that_of_finite_differences():
    torch.manual_seed(0)
    discriminator = Discriminator(3, width=8, depth=2).double()
    x, step = torch.randn(5, 3).double(), 1e-6
    with torch.no_grad():
        offsets = step * torch.eye(3).double()
        columns = [(discriminator(x + offset) - discriminator(x - offset)) / (2 * step) for offset in offsets]
        expected = torch.stack(columns).square().sum(0).mean() / 2
        given = slope(discriminator, x)
    torch.testing.assert_close(given.detach(), expected, rtol=1e-6, atol=0)
