"""Steps on a GPU: those replayed from a CUDA graph do what plain ones do, for every recipe."""

import pytest
import torch

from tests.training.recording.test_steps import OTHERS, VARIANTS, fitting_of
from vae_runner.training.budget import Block
from vae_runner.training.recording import compiled
from vae_runner.training.recording.steps import WARM_UP, RecordedSteps

PRECISIONS = [("variant=iwae", "trainer.precision=bf16"), ("architecture=conv", "trainer.precision=tf32")]


def take(fitting, order, first, last):
    for step in range(first, last):
        size, shorter = (40, 0) if step % 3 else (24, 8)  # two kinds of batches
        length = fitting.experiment.data.space.shape[0] - shorter if fitting.experiment.model.any_length else None
        fitting.step(Block(order[step * 40 : step * 40 + size], length), step)


def state_of(fitting):
    tensors = [tensor for m in fitting.experiment.modules() for tensor in (*m.parameters(), *m.buffers())]
    return [tensor.detach().double().nan_to_num() for tensor in tensors]  # a bound may be infinite


@pytest.mark.parametrize("overrides", [*((variant,) for variant in VARIANTS), *OTHERS, *PRECISIONS], ids=" ".join)
def test_replayed_steps_move_everything_as_plain_ones_do(tmp_path, overrides):
    plain = fitting_of(tmp_path / "plain", *overrides, "trainer.record_steps=false")
    recorded = fitting_of(tmp_path / "recorded", *overrides)
    assert isinstance(recorded.take, RecordedSteps)
    assert not isinstance(plain.take, RecordedSteps)
    last = 3 * (WARM_UP + 2)
    order = plain.budget.order(0, 0).to(plain.experiment.device)
    torch.manual_seed(1)
    take(plain, order, 0, 2)  # libraries and optimizers make what they need
    torch.cuda.set_sync_debug_mode("error")  # from here on nothing may wait for the device
    try:
        take(plain, order, 2, last)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    random = torch.cuda.get_rng_state()
    torch.manual_seed(1)
    take(recorded, order, 0, last)
    assert not recorded.take.failed
    assert len(recorded.take.recordings) == 2
    assert torch.equal(random, torch.cuda.get_rng_state())
    sums = zip(plain.sums.names, plain.sums.epoch().values(), recorded.sums.epoch().values(), strict=False)
    for name, one, other in sums:
        assert other == pytest.approx(one, rel=1e-2, abs=1e-3), name
    for one, other in zip(state_of(plain), state_of(recorded), strict=True):
        # kernels that add in any order differ by rounding, which an optimizer that divides by it makes larger
        assert float((one - other).norm()) <= 2e-2 * float(one.norm()) + 1e-3


@pytest.mark.parametrize(
    "overrides",
    [
        *(("variant=vae",), ("variant=iaf_vae",), ("variant=factor_vae",), *PRECISIONS),
        ("optimizer=sgd", "scheduler=cosine", "trainer.gradient_clip=1"),
        ("optimizer=adamw", "scheduler=exponential", "trainer.ema=0.9", "kl=cyclical", "kl.free_bits=0.1"),
        # under Adam, a bias before such a layer moves by the rounding of its gradient, which is none
        ("optimizer=sgd", "corruption=mask_block", "corruption.level=[0.1,0.5]", "architecture.normalisation=batch"),
        ("architecture=resnet", "architecture.width=4", "trainer.precision=bf16", "data.binarize=stochastic"),
        ("condition=image", "variant=cvae", "architecture=conv", "architecture.width=4", "trainer.nonfinite=skip"),
    ],
    ids=" ".join,
)
def test_compiled_steps_move_everything_as_plain_ones_do(tmp_path, monkeypatch, caplog, overrides):
    monkeypatch.setattr(compiled, "AFTER", 0)
    plain = fitting_of(tmp_path / "plain", *overrides, "trainer.record_steps=false")
    fitting = fitting_of(tmp_path / "compiled", *overrides, "trainer.compile=true")
    order = plain.budget.order(0, 0).to(plain.experiment.device)
    with caplog.at_level("INFO", logger="vae_runner"):
        for one in (plain, fitting):
            torch.manual_seed(1)
            take(one, order, 0, 3 * (WARM_UP + 6))
    assert not fitting.take.failed, caplog.text
    assert all(recording.replay for recording in fitting.take.recordings.values())
    assert "the step is not compiled" not in caplog.text
    assert "cannot be recorded" not in caplog.text
    for one, other in zip(state_of(plain), state_of(fitting), strict=True):
        assert float((one - other).norm()) <= 2e-2 * float(one.norm()) + 1e-3


def test_a_step_that_is_not_finite_moves_nothing_when_it_is_replayed(tmp_path):
    fitting = fitting_of(tmp_path, "trainer.nonfinite=skip")
    order = fitting.budget.order(0, 0).to(fitting.experiment.device)
    take(fitting, order, 0, 3 * (WARM_UP + 2))
    before = state_of(fitting)
    (fitting.experiment.data.train.x).fill_(float("nan"))
    take(fitting, order, 16, 17)
    for one, other in zip(before, state_of(fitting), strict=True):
        assert torch.equal(one, other)
    step, names = fitting.sums.take_bad()
    assert step == 16
    assert "loss" in names


def test_where_a_step_cannot_be_recorded_plain_steps_go_on_and_the_reason_is_said(tmp_path, caplog):
    fitting, other = fitting_of(tmp_path / "one"), fitting_of(tmp_path / "other", "trainer.record_steps=false")
    waits = fitting.take.step
    fitting.take.step = lambda block, playing: (waits(block, playing), float(block.indices.sum()))
    order = fitting.budget.order(0, 0).to(fitting.experiment.device)
    with caplog.at_level("INFO"):
        for one in (fitting, other):
            torch.manual_seed(1)
            take(one, order, 0, 3 * (WARM_UP + 2))
    said = [record.message for record in caplog.records if "cannot be recorded" in record.message]
    assert len(said) == 1
    assert "previous error" not in said[0]
    for one, another in zip(state_of(fitting), state_of(other), strict=True):
        assert float((one - another).norm()) <= 2e-2 * float(one.norm()) + 1e-3
