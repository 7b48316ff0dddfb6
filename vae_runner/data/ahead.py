"""Reading the coming batches while the present one is used, in processes beside this one.

This one reads along where it would wait for them. None draws anything at random: their number changes no result.
"""

import atexit
import contextlib
import itertools
import multiprocessing
import multiprocessing.connection
import warnings
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vae_runner import forked
from vae_runner.data.rows import Rows
from vae_runner.data.slots import Slots
from vae_runner.errors import DataLost

AHEAD = 2  # batches that each process has ready
ENDS = 2  # seconds in which a process that was killed has ended

Stored = tuple[Tensor, Tensor | None, Tensor | None]


class Readable(Protocol):
    """A split whose examples are read where they lie."""

    workers: int
    device: torch.device
    x: Rows
    c: Rows | Tensor | None

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor | None]: ...

    def targets(self, indices: Tensor) -> Tensor | None: ...

    def context(self, indices: Tensor) -> Tensor | None: ...

    def to(self, device: torch.device | str) -> Any: ...


class Reading(Dataset[Any]):
    """Number of a batch and its indices (n,) -> x, or None where it is in its slot, and the conditions on disk, if any.

    What was lost is returned: an error raised in another process comes with its traceback.
    """

    def __init__(self, slots: Slots, x: Rows, c: Rows | None) -> None:
        self.slots, self.x, self.c = slots, x, c

    def __getitem__(self, asked: tuple[int, np.ndarray]) -> Any:
        batch, indices = asked[0], torch.from_numpy(asked[1])
        try:
            c = None if self.c is None else self.c.read(indices)
            if not self.slots.has_room_for(indices):
                return self.x.read(indices), c
            self.slots.read_from_front(batch, indices, self.x.read)
            return None, c
        except DataLost as error:
            return error


def read_ahead(split: Readable, blocks: Iterable[Tensor]) -> Iterator[Stored]:
    """x, y and c of each block of indices, in their order, on the split's device. Raises DataLost.

    The processes end with the iterator.
    """
    if not split.workers:
        for indices in blocks:
            yield *split.take(indices), split.context(indices)
        return
    first, blocks = _first_of(blocks)
    split, device = split.to("cpu"), split.device
    on_disk = None if isinstance(split.c, Tensor) else split.c
    # all that are read ahead, and the one that is being handed over
    slots = Slots(split.workers * AHEAD + 1, len(first), split.x)
    asked: deque[Tensor] = deque()

    def asked_for() -> Iterator[tuple[int, np.ndarray]]:
        for batch, indices in enumerate(blocks):
            asked.append(indices.cpu())
            slots.begin(batch, len(indices))
            yield batch, asked[-1].numpy()

    others = {*multiprocessing.active_children()}
    with forked.left_alone(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # as many processes as were asked for
        stored = iter(
            DataLoader(
                Reading(slots, split.x, on_disk),
                batch_size=None,
                sampler=asked_for(),
                num_workers=split.workers,
                prefetch_factor=AHEAD,
                collate_fn=_as_it_is,
                multiprocessing_context=forked.context_with(type(split.x).__module__, __name__),
                worker_init_fn=forked.begin,
                generator=torch.Generator(),  # else starting the processes would draw from the global random state
            )
        )
    readers = {*multiprocessing.active_children()} - others
    for reader in readers:
        atexit.register(reader.kill)  # Python would end it by a signal that is blocked, and wait for ever
    try:
        with _fewer_threads(split.workers):
            for batch in itertools.count():
                if not asked:
                    return
                indices = asked.popleft()
                if split.x.apart and slots.has_room_for(indices):
                    slots.read_from_back(batch, indices, split.x.read)
                found = _next_of(stored, readers, split.workers)
                if isinstance(found, DataLost):
                    raise found
                x, c = found
                x = slots.taken(batch, len(indices)) if x is None else x
                c = split.context(indices) if on_disk is None else c
                y, c = (None if part is None else _moved(part, device) for part in (split.targets(indices), c))
                yield _moved(x, device), y, c
    finally:
        del stored  # else a traceback would keep it, and with it the processes
        for reader in readers:
            reader.kill()  # where one of them broke, an error's traceback still has the loader, which ends the others
            atexit.unregister(reader.kill)


def _first_of(blocks: Iterable[Tensor]) -> tuple[Tensor, Iterator[Tensor]]:
    """The first block, or none of any example, and all blocks."""
    rest = iter(blocks)
    read = [*itertools.islice(rest, 1)]
    return (read[0] if read else torch.empty(0)), itertools.chain(read, rest)


def _next_of(stored: Iterator[Any], readers: Collection[BaseProcess], started: int) -> Any:
    try:
        return next(stored)
    except StopIteration:
        raise
    except Exception as error:  # of many kinds: it tells of a process, or of a connection that broke
        seen = len(readers) == started  # else one had ended before it was
        # which breaks a moment before its process has ended
        if seen and not multiprocessing.connection.wait([reader.sentinel for reader in readers], ENDS):
            raise
        raise DataLost(
            "a process that reads ahead was killed, as the system does where memory runs out; data.workers=0 has none"
        ) from error


def _as_it_is(found: Any) -> Any:
    return found


def _moved(part: Tensor, device: torch.device) -> Tensor:
    if device.type != "cuda":
        return part.to(device)
    return part.pin_memory().to(device, non_blocking=True)  # which does not wait for the step under way


@contextlib.contextmanager
def _fewer_threads(workers: int) -> Iterator[None]:
    """Inside, torch leaves a core to each of the workers: a thread that waits for its core keeps the others waiting."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, max(1, forked.cores() - workers)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
