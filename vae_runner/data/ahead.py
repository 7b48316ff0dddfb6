"""Reading the coming batches while the present one is used, in processes beside this one.

The processes are forked from a server that has imported what they need and nothing else: a fork of this process would
copy its threads' locks and its hold on a GPU. They draw nothing at random, so that their number changes no result.
"""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vae_runner.errors import DataLost

AHEAD = 2  # batches that each process has ready
SIGNALS = {signal.SIGINT, signal.SIGTERM}

Stored = tuple[Tensor, Tensor | None, Tensor | None]


class Readable(Protocol):
    """A split whose examples are read where they lie."""

    workers: int
    device: torch.device
    x: Any

    def take(self, indices: Tensor) -> tuple[Tensor, Tensor | None]: ...

    def context(self, indices: Tensor) -> Tensor | None: ...

    def to(self, device: torch.device | str) -> Any: ...


class Reading(Dataset[Any]):
    """Indices (n,) -> x, y and c, or what was lost: an error raised in another process comes with its traceback."""

    def __init__(self, split: Readable) -> None:
        self.split = split

    def __getitem__(self, indices: np.ndarray) -> Stored | DataLost:
        try:
            chosen = torch.from_numpy(indices)
            return *self.split.take(chosen), self.split.context(chosen)
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
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([type(split.x).__module__, __name__])
    loader = DataLoader(
        Reading(split.to("cpu")),
        batch_size=None,
        sampler=(indices.cpu().numpy() for indices in blocks),
        num_workers=split.workers,
        prefetch_factor=AHEAD,
        pin_memory=split.device.type == "cuda",
        multiprocessing_context=context,
        worker_init_fn=_begin,
        generator=torch.Generator(),  # else starting the processes would draw from the global random state
    )
    others = {*multiprocessing.active_children()}
    # a Ctrl-C at the terminal goes to all processes: this one decides what comes of it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        stored = iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    readers = {*multiprocessing.active_children()} - others
    for reader in readers:
        atexit.register(reader.kill)  # Python would end it by a signal that is blocked, and wait for ever
    try:
        for found in stored:
            if isinstance(found, DataLost):
                raise found
            x, *besides = found
            y, c = (None if part is None else part.to(split.device, non_blocking=True) for part in besides)
            yield x.to(split.device, non_blocking=True), y, c
    finally:
        del stored  # else a traceback would keep it, and with it the processes
        for reader in readers:
            atexit.unregister(reader.kill)


def _begin(worker: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the one that it reads for was killed: it is the server's child, and would not notice."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
