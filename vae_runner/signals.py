"""Ctrl-C and SIGTERM end a run after the step in hand, with everything written, and whatever else at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], None]


class Interrupted(Exception):
    """The run was asked to stop; everything is written."""


class GracefulStop:
    """While it is entered, the first SIGINT or SIGTERM sets `.requested`; a second one interrupts at once."""

    def __init__(self) -> None:
        self.requested: str | None = None
        self._entered = ExitStack()

    def __enter__(self) -> "GracefulStop":
        self._entered.enter_context(_handled_by(self._handle))
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = signal.Signals(number).name

    def check(self) -> None:
        """Raises Interrupted if a stop was requested."""
        if self.requested:
            raise Interrupted(self.requested)

    def __exit__(self, *error: Any) -> None:
        self._entered.close()


@contextmanager
def interruptible(first: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Inside, SIGINT and SIGTERM raise KeyboardInterrupt, which comes out whatever happens to it on its way.

    It may be raised anywhere, also where a library that tidies up, as OmegaConf's `finally` does, meets its own objects
    half-made and raises another exception in its place.

    first: what is done before it is raised.
    """
    asked: list[str] = []

    def handle(number: int, frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        first()
        if callable(outer := previous.get(number)) and outer is not signal.default_int_handler:
            outer(number, frame)  # so that those this one stands in know of it as well
        raise KeyboardInterrupt(asked[0])

    previous: dict[int, Any] = {}
    with _handled_by(handle, previous):
        try:
            yield
        except Exception as error:
            if asked:
                raise KeyboardInterrupt(asked[0]) from error
            raise
        if asked:
            raise KeyboardInterrupt(asked[0])


@contextmanager
def _handled_by(handler: Handler, previous: dict[int, Any] | None = None) -> Iterator[None]:
    """Inside, SIGINT and SIGTERM go to the handler. previous: is filled with those that they went to before."""
    previous = {} if previous is None else previous
    if threading.current_thread() is threading.main_thread():  # elsewhere Python forbids handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            if (before := signal.getsignal(number)) is not None:  # what is not Python's could not be put back
                previous[number] = before
                signal.signal(number, handler)
    try:
        yield
    finally:
        for handled, before in previous.items():
            if signal.getsignal(handled) == handler:  # or else another has taken its place since
                signal.signal(handled, before)
