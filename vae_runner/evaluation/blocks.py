"""The examples that figures are of, block by block.

Sequences of different lengths may come in blocks of like lengths, each without the steps that none of its sequences
has: recurrent networks then compute about half as much. What is a mean over examples is the same of any blocks, but for
the noise that each example is given.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.splits import Split, TensorSplit, mixed

BLOCK = 1000  # examples at a time, or fewer, so that a block has at most
VALUES = 2**21  # values: networks make tens of numbers of each
LEAST = 4  # blocks of like lengths, of however few examples


@dataclass(frozen=True)
class Block:
    """indices: of its examples in the split (n,), on the device. places: theirs in the order of `mixed` (n,), on the
    host. steps: that sequences are cut to; None: as long as they are stored."""

    indices: Tensor
    places: Tensor
    steps: int | None = None

    def first(self, number: int) -> Tensor:
        """Which of its examples are among the first `number` in the order of `mixed` (m,), on the host."""
        return (self.places < number).nonzero()[:, 0]


def size_of_block(split: Split) -> int:
    return max(1, min(BLOCK, VALUES // math.prod(split.shape)))


def blocks(
    split: Split, device: torch.device, limit: int | None = None, *, size: int | None = None, by_length: bool = False
) -> list[Block]:
    """The first `limit` examples of a split, all without one, as `mixed` orders them, or in the order of their lengths.

    size: of a block, that of `size_of_block` without one.
    """
    order, size = mixed(len(split))[:limit], size or size_of_block(split)
    if not by_length or not isinstance(split, TensorSplit) or split.lengths is None:
        return [Block(order[places].to(device), places) for places in torch.arange(len(order)).split(size)]
    lengths = split.lengths.cpu()[order]
    size = max(1, min(size, len(order) // LEAST))
    return [
        Block(order[places].to(device), places, int(lengths[places].max()))
        for places in lengths.argsort(stable=True).split(size)
    ]


def means_are_of_any_blocks(model: Any, objective: Any, kl: Any) -> bool:
    """Whether a model's loss and figures are means over examples whatever the lengths that sequences are cut to."""
    floored = kl.has_floor or kl.full_capacity is not None  # of the mean of a block
    any_length = takes_any_length(model) and objective.any_length
    return any_length and not floored and "indices" not in model.posterior.provides


def takes_any_length(model: Any) -> bool:
    """Whether a model's densities of a batch are the same without the steps that none of its sequences has."""
    return getattr(model, "any_length", False)
