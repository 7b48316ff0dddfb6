"""Updates written in operators move parameters and moments as torch's fused kernels do."""

import pytest
import torch

from vae_runner.training.recording.updates import adam, adamw, sgd

SHAPES = [(7, 5), (3,), (2, 3, 4)]
ADAM = {"lr": torch.tensor(1e-2), "eps": 1e-8, "amsgrad": False, "maximize": False}
SGD = {"lr": torch.tensor(1e-2), "dampening": 0.0, "maximize": False, "is_first_step": False}


def tensors(count, positive=()):
    made = [[torch.randn(shape) for shape in SHAPES] for _ in range(count)]
    return [[tensor.abs() for tensor in row] if number in positive else row for number, row in enumerate(made)]


def copied(lists):
    return [[tensor.clone() for tensor in row] for row in lists]


def compare(fused, written, lists, **settings):
    once, other = copied(lists), copied(lists)
    fused(*once, **settings)
    written(*other, **settings)
    for one, another in zip(once, other, strict=True):
        for row in zip(one, another, strict=True):
            torch.testing.assert_close(*row, rtol=1e-5, atol=1e-7)
    return once


@pytest.mark.parametrize("found", [None, 0.0, 1.0])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.9), (0.5, 0.9999)])
@pytest.mark.parametrize(("fused", "written"), [(torch._fused_adam_, adam), (torch._fused_adamw_, adamw)])
def test_adam(fused, written, betas, weight_decay, found):
    torch.manual_seed(0)
    lists = [*tensors(4, positive=[3]), [], [torch.tensor(float(steps)) for steps in (1, 2, 3000)]]
    settings = {"beta1": betas[0], "beta2": betas[1], "weight_decay": weight_decay, **ADAM}
    after = compare(fused, written, lists, **settings, found_inf=None if found is None else torch.tensor(found))
    assert torch.equal(after[0][0], lists[0][0]) == (found == 1)


@pytest.mark.parametrize("found", [None, 0.0, 1.0])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd(momentum, nesterov, weight_decay, found):
    torch.manual_seed(0)
    lists = tensors(3) if momentum else [*tensors(2), []]
    settings = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay, **SGD}
    after = compare(torch._fused_sgd_, sgd, lists, **settings, found_inf=None if found is None else torch.tensor(found))
    assert torch.equal(after[0][0], lists[0][0]) == (found == 1)


def test_numbers_that_are_not_finite_move_nothing_where_they_were_found():
    lists = [*tensors(4, positive=[3]), [], [torch.tensor(3.0)] * len(SHAPES)]
    lists[1][0].fill_(float("nan"))
    settings = {"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, **ADAM}
    before = copied(lists)
    adam(*lists, **settings, found_inf=torch.tensor(1.0))
    for number in (0, 2, 3):
        assert all(torch.equal(*pair) for pair in zip(lists[number], before[number], strict=True))
