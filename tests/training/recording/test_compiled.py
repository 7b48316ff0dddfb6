"""A step that is compiled does what it does as it was recorded, and a compiler that fails costs nothing."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from tests.training.recording.test_steps import OTHERS, VARIANTS, fitting_of, state_of, steps
from vae_runner.errors import UserError
from vae_runner.training.recording import compiled
from vae_runner.training.recording import steps as recorded_steps
from vae_runner.training.recording.compiled import CompiledStep, in_memory
from vae_runner.training.recording.operators import Operators
from vae_runner.training.recording.steps import WARM_UP, NotRecorded, graph_of_compiled

COUNT = 3 * (WARM_UP + 3)


@pytest.fixture
def traced(monkeypatch):
    """Compiles at once, and all but the kernels."""
    monkeypatch.setattr(compiled, "AFTER", 0)
    monkeypatch.setattr(compiled, "COMPILER", {"backend": "aot_eager"})


def noted(function):
    with (operators := Operators()):
        function()
    assert operators.refused is None
    return operators


def plain_and_compiled(tmp_path, *overrides):
    """Two fits after as many steps of two kinds, the second with what it was left to replay."""
    plain = fitting_of(tmp_path / "plain", *overrides, "trainer.record_steps=false")
    steps(plain, COUNT)
    random = torch.get_rng_state()
    fitting = fitting_of(tmp_path / "compiled", *overrides, "trainer.compile=true")
    steps(fitting, COUNT)
    assert torch.equal(random, torch.get_rng_state())
    atol = 5e-4 if "trainer.precision=bf16" in overrides else 1e-5
    for one, other in zip(state_of(plain), state_of(fitting), strict=True):
        # sums of figures of which some are differences of others, a total correlation of densities
        rounding = 1e-6 * float(one.detach().abs().max()) if one.numel() else 0.0
        torch.testing.assert_close(one, other, rtol=1e-4, atol=max(atol, rounding))
    replays = [recording.replay for recording in fitting.take.recordings.values()]
    assert len(replays) == 2
    assert all(replay.settled for replay in replays)
    return plain, fitting, [replay._take is not replay._plain for replay in replays]


SLOW = [pytest.mark.slow]
# of each family one, and what is unlike the others in what it updates; the rest by hand
QUICK = ("factor_vae", "hvae", "vq_vae", "vrae")
# dropout in the order of another layout; and biases that Adam moves by the rounding of a gradient that is none
DIFFERENT = {"variant=vq_vae": "prior.dropout=0", "architecture.normalisation=batch": "optimizer=sgd"}
RECIPES = [
    pytest.param((*overrides, *(DIFFERENT[one] for one in overrides if one in DIFFERENT)), marks=[] if few else SLOW)
    for overrides, few in [
        *(((variant,), variant.removeprefix("variant=") in QUICK) for variant in VARIANTS),
        *((others, {"variant=vrnn", "variant=vrae", "kl=linear"}.isdisjoint(others)) for others in OTHERS),
    ]
]


@pytest.mark.parametrize("overrides", RECIPES, ids=" ".join)
def test_what_is_given_to_the_compiler_moves_everything_as_plain_steps_do(tmp_path, traced, caplog, overrides):
    with caplog.at_level("INFO", logger="vae_runner"):
        *_, are_compiled = plain_and_compiled(tmp_path, *overrides)
    recurrent = [variant for variant in ("vrae", "vrnn") if f"variant={variant}" in overrides]
    assert are_compiled == 2 * [not recurrent]
    # oneDNN's recurrent layers take what the compiler cannot give them; unrolled ones are too much
    assert ("the step is not compiled" in caplog.text) == bool(recurrent)


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.parametrize(
    "overrides",
    [
        # with several draws in a step, of which the order must stay
        (
            *("optimizer=sgd", "architecture.normalisation=batch", "trainer.nonfinite=skip", "trainer.gradient_clip=1"),
            *("corruption=mask_block", "corruption.level=[0.1,0.5]"),
        ),
        ("architecture=conv", "architecture.width=4", "trainer.precision=bf16", "trainer.ema=0.9"),
    ],
    ids=" ".join,
)
def test_compiled_kernels_move_everything_as_plain_steps_do(tmp_path, monkeypatch, overrides):
    monkeypatch.setattr(compiled, "AFTER", 0)
    *_, are_compiled = plain_and_compiled(tmp_path, *overrides)
    assert are_compiled == [True, True]


def test_a_step_is_compiled_once_it_was_taken_often(monkeypatch, traced):
    monkeypatch.setattr(compiled, "AFTER", 3)
    x, y = torch.zeros(3), torch.ones(3)
    step = CompiledStep(noted(lambda: x.add_(y.cos().exp())))
    for turn in range(5):
        assert step.settled == (turn > 3)
        step()
    assert step._take is not step._plain
    torch.testing.assert_close(x, 6 * y.cos().exp())


def test_as_many_steps_are_compiled_as_there_are(traced):
    x = torch.zeros(3)
    for factor in range(10):
        step = CompiledStep(noted(lambda factor=factor: x.add_(x.cos() * factor)))
        step()
        assert step._take is not step._plain


@pytest.mark.parametrize("fails", [False, True])
def test_where_the_compiler_does_not_do_it_the_step_is_taken_as_recorded(tmp_path, monkeypatch, caplog, fails):
    def backend(*_):
        raise RuntimeError("no compiler here\nand more of that")

    monkeypatch.setattr(compiled, "AFTER", 0)
    monkeypatch.setattr(compiled, "COMPILER", {"backend": backend})
    if not fails:
        monkeypatch.setattr(compiled, "LARGEST", 10)
    with caplog.at_level("INFO", logger="vae_runner"):
        plain, fitting, are_compiled = plain_and_compiled(tmp_path)
    assert are_compiled == [False, False]
    why = ", and taken as it was recorded: RuntimeError: no compiler here\n" if fails else ": for its 1"
    assert f"the step is not compiled{why}" in caplog.text
    for one, other in zip(state_of(plain), state_of(fitting), strict=True):
        assert torch.equal(one, other)


def test_where_the_compiler_has_no_place_for_its_files_the_step_is_taken_as_recorded(tmp_path):
    """In a process of its own, for it asks for them as it is imported."""
    (tmp_path / "file").touch()
    script = """
