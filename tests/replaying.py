"""What a CUDA graph does, on a CPU: operators and the memory they work on are kept, and run without Python again."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Operators(TorchDispatchMode):
    """Keeps every operator with its very arguments and results, so that none of their memory is used again."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[Any, Any, Any, list[Tensor | None]]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        results = func(*args, **kwargs)
        inputs = {memory(tensor) for tensor in tensors_of((args, kwargs))}
        given = [None if memory(tensor) in inputs else tensor.detach() for tensor in tensors_of(results)]
        if torch.Tag.inplace_view not in func.tags:  # those do nothing to memory
            self.taken.append((func, args, kwargs, given))
        return results

    def again(self) -> None:
        """Runs all of them, in order, into the memory that held the results the first time."""
        for func, args, kwargs, fresh in self.taken:
            for before, now in zip(fresh, tensors_of(func(*args, **kwargs)), strict=True):
                if before is not None:
                    before.copy_(now)


def tensors_of(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]


def memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def replayed(function: Callable[[], None], state: Callable[[], list[Tensor]]) -> Callable[[], None]:
    """As `cuda_graph`: recording leaves the tensors of `state` and the random state as they were."""
    kept, random = [tensor.clone() for tensor in state()], torch.get_rng_state()
    operators = Operators()
    with operators:
        function()
    with torch.no_grad():
        for tensor, value in zip(state(), kept, strict=True):
            tensor.copy_(value)
    torch.set_rng_state(random)

    def replay() -> None:
        # some operators keep more for a backward pass to come: that mode stays, and nothing else of autograd
        with torch._C._AutoDispatchBelowAutograd():
            operators.again()

    return replay
