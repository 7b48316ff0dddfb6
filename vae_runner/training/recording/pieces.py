"""Fused updates of small models on more of a GPU's multiprocessors.

torch's fused optimizers give each of them 65,536 numbers of a tensor, which for a small model keeps a few of them busy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vae_runner.training.recording.mode import Mode
from vae_runner.training.recording.updates import UPDATES

WHOLE = 65536  # numbers, what a multiprocessor is given of a tensor
LEAST = 4096  # what it needs to be worth it
AT_ONCE = 36  # tensors, what one kernel is launched for


class InPieces(Mode):
    """Inside, fused updates are of pieces of their tensors, where these are as many as one kernel takes: the same
    numbers, more at a time.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in UPDATES and (size := size_for(args[0])):
            args = in_pieces(args, size)
        return func(*args, **(kwargs or {}))


def updating_in_pieces(step: Callable[..., None]) -> Callable[..., None]:
    def stepped(*arguments: Any) -> None:
        with InPieces():
            step(*arguments)

    return stepped


def size_for(parameters: Sequence[Tensor]) -> int | None:
    """Of pieces, as small as they can be; None where the tensors are better left whole."""
    numbers = [parameter.numel() for parameter in parameters]
    sizes = range(LEAST, WHOLE, 1024)
    return next((size for size in sizes if sum(-(-number // size) for number in numbers) <= AT_ONCE), None)


def in_pieces(lists: Sequence[Sequence[Tensor]], size: int) -> list[list[Tensor]]:
    """Lists of tensors side by side, the first of parameters: the same of pieces. A count of steps goes with each."""
    pieces: list[list[Tensor]] = [[] for _ in lists]
    for row in zip(*(tensors for tensors in lists if tensors), strict=True):
        cut = iter([_pieces(tensor, row[0], size) for tensor in row])
        for into, tensors in zip(pieces, lists, strict=True):
            into += next(cut) if tensors else []
    return pieces


def _pieces(tensor: Tensor, parameter: Tensor, size: int) -> list[Tensor]:
    if not _lies_side_by_side(parameter):
        return [tensor]
    if tensor.shape != parameter.shape:
        return [tensor] * len(range(0, parameter.numel(), size))
    return [*tensor.as_strided((tensor.numel(),), (1,)).split(size)]


def _lies_side_by_side(tensor: Tensor) -> bool:
    """Whether its numbers do, in some order."""
    channels_last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor.is_contiguous() or channels_last
