"""Processes beside this one, that help it and end with it.

They are forked from a server that has imported what they need and nothing else: a fork of this process would copy its
threads' locks and its hold on a GPU.
"""

import multiprocessing
import multiprocessing.context
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

SIGNALS = {signal.SIGINT, signal.SIGTERM}


def cores() -> int:
    """Those that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if sys.platform != "win32":

    class Process(multiprocessing.context.ForkServerProcess):
        def terminate(self) -> None:
            """By a signal that is not blocked, for who ends it like this waits until it has ended."""
            self.kill()

    class Context(multiprocessing.context.ForkServerContext):
        Process = Process


def context_with(*modules: str) -> Any:
    """The context of `multiprocessing` whose processes begin with these modules imported."""
    context: Any = Context()
    context.set_forkserver_preload([*modules])
    return context


@contextmanager
def left_alone() -> Iterator[None]:
    """Inside, what is started is left alone by Ctrl-C: at a terminal it goes to all processes, and one decides."""
    resource_tracker.ensure_running()  # before, for to start it unblocks the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin(*_: Any) -> None:
    """The first that such a process does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the server has unblocked them
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the one that it helps was killed: it is the server's child, and would not notice."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
