"""What a run draws and writes while its next steps are taken.

A GPU takes steps by itself, and drawing and writing would keep it waiting for longer than most networks train in the
same time. A processor has nothing left for it while it trains: there everything is done as it comes.
"""

import contextvars
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch

MOST = 4  # pieces of work that a run has waiting, about those of one validation: each holds what it draws or writes


class Beside:
    """Pieces of work, done one after another as they come: in a thread where the device is a GPU, else at once.

    The work must leave the device alone, on which the steps go on: hand it tensors on the CPU that nothing changes.
    What breaks a piece of work is raised by a later call. Leaving the `with` waits for all.
    """

    def __init__(self, device: torch.device):
        self.in_thread = device.type != "cpu"
        self._waiting: deque[Future[Any]] = deque()

    def do(self, work: Callable[[], Any]) -> None:
        if not self.in_thread:
            work()
            return
        while len(self._waiting) >= MOST:
            self._waiting.popleft().result()
        self._waiting.append(_thread().submit(contextvars.copy_context().run, work))

    def wait(self) -> None:
        """Until all that was handed in is done."""
        while self._waiting:
            self._waiting.popleft().result()

    def __enter__(self) -> "Beside":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        while self._waiting:
            broken = self._waiting.popleft().exception()
            if broken and kind is None:
                raise broken


@lru_cache
def _thread() -> ThreadPoolExecutor:
    """One for all runs of a process: matplotlib draws in one thread at a time."""
    return ThreadPoolExecutor(1, thread_name_prefix="beside")
