"""What a step is given: the indices of its examples, or where these are read from disk the batch itself.

A recorded step reads it from memory of its own, which is overwritten before each replay.
"""

from collections.abc import Hashable, Iterator

from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.training.budget import Block

Given = Block | Batch


def form_of(given: Given) -> tuple[Hashable, ...]:
    """Steps may differ in Python, and not only in numbers, where this differs."""
    if isinstance(given, Block):
        return len(given.indices), given.steps
    return tuple((name, tensor.shape, tensor.dtype) for name, tensor in _tensors(given))


def kept(given: Given) -> Given:
    """A copy, in memory that nothing else writes to."""
    if isinstance(given, Block):
        return Block(given.indices.clone(), given.steps)
    own = {name: tensor.clone() for name, tensor in _tensors(given)}
    return Batch(**{"input": own["x"], **own})


def overwrite(own: Given, given: Given) -> None:
    """Puts the numbers of one into another of its form."""
    if isinstance(own, Block):
        assert isinstance(given, Block)
        own.indices.copy_(given.indices)
        return
    assert isinstance(given, Batch)
    for (_, tensor), (_, numbers) in zip(_tensors(own), _tensors(given), strict=True):
        tensor.copy_(numbers)


def _tensors(batch: Batch) -> Iterator[tuple[str, Tensor]]:
    """Those that it has, by name; the input only where it is not the target itself."""
    for name, tensor in vars(batch).items():
        if tensor is not None and (name != "input" or tensor is not batch.x):
            yield name, tensor
