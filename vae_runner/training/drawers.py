"""Processes that draw, where the pictures of several runs would take longer than the steps that a GPU takes for all."""

import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch

from vae_runner import forked

log = logging.getLogger(__name__)

T = TypeVar("T")
IMPORTED = ("vae_runner.reporting.run_pictures", "matplotlib.figure", "matplotlib.backends.backend_agg")


class _Drawers:
    pool: ProcessPoolExecutor | None = None


@contextmanager
def drawers(number: int) -> Iterator[None]:
    """Inside there are as many, for all runs of this process, as soon as they have imported what they need."""
    if not number:
        yield
        return
    pool = ProcessPoolExecutor(number, mp_context=forked.context_with(*IMPORTED), initializer=_begin)
    _Drawers.pool = pool
    threading.Thread(target=_start, args=(pool, number), daemon=True).start()
    try:
        yield
    finally:
        _Drawers.pool = None
        pool.shutdown(cancel_futures=True)


def drawn_by(drawing: Callable[[], T]) -> Callable[[], T]:
    """Gives one of the drawers something to draw, if there are any. Returns what waits for it, or does it.

    A drawer that is no more, as the system may kill it for its memory, costs no picture.
    """
    pool = _Drawers.pool
    if pool is None:
        return drawing
    try:
        made = _submit(pool, drawing)
    except (BrokenExecutor, OSError):
        return _here(pool, drawing)

    def wait() -> T:
        try:
            return made.result()
        except BrokenExecutor:
            return _here(pool, drawing)()

    return wait


def _submit(pool: ProcessPoolExecutor, drawing: Callable[[], T]) -> Any:
    packed = pickle.dumps(drawing)  # as tensors are sent otherwise, each lies in a file that processes share
    with forked.left_alone():  # it may have to start the process
        return pool.submit(_unpacked, packed)


def _here(pool: ProcessPoolExecutor, drawing: Callable[[], T]) -> Callable[[], T]:
    if _Drawers.pool is pool:
        _Drawers.pool = None
        log.warning("a process that draws pictures has ended; from now on they are drawn in that of the steps")
    return drawing


def _start(pool: ProcessPoolExecutor, number: int) -> None:
    with suppress(Exception):  # of which the first picture will tell
        for _ in range(number):
            _submit(pool, _nothing)


def _nothing() -> None:
    """As a drawing."""


def _unpacked(drawing: bytes) -> Any:
    return pickle.loads(drawing)()


def _begin() -> None:
    forked.begin()
    torch.set_num_threads(1)
