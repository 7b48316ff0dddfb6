"""Piano rolls from files."""

import numpy as np
import pytest
import torch

from vae_runner.data.music import Music
from vae_runner.data.space import Space
from vae_runner.errors import UserError

LENGTHS = {"train": [5, 12, 3, 7], "valid": [4, 4], "test": [9]}
GENERATOR = np.random.default_rng(0)


@pytest.fixture
def frames() -> dict[str, np.ndarray]:
    return {name: GENERATOR.integers(0, 2, (sum(own), 88), dtype=np.uint8) for name, own in LENGTHS.items()}


@pytest.fixture
def path(tmp_path, frames) -> str:
    arrays = {f"{name}_lengths": np.array(own, np.int32) for name, own in LENGTHS.items()}
    np.savez(tmp_path / "own.npz", **arrays, **{f"{name}_frames": own for name, own in frames.items()})
    return str(tmp_path / "own.npz")


def pieces(data, split) -> list[torch.Tensor]:
    """Each without its padding, which is checked to be silent."""
    batch = data.batch(split, torch.arange(len(split)))
    assert (batch.x * (1 - batch.mask) == 0).all()
    return [x[: int(mask.sum())] for x, mask in zip(batch.x, batch.mask, strict=True)]


def test_pieces_of_any_lengths_come_out_whole(path, frames):
    data = Music(path=path, steps=None, validation=None).open()
    assert data.space == Space((12, 88), "binary", ragged=True)
    for split, name in ((data.train, "train"), (data.validation, "valid"), (data.test, "test")):
        own = pieces(data, split)
        assert [len(piece) for piece in own] == LENGTHS[name]
        assert torch.equal(torch.cat(own), torch.from_numpy(frames[name]).float())


def test_long_pieces_go_on_in_further_examples(path, frames):
    data = Music(path=path, steps=5, validation=None).open()
    own = pieces(data, data.train)
    assert data.space.shape == (5, 88)
    assert [len(piece) for piece in own] == [5, 5, 5, 2, 3, 5, 2]
    assert torch.equal(torch.cat(own), torch.from_numpy(frames["train"]).float())


def test_or_their_rest_is_left_out(path, frames):
    data = Music(path=path, steps=5, cut=False, validation=None).open()
    own = pieces(data, data.train)
    assert [len(piece) for piece in own] == [5, 5, 3, 5]
    assert torch.equal(own[1], torch.from_numpy(frames["train"][5:10]).float())


def test_a_file_with_training_pieces_alone_is_divided(path, tmp_path, frames):
    lengths = [10] * 20
    np.savez(tmp_path / "one.npz", train_frames=np.zeros((200, 88), bool), train_lengths=lengths)
    data = Music(path=str(tmp_path / "one.npz"), validation=3).open()
    assert [len(split) for split in (data.train, data.validation, data.test)] == [15, 3, 2]


def test_a_missing_set_says_where_it_would_be_and_how_to_give_another(tmp_path):
    with pytest.raises(UserError, match=r"nottingham.npz; set data.root .* or data.path"):
        Music(set="nottingham", root=str(tmp_path)).open()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"test_frames": np.zeros((3, 88)), "test_lengths": [3]}, "train_frames and train_lengths are needed"),
        ({"train_frames": np.zeros((3, 88))}, "do not fit"),
        ({"train_frames": np.zeros((3, 88)), "train_lengths": [2]}, "do not fit"),
        ({"train_frames": np.zeros((3, 88)), "train_lengths": [3, 0]}, "do not fit"),
        ({"train_frames": np.full((3, 88), 2), "train_lengths": [3]}, "must be 0 or 1"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=message):
        Music(path=str(tmp_path / "bad.npz")).open()


def test_the_chorales_are_where_the_root_is(shared_data):
    data = Music(root=str(shared_data), validation=None).open()
    assert [len(split) for split in (data.train, data.validation, data.test)] == [229, 76, 77]
    assert data.space == Space((160, 88), "binary", ragged=True)
    assert sum(len(piece) for piece in pieces(data, data.test)) == 4725
