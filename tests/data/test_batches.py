"""From stored examples to a batch."""

import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.data.in_memory import InMemory, numbered
from vae_runner.data.digits import Digits
from vae_runner.data.sprites import Sprites

GREY = torch.arange(256, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 4, 4)


class NoSynchronisation(TorchDispatchMode):
    """Fails on an operator that makes the host wait for the device."""

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique", "_to_cpu")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        self.seen.append(name)
        if name.startswith(self.FORBIDDEN):
            raise AssertionError(f"{name} synchronises")
        if name.startswith("index") and any(t is not None and t.dtype == torch.bool for t in _indices(args)):
            raise AssertionError("an index by booleans synchronises")
        return function(*args, **(kwargs or {}))


def _indices(args):
    return args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else []


def test_bytes_become_the_255th_parts_of_one():
    data = InMemory(GREY, validation=0, test=0).open()
    x = data.batch(data.train, torch.arange(256)).x
    assert x.dtype == torch.float32
    assert torch.equal(x[:, 0, 0, 0], torch.linspace(0, 255, 256) / 255)


def test_a_batch_has_the_examples_asked_for_in_their_order():
    data = InMemory(numbered(10), torch.arange(10), validation=0, test=0).open()
    batch = data.batch(data.train, torch.tensor([7, 2, 2]))
    assert torch.equal(batch.x, numbered(10)[[7, 2, 2]])
    assert batch.y.tolist() == [7, 2, 2]
    assert len(batch) == 3


def test_what_the_encoder_sees_is_the_target_itself_without_a_corruption():
    data = InMemory(numbered(10)).open()
    batch = data.batch(data.train, torch.arange(3))
    assert batch.input is batch.x


def test_a_corruption_changes_what_the_encoder_sees_and_not_the_target():
    data = InMemory(numbered(10)).open()
    data.corruption = lambda batch: dataclasses.replace(batch, input=torch.zeros_like(batch.x))
    batch = data.batch(data.train, torch.arange(3))
    assert batch.input.abs().sum() == 0
    assert batch.x.abs().sum() > 0


@pytest.mark.parametrize("binarize", ["none", "threshold", "stochastic"])
def test_a_batch_leaves_what_is_stored_as_it_was(binarize):
    data = InMemory(numbered(10), binarize=binarize, validation=0, test=0).open()
    data.batch(data.train, torch.arange(10)).x.fill_(7)
    assert torch.equal(data.train.take(torch.arange(10))[0], numbered(10))


def test_the_threshold_is_one_half():
    data = InMemory(GREY, binarize="threshold", validation=0, test=0).open()
    x = data.batch(data.train, torch.arange(256)).x[:, 0, 0, 0]
    assert x.tolist() == [0.0] * 128 + [1.0] * 128


def test_stochastic_binarisation_is_one_as_often_as_the_grey_level_says():
    data = InMemory(GREY, binarize="stochastic", validation=0, test=0).open()
    generator = torch.Generator().manual_seed(0)
    draws = 400
    x = torch.stack([data.batch(data.train, torch.arange(256), generator).x for _ in range(draws)])
    assert set(x.unique().tolist()) == {0.0, 1.0}
    level = torch.arange(256) / 255
    deviation = (level * (1 - level) / (draws * 16)).sqrt()
    error = (x.mean((0, 2, 3, 4)) - level).abs()
    assert (error <= 4.5 * deviation + 1e-7).all()  # exact where the level is 0 or 1


def test_stochastic_binarisation_is_drawn_afresh_for_each_batch():
    data = InMemory(GREY, binarize="stochastic", validation=0, test=0).open()
    first, second = (data.batch(data.train, torch.arange(256)).x for _ in range(2))
    assert 0.1 < (first != second).float().mean() < 0.5


def test_a_generator_of_its_own_repeats_the_binarisation_and_spares_the_global_state():
    data = InMemory(GREY, binarize="stochastic").open()
    state = torch.get_rng_state()
    first, second = (data.batch(data.train, torch.arange(50), torch.Generator().manual_seed(5)).x for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("binarize", ["none", "threshold", "stochastic"])
@pytest.mark.parametrize(
    "source",
    [
        lambda binarize: InMemory(GREY, torch.arange(256), binarize=binarize),
        lambda binarize: Digits(binarize=binarize),
        lambda binarize: Sprites(scales=[5], orientations=[0, 3], positions_x=[0, 9], binarize=binarize),
    ],
    ids=["bytes", "digits", "sprites"],
)
def test_a_batch_never_waits_for_the_device(source, binarize):
    data = source(binarize).open()
    indices = torch.tensor([3, 1, 2])
    with NoSynchronisation() as watched:
        data.batch(data.train, indices)
    assert watched.seen


def test_the_watch_for_synchronisation_catches_an_item():
    with pytest.raises(AssertionError, match="synchronises"), NoSynchronisation():
        torch.ones(1).sum().item()


def test_moving_keeps_everything_but_the_device():
    data = InMemory(numbered(10), torch.arange(10)).open()
    data.corruption = torch.zeros_like
    moved = data.to("meta")
    assert moved.space == data.space
    assert moved.corruption is data.corruption
    assert moved.train.take(torch.arange(2, device="meta"))[0].device.type == "meta"
    assert data.train.take(torch.arange(2))[0].device.type == "cpu"
