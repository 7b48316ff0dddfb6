"""What a recorded step is given, in memory that stays where it is."""

import pytest
import torch

from tests.training.recording.test_steps import fitting_of, state_of
from vae_runner.data.space import Batch
from vae_runner.training.batches import batches
from vae_runner.training.budget import Block
from vae_runner.training.recording.given import form_of, kept, overwrite

CASES = [
    ("variant=vae",),
    ("variant=ss_vae", "data.labels=40"),
    ("variant=cvae", "corruption=mask_block", "corruption.level=[0.1,0.5]"),
    ("variant=factor_vae", "data.binarize=stochastic"),
]


@pytest.fixture
def on_disk(tmp_path):
    random = torch.Generator().manual_seed(0)
    x = torch.randint(256, (300, 1, 8, 8), generator=random).to(torch.uint8)
    torch.save({"x": x, "y": torch.randint(10, (300,), generator=random)}, tmp_path / "digits.pt")
    where = [f"data.path={tmp_path / 'digits.pt'}", "data.in_memory=false"]
    return ["data=arrays", *where, "data.workers=0", "data.validation=0", "data.test=0"]


def trained(fitting, steps):
    coming = batches(fitting.experiment, fitting.budget, 0)
    for step in range(steps):
        fitting.step(next(coming), step)
    return [tensor.clone() for tensor in state_of(fitting)]


@pytest.mark.parametrize("overrides", CASES, ids=" ".join)
def test_steps_of_batches_from_disk_are_recorded_and_move_everything_as_plain_ones_do(tmp_path, on_disk, overrides):
    plain = fitting_of(tmp_path / "plain", *on_disk, *overrides, "trainer.record_steps=false")
    expected = trained(plain, 60)  # seven epochs, whose last batch is shorter
    recorded = fitting_of(tmp_path / "recorded", *on_disk, *overrides)
    found = trained(recorded, 60)
    kinds = recorded.take.recordings.values()
    assert len(kinds) >= 2
    assert all(recording.replay for recording in kinds)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6, equal_nan=True)


def test_batches_are_of_one_form_that_have_tensors_of_the_same_shapes():
    x, y = torch.zeros(4, 3), torch.zeros(4)
    plain, corrupted, labelled = Batch(x, x), Batch(x, x.clone()), Batch(x, x, y)
    assert form_of(plain) == form_of(Batch(*[x + 1] * 2))
    assert len({form_of(plain), form_of(corrupted), form_of(labelled), form_of(Batch(x[:2], x[:2]))}) == 4
    assert form_of(Block(torch.arange(4))) != form_of(Block(torch.arange(4), 7))


def test_what_is_kept_is_overwritten_and_shares_no_memory():
    x, input, mask = torch.rand(3, 4, 3)
    own = kept(Batch(x, input, mask=mask))
    overwrite(own, Batch(input, mask, mask=x))
    assert torch.equal(own.x, input)
    assert torch.equal(own.input, mask)
    assert torch.equal(own.mask, x)
    assert own.y is None
    target = kept(Batch(x, x))
    assert target.input is target.x
