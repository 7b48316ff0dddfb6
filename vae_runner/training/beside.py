"""What a run draws and writes while its next steps are taken.

A GPU takes steps by itself, and drawing and writing would keep it waiting for longer than most networks train in the
same time. A processor has nothing left for it while it trains: there everything is done as it comes.
"""

import contextvars
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

import torch

from vae_runner.signals import Interrupted
from vae_runner.training.drawers import drawn_by

log = logging.getLogger(__name__)

MOST = 4  # pieces of work that a run has waiting, about those of one validation

T = TypeVar("T")
Work = Callable[[], Any]


class Beside:
    """Pieces of work, done one after another as they come: in a thread where the device is a GPU, else at once.

    The work must leave the device alone, on which the steps go on: hand it tensors on the CPU that nothing changes.
    After one that breaks no other is done, and what broke it is raised by the next call, or by leaving the `with`.
    That waits for all work; if what ends it is no ordinary error (a second Ctrl-C) then only for what has begun.
    """

    def __init__(self, device: torch.device):
        self.in_thread = device.type != "cpu"
        self._waiting: deque[Future[None]] = deque()
        self._broken: Exception | None = None
        self._is_over = False

    def do(self, work: Work) -> "Future[None] | None":
        """Returns what can be waited for, if the work was not done at once."""
        if not self.in_thread:
            work()
            return None
        self._make_room()
        context = contextvars.copy_context()
        self._waiting.append(_thread().submit(context.run, self._done, work))
        return self._waiting[-1]

    def draw(self, drawing: Callable[[], T], then: Callable[[T], Any]) -> None:
        """`then` is done with what `drawing` returns, which one of the `drawers` does, where there are any.

        drawing: of this can be sent to another process.
        """
        if not self.in_thread:
            then(drawing())
            return
        self._make_room()
        drawn = drawn_by(drawing)
        self.do(lambda: then(drawn()))

    def wait_for(self, work: "Future[None] | None") -> None:
        if work is not None:
            work.result()
            self._raise()

    def wait(self) -> None:
        """Until all that was handed in is done."""
        self.settle()
        self._raise()

    def settle(self, but: int = 0) -> None:
        """The same, of all but the last few, and what broke is still to be raised."""
        while len(self._waiting) > but:
            self._waiting[0].result()
            self._waiting.popleft()

    def _make_room(self) -> None:
        self.settle(MOST - 1)
        self._raise()

    def _done(self, work: Work) -> None:
        if self._broken or self._is_over:
            return
        try:
            work()
        except Exception as error:
            self._broken = error

    def _raise(self) -> None:
        if self._broken is not None:
            self._is_over = True  # before, for the thread goes on meanwhile
            broken, self._broken = self._broken, None
            raise broken

    def __enter__(self) -> "Beside":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self._break_off()
            return
        try:
            self.settle()
        except BaseException:
            self._break_off()
            raise
        if kind is None or issubclass(kind, Interrupted):  # which says that everything is written
            self._raise()
        elif self._broken:
            log.error("%r", self._broken)

    def _break_off(self) -> None:
        """Whoever has the run's directory next must find nobody writing to it."""
        self._is_over = True
        while self._waiting:
            with suppress(KeyboardInterrupt):
                self.settle()


@lru_cache
def _thread() -> ThreadPoolExecutor:
    """One for all runs of a process: matplotlib draws in one thread at a time."""
    return ThreadPoolExecutor(1, thread_name_prefix="beside")
