"""Results that a function comes to whenever it is called, so that they need not be computed again.

Much of a backward pass is of this kind: the gradient that it begins with, 1, and what means and signs make of it.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
FILLING = {
    *(aten.zeros.default, aten.ones.default, aten.full.default, aten.scalar_tensor.default, aten.zeros_like.default),
    *(aten.ones_like.default, aten.full_like.default, aten.new_zeros.default, aten.new_ones.default),
    *(aten.new_full.default, aten.arange.default, aten.arange.start, aten.arange.start_step),
}
LARGEST = 4096  # bytes: what is larger would cost more memory than its computing costs time


class Constants:
    """What comes of tensors filled with numbers, and of nothing else, by name; what is written into is no constant."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    def note(self, func: Any, takes: list[str], results: dict[str, Tensor], written: list[Tensor]) -> None:
        """An operator was called with tensors of the names `takes`, and gave `results` by name."""
        if func._schema.is_mutable:
            memory = {memory_of(tensor) for tensor in written}
            self.values = {name: value for name, value in self.values.items() if memory_of(value) not in memory}
            return
        alone = func in FILLING or (bool(takes) and all(name in self.values for name in takes))
        random = torch.Tag.nondeterministic_seeded in func.tags
        if alone and not random and all(value.untyped_storage().nbytes() <= LARGEST for value in results.values()):
            self.values.update(results)


def written_by(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that a call of an operator writes into."""
    if not func._schema.is_mutable:
        return []
    given = {spec.name: value for spec, value in zip(func._schema.arguments, args, strict=False)} | kwargs
    written = [
        given.get(spec.name)
        for spec in func._schema.arguments
        if spec.alias_info is not None and spec.alias_info.is_write
    ]
    return [tensor for tensor in tree_leaves(written) if isinstance(tensor, Tensor)]


def memory_of(tensor: Tensor) -> int:
    """Its address, which views share."""
    return tensor.untyped_storage().data_ptr()
