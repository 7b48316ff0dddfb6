"""What a function did to memory is done again, and nothing else."""

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from vae_runner.training.recording.operators import Operators
from vae_runner.training.recording.pieces import InPieces
from vae_runner.training.recording.replay import replay_of


def noted(function):
    with (operators := Operators()):
        function()
    assert operators.refused is None
    return operators


def again(function):
    return replay_of(noted(function))


def training():
    """A network, and a step of its training."""
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 2)), torch.randn(4, 3)
    optimizer = torch.optim.Adam(network.parameters(), lr=torch.tensor(0.1), fused=True)

    def step():
        optimizer.zero_grad()
        network(x).square().sum().backward()
        optimizer.step()

    step()  # which makes the moments
    return network, step


def test_calling_it_again_does_what_another_call_would():
    plain, step = training()
    for _ in range(3):
        step()
    recorded, step = training()
    replay = again(step)
    replay()
    replay()
    for one, other in zip(plain.parameters(), recorded.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.add_(x.sum().item()),
        lambda x: x.add_(len(x[x > 0])),
        lambda x: x.add_(len(x.nonzero())),
        lambda x: x.add_(1) if x.sum() > 0 else x,
        lambda x: x.add_(len(torch.unique(x))),
    ],
)
def test_what_python_reads_of_a_tensor_is_refused(function):
    x = torch.randn(5)
    expected = x.clone()
    function(expected)
    with (operators := Operators()):
        function(x)
    assert operators.refused
    assert torch.equal(x, expected)  # it was called nevertheless


def test_an_index_of_numbers_is_no_such_thing():
    x, index, total = torch.randn(5), torch.tensor([1, 1, 4]), torch.zeros(3)
    replay = again(lambda: total.add_(x[index]))
    index.fill_(2)
    replay()
    torch.testing.assert_close(total, x[[1, 1, 4]] + x[2])


def test_lists_and_several_results_are_passed_on():
    x, out = torch.randn(4, 6), torch.zeros(4, 3)

    def function():
        first, second = x.split(3, 1)
        values, order = torch.cat([first.square(), second]).max(0)
        out.add_(values).add_(order)

    function()
    out.zero_()
    replay = again(function)
    once = out.clone()
    replay()
    torch.testing.assert_close(out, 2 * once)


def test_a_tensor_is_let_go_of_after_its_last_use(monkeypatch):
    x, out = torch.randn(1000), torch.zeros(())
    living = []

    def watched(tensor):
        living.append(weakref.ref(tensor))
        return sum(1 for reference in living if reference() is not None)

    seen = []
    real = torch.ops.aten.mul.Tensor

    class Multiply:
        namespace, is_view, tags = "aten", False, real.tags

        def __call__(self, *args):
            result = real(*args)
            seen.append(watched(result))
            return result

    with (operators := Operators()):
        y = x
        for _ in range(10):
            y = y * 2
        out.copy_(y.sum())
        del y
    operators.bound = {name: Multiply() if value is real else value for name, value in operators.bound.items()}
    gc.collect()
    replay_of(operators)()
    assert max(seen) <= 2


def test_a_name_for_memory_that_nobody_reads_by_it_is_left_out():
    x, out = torch.randn(4), torch.zeros(4)

    def function():
        x.view(2, 2)
        out.add_(x.view(4))

    with (operators := Operators()):
        function()
    replay_of(operators)()
    assert len(operators.calls) == 3
    torch.testing.assert_close(out, 2 * x)


def test_what_comes_of_numbers_alone_is_not_computed_again():
    x, out = torch.randn(4, 3), torch.zeros(4, 3)

    def function():
        gradient = -torch.ones_like(x.sum()).expand(4, 3) / 12
        out.add_(gradient * x)

    replay = again(function)
    out.zero_()
    assert [call.name for call in noted(replay).calls] == ["aten::sum", "aten::mul.Tensor", "aten::add_.Tensor"]
    torch.testing.assert_close(out, -x / 12)


def test_what_is_written_into_is_filled_anew_each_time():
    x, out = torch.ones(3), torch.zeros(3)

    def function():
        filled = torch.zeros(3)
        view, before = filled[:2], filled + 1
        view.add_(x[:2])
        out.add_(filled + before)

    replay = again(function)
    for times in (2, 3):
        x.mul_(1)
        replay()
        torch.testing.assert_close(out, times * torch.tensor([2.0, 2.0, 1.0]))


