"""What sources of sequences share: splits that follow one another in time, windows of them, and padding."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vae_runner.data.source import Stored
from vae_runner.data.splits import Examples, TensorSplit
from vae_runner.errors import UserError

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


def windows(split: TensorSplit, window: int, stride: int) -> TensorSplit:
    """Windows (n, window, ...) of one long sequence x (steps, ...); the label of one is the commonest of its steps'.

    Raises UserError where there are steps, but too few.
    """
    x, y = split.x, split.y
    if not len(x):
        return TensorSplit(x.new_zeros(0, window, *x.shape[1:]), y)
    if len(x) < window:
        raise UserError(
            f"data: windows of {window} steps do not fit into a split of {len(x)}; make them shorter, or "
            f"data.validation and data.test larger"
        )
    # views: overlapping windows take no memory of their own
    x = x.unfold(0, window, stride).movedim(-1, 1)
    return TensorSplit(x, None if y is None else y.unfold(0, window, stride).mode(-1).values)


def padded(parts: Mapping[str, Sequence[Tensor]]) -> dict[str, TensorSplit]:
    """Sequences (T_i, ...) of any lengths, split by split, filled up with zeros to the longest of all."""
    everything = [sequence for part in parts.values() for sequence in part]
    lengths = torch.tensor([len(sequence) for sequence in everything])
    sizes = [len(part) for part in parts.values()]
    x = pad_sequence(everything, batch_first=True).split(sizes)
    return {
        name: TensorSplit(own, lengths=length) for name, own, length in zip(parts, x, lengths.split(sizes), strict=True)
    }
