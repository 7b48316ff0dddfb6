"""Sequences of different lengths in batches of like lengths: what is beyond the longest of a batch is not computed."""

import torch
from torch import Generator, Tensor

POOL = 8  # batches whose examples are put in the order of their lengths: few, so that an epoch's batches are its own


class Buckets:
    """lengths (N,) of the training examples, which are stored with `longest` steps; `count` lengths are padded to.

    So few that a step which is recorded once for each size of batch is recorded a few times only.
    """

    def __init__(self, lengths: Tensor, longest: int, count: int):
        width = -(-longest // count)
        self.padded = (-(-lengths.cpu() // width) * width).clamp(max=longest)

    def arrange(self, order: Tensor, batch_size: int, generator: Generator) -> Tensor:
        """The examples of an epoch (N,), in random order, in another one whose whole batches are of like lengths.

        A shorter batch at the end is still of any lengths, and the batches are in random order.
        """
        whole = len(order) // batch_size * batch_size
        pools = order[:whole].split(POOL * batch_size)
        alike = torch.cat([pool[self.padded[pool].argsort(stable=True)] for pool in pools]) if whole else order[:0]
        batches = alike.view(-1, batch_size)
        return torch.cat([batches[torch.randperm(len(batches), generator=generator)].flatten(), order[whole:]])

    def steps(self, indices: Tensor) -> int:
        """What the examples at `indices`, on the host, are padded to."""
        return int(self.padded[indices].max())
