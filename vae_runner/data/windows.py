"""What sources of sequences share: splits that follow one another in time, windows of them, and padding."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vae_runner.data.source import Stored
from vae_runner.data.splits import Examples, TensorSplit
from vae_runner.errors import UserError

VERBS = {"train": "train on", "validation": "validate on", "test": "test on"}
Divided = tuple[Examples, Examples, Examples]


def in_time(stored: Stored, divided: Divided) -> Divided:
    """As many steps in each split as were divided at random, but the last ones to test on, those before to validate.

    A split of the source's own stays as it is.
    """
    own = (None, stored.validation, stored.test)
    end, splits = len(stored.train), list(divided)
    for i in (2, 1, 0):
        if splits[i] is not own[i]:
            start = end - len(splits[i])
            splits[i], end = stored.train.subset(torch.arange(start, end)), start
    return splits[0], splits[1], splits[2]


def require_room(key: str, window: int, origin: str, splits: Sequence[TensorSplit]) -> None:
    """Raises UserError where a window, which `key` sets, is longer than one of the splits in time, if it has steps."""
    lengths = dict(zip(("train", "validation", "test"), map(len, splits), strict=True))
    short = {name: steps for name, steps in lengths.items() if 0 < steps < window}
    if not short:
        return
    parts = ", ".join(f"{steps} to {VERBS[name]}" for name, steps in lengths.items() if steps)
    most = min(steps // 2 if name == "train" else steps for name, steps in lengths.items() if steps)
    larger = " and ".join(f"data.{name}" for name in short if name != "train")
    raise UserError(
        f"{key}={window}: {origin} has {sum(lengths.values())} steps, {parts}; type {key}={max(most, 1)} or less"
        + (f", or make {larger} larger" if larger and window <= sum(lengths.values()) // 4 else "")
    )


def windows(split: TensorSplit, window: int, stride: int) -> TensorSplit:
    """Windows (n, window, ...) of one long sequence x (steps, ...); the label of one is the commonest of its steps'.

    Of real-valued targets it is their mean.
    """
    x, y = split.x, split.y
    if not len(x):
        return TensorSplit(x.new_zeros(0, window, *x.shape[1:]), y)
    # views: overlapping windows take no memory of their own
    x = x.unfold(0, window, stride).movedim(-1, 1)
    if y is None:
        return TensorSplit(x)
    steps = y.unfold(0, window, stride)
    return TensorSplit(x, steps.mean(-1) if y.is_floating_point() else steps.mode(-1).values)


def padded(parts: Mapping[str, Sequence[Tensor]]) -> dict[str, TensorSplit]:
    """Sequences (T_i, ...) of any lengths, split by split, filled up with zeros to the longest of all."""
    everything = [sequence for part in parts.values() for sequence in part]
    lengths = torch.tensor([len(sequence) for sequence in everything])
    sizes = [len(part) for part in parts.values()]
    x = pad_sequence(everything, batch_first=True).split(sizes)
    return {
        name: TensorSplit(own, lengths=length) for name, own, length in zip(parts, x, lengths.split(sizes), strict=True)
    }
