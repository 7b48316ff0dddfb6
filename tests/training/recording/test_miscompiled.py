"""What torch's compiler is known to get wrong is taken as it was recorded, and is right."""

import pytest
import torch

from vae_runner.training.recording import compiled
from vae_runner.training.recording.compiled import CompiledStep
from vae_runner.training.recording.miscompiled import why_not_compiled
from vae_runner.training.recording.operators import Operators

INDICES, TURNED = torch.tensor([0, 2, 1]), torch.tensor([1, 2, 0])


def noted(function, *tensors):
    with (operators := Operators()):
        function(*tensors)
    assert operators.refused is None
    return operators


def added_by_result(x):
    y = x * 1.1
    y.index_add_(0, INDICES, y.clone())
    x.copy_(y)


def added_across_names(x):
    some, others = x.view(-1)[:6], x.view(-1)[2:8]
    some.add_(others.clone())


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.copy_(x.index_add(0, INDICES, x)),
        lambda x: x.index_add_(0, INDICES, x.clone()),
        lambda x: x.index_copy_(0, TURNED, x.clone()),
        lambda x: x.index_put_((INDICES,), x[0].clone(), accumulate=True),
        lambda x: x[1:].add_(x[:-1].clone()),
        lambda x: x.set_(x + 1),
        added_by_result,
        added_across_names,
    ],
)
def test_what_moves_numbers_within_a_tensor_is_not_compiled(monkeypatch, caplog, function):
    monkeypatch.setattr(compiled, "AFTER", 0)
    x, y = torch.linspace(-1, 1, 12).view(3, 4).clone(), torch.linspace(-1, 1, 12).view(3, 4).clone()
    for _ in range(3):
        function(x)
    step = CompiledStep(noted(function, y))
    step()
    step()
    torch.testing.assert_close(y, x)
    assert step._take is step._plain
    assert "the step is not compiled, and taken as it was recorded: " in caplog.text


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mul_(x),
        lambda x: x.copy_(torch.where(x > 0, x, x.clone())),
        lambda x: x.index_add_(0, INDICES, x * 2),
        lambda x: x[0].add_(x[1] * 2),
        lambda x: torch._foreach_add_([x[0], x[1]], [x[0] * 2, x[1] * 2]),
    ],
)
def test_what_computes_in_between_is(function):
    assert why_not_compiled(noted(function, torch.ones(3, 4))) is None