import torch
from vae_runner.training.recording import compiled, operators

compiled.AFTER = 0
x = torch.zeros(3)
with (noted := operators.Operators()):
    x.add_(x.cos())
compiled.CompiledStep(noted)()
print(x.tolist() == (torch.ones(3) + torch.ones(3).cos()).tolist())
"""
    variables = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "file" / "cache")}
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
    assert "the step is not compiled, and taken as it was recorded: [Errno 20] Not a directory" in done.stderr


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("same", [lambda x: x * 1.0, lambda x: x + 0, lambda x: x / 1])
def test_the_compiler_takes_nothing_for_another_name_of_what_is_written_into(monkeypatch, same):
    monkeypatch.setattr(compiled, "AFTER", 0)

    def stepped(recorded):
        x, total = torch.ones(3), torch.zeros(3)

        def function():
            y = x.cos()
            of_x, of_y = same(x), same(y)
            x.add_(1)
            y.mul_(x)
            total.add_(of_x).add_(of_y).add_(y)

        step = CompiledStep(noted(function)) if recorded else function
        for _ in range(4 - recorded):
            step()
        assert not recorded or step._take is not step._plain
        return total

    torch.testing.assert_close(stepped(True), stepped(False))


@pytest.mark.parametrize("inductor", [False, True])
def test_memory_that_is_shared_is_written_into_by_all_its_names(monkeypatch, inductor):
    monkeypatch.setattr(compiled, "AFTER", 0)
    if not inductor:
        monkeypatch.setattr(compiled, "COMPILER", {"backend": "aot_eager"})
    elif shutil.which("g++") is None:
        pytest.skip("there is no C++ compiler")

    def stepped(recorded):
        memory, alone = torch.linspace(0, 1, 30), torch.zeros(7)[2:]
        rows, some, whole = memory.view(6, 5), memory[3:8], memory.view(5, 6).t()

        def function():
            seen = rows * 2
            some.add_(alone.cos())
            whole.mul_(0.5).add_(seen)
            alone.add_(rows[0] + some)

        step = CompiledStep(noted(function)) if recorded else function
        for _ in range(4 - recorded):
            step()
        assert not recorded or step._take is not step._plain
        return memory, alone

    for one, other in zip(stepped(True), stepped(False), strict=True):
        torch.testing.assert_close(one, other)


def test_what_the_compiler_is_given_is_no_view():
    memory = torch.zeros(12)
    tensors = {"a": memory[:4], "b": memory.view(3, 4).t(), "c": torch.zeros(9)[3:].view(2, 3), "d": torch.zeros(2)}
    given, views = in_memory(tensors)
    assert not any(tensor._is_view() for tensor in given.values())
    assert [view.gives for view in views] == [["a"], ["b"]]
    namespace = {**given, "as_strided": torch.as_strided}
    for view in views:
        exec(f"{view.targets} = {view.text}", namespace)
    for name, tensor in tensors.items():
        again = namespace[name]
        assert (again.data_ptr(), again.shape, again.stride()) == (tensor.data_ptr(), tensor.shape, tensor.stride())


def test_random_numbers_that_nobody_takes_are_drawn(monkeypatch, traced):
    x = torch.ones(3)

    def function():
        torch.rand(3)
        torch.dropout(x, 0.5, train=True)
        x.add_(x.cos() * torch.rand(3))

    function()
    step = CompiledStep(noted(function))
    step()
    torch.manual_seed(0)
    function()
    expected = torch.get_rng_state()
    torch.manual_seed(0)
    step()
    assert step._take is not step._plain
    assert torch.equal(torch.get_rng_state(), expected)


def test_on_a_gpu_the_compiled_step_is_what_the_graph_is_recorded_of(tmp_path, monkeypatch, traced):
    """With a stand-in for the graph, which calls what it was recorded of."""
    monkeypatch.setattr(compiled, "AFTER", 2)
    recorded = []

    def graph(function, earlier):
        recorded.append(function)
        function()
        return function, None

    monkeypatch.setattr(recorded_steps, "cuda_graph", graph)
    plain = fitting_of(tmp_path / "plain", "trainer.record_steps=false")
    fitting = fitting_of(tmp_path / "compiled")
    fitting.take.record = lambda function, seen: graph_of_compiled(fitting.experiment.modules(), function, seen)
    for one in (plain, fitting):
        torch.manual_seed(1)
        steps(one, 3 * (WARM_UP + 8))
    assert len(recorded) == 2
    assert all(isinstance(step, CompiledStep) and step._take not in (None, step._plain) for step in recorded)
    # a graph reads the memory of constants, and of whatever was there before, and keeps none of it
    assert [recording.seen for recording in fitting.take.recordings.values()] == recorded
    for one, other in zip(state_of(plain), state_of(fitting), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_step_that_cannot_be_recorded_on_a_gpu_is_not_compiled():
    x = torch.ones(3)
    with pytest.raises(NotRecorded, match="Python reads what aten::_local_scalar_dense gives"):
        graph_of_compiled([], lambda: x.add_(float(x.sum())), None)


def test_steps_that_are_not_recorded_are_not_compiled_and_that_is_said(tmp_path, caplog):
    fitting_of(tmp_path / "run", "optimizer=rmsprop", "trainer.compile=true")
    assert caplog.messages == ["trainer.compile: steps are not compiled where they are not recorded"]


def test_compiling_without_recording_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"type trainer.record_steps=true"):
        fitting_of(tmp_path, "trainer.record_steps=false", "trainer.compile=true")