def test_random_numbers_between_constants_are_drawn_anew():
    out = torch.zeros(3)
    replay = again(lambda: out.copy_(torch.bernoulli(torch.full((3,), 0.5)) + torch.rand_like(torch.ones(3))))
    before = out.clone()
    replay()
    assert not torch.equal(out, before)


def test_views_of_what_stays_are_taken_once():
    weight, x, out = torch.randn(5, 3), torch.randn(2, 3), torch.zeros(2, 5)
    replay = again(lambda: out.add_(x @ weight.t()))
    weight.mul_(2)
    out.zero_()
    assert [call.name for call in noted(replay).calls] == ["aten::mm", "aten::add_.Tensor"]
    torch.testing.assert_close(out, x @ weight.t())


def test_views_of_what_is_moved_are_taken_each_time():
    x, others, out = torch.zeros(3), [torch.ones(3), torch.full((3,), 2.0)], torch.zeros(3)
    where = torch.zeros((), dtype=torch.int64)
    both = torch.stack(others)

    def function():
        x.set_(both.index_select(0, where[None])[0].clone())
        out.copy_(x.view(3))

    replay = again(function)
    where.fill_(1)
    replay()
    torch.testing.assert_close(out, others[1])


def test_calls_differ_by_what_python_gives_them():
    x, other, another, step = torch.randn(4), torch.randn(4), torch.randn(4), [0.0]

    def scaled():
        step[0] += 1
        x.mul_(step[0])

    alike = [noted(lambda: x.add_(torch.tensor(2.0)).mul_(0.5)) for _ in range(2)]
    assert alike[0].differs_from(alike[1]) is None
    assert noted(scaled).differs_from(noted(scaled)) == "Python gives aten::mul_.Tensor something else in each"
    assert noted(lambda: x.add_(other)).differs_from(noted(lambda: x.add_(x + 1))) == (
        "one calls 1 operators, and the next 2"
    )
    assert noted(lambda: x.add_(other)).differs_from(noted(lambda: x.add_(another))) == (
        "Python gives aten::add_.Tensor something else in each"
    )


@pytest.mark.parametrize("read", [torch.Tensor.tolist, torch.Tensor.numpy, np.asarray, np.from_dlpack])
def test_what_python_reads_of_memory_is_refused(read):
    x = torch.ones(5)
    with (operators := Operators()):
        x.add_(1 if max(read(x * 2)) > 100 else 0)
    assert "Python reads a tensor" in operators.refused


def test_what_is_one_in_memory_is_so_by_any_name():
    x = torch.zeros(2, 3)
    same, part = x.view(2, 3), x[1:]

    def function():
        x.add_(1)
        same.mul_(2)
        part.add_(same[1:])

    operators = noted(function)
    assert sum(isinstance(value, torch.Tensor) and value.dim() == 2 for value in operators.bound.values()) == 2
    replay_of(operators)()
    assert x.tolist() == [[6] * 3, [20] * 3]


def test_empty_tensors_are_not_one():
    x, y = torch.zeros(0), torch.zeros(0)
    operators = noted(lambda: (x.add_(1), y.add_(1)))
    assert sum(isinstance(value, torch.Tensor) and value.numel() == 0 for value in operators.bound.values()) == 2


def compiled_by_a_user():
    """A function that is compiled, and how many operators were, each time."""
    torch._dynamo.reset()  # older ones take the second function for the first
    sizes = []

    def backend(graph, _):
        sizes.append(len([node for node in graph.graph.nodes if node.op.startswith("call")]))
        return graph

    function = torch.compile(lambda x: x.sin().exp(), backend=backend)
    return function, sizes


@pytest.mark.parametrize("mode", [Operators, InPieces])
def test_modes_are_kept_out_of_what_a_user_compiled(mode):
    function, sizes = compiled_by_a_user()
    x = torch.ones(3)
    y = function(x)
    with mode():
        y = function(y)
    torch.testing.assert_close(y, x.sin().exp().sin().exp())
    assert sizes == [2]


def test_what_notes_operators_is_kept_out_of_what_its_user_compiled():
    function, sizes = compiled_by_a_user()
    x = torch.ones(3)
    x.add_(function(x))
    again(lambda: x.add_(function(x)))()
    y = torch.ones(3)
    for _ in range(3):
        y.add_(y.sin().exp())
    torch.testing.assert_close(x, y)
    assert sizes == [2]
