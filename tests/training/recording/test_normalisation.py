"""What stands for the batch normalisation of a GPU's library does what torch's does."""

import pytest
import torch
import torch.nn.functional as F

from vae_runner.training.recording.normalisation import BATCH_NORM, backward, forward


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 2)])
def test_forward_and_backward(shape):
    torch.manual_seed(0)
    x, gradient = torch.randn(2, *shape, dtype=torch.float64)
    weight, bias = torch.randn(2, 3, dtype=torch.float64)
    mean, variance = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    moved = mean.clone(), variance.clone()
    leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    expected = F.batch_norm(leaves[0], *moved, *leaves[1:], training=True, momentum=0.3, eps=1e-3)
    expected.backward(gradient)

    y, *batch, kept = forward(x, weight, bias, mean, variance, True, 0.3, 1e-3)
    torch.testing.assert_close(y, expected.detach())
    for one, other in zip((mean, variance), moved, strict=True):
        torch.testing.assert_close(one, other)
    for one, leaf in zip(backward(x, gradient, weight, mean, variance, *batch, 1e-3, kept), leaves, strict=True):
        torch.testing.assert_close(one, leaf.grad)


def test_they_are_called_as_the_librarys_operators_are():
    """By the schemas, for there may be no such library here."""
    for operator, function in BATCH_NORM.items():
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        assert len(names) == len(operator._schema.arguments)
    (*_, momentum, eps), (x, gradient, *_) = (operator._schema.arguments for operator in BATCH_NORM)
    assert (momentum.name, eps.name) == ("exponential_average_factor", "epsilon")
    assert (x.name, gradient.name) == ("input", "grad_output")
