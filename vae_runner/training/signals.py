"""Ctrl-C and SIGTERM end a run after the step in hand, with everything written."""

import signal
import threading
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """The run was asked to stop; everything is written."""


class GracefulStop:
    """While it is entered, the first SIGINT or SIGTERM sets `.requested`; a second one interrupts at once."""

    def __init__(self) -> None:
        self.requested: str | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "GracefulStop":
        if threading.current_thread() is threading.main_thread():  # elsewhere Python forbids handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
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
        for number, handler in self._previous.items():
            if signal.getsignal(number) == self._handle:  # or else another has taken its place since
                signal.signal(number, handler)
