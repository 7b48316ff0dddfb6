"""What a person sees while a run goes on, and what its train.log keeps.

On a terminal a live line under the messages; when piped, plain lines. Both set-ups are undone when their `with` ends,
so that the jobs of a sweep, run by one process, each have a log of their own.
"""

import logging
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleDimensions
from rich.text import Text

from vae_runner.reporting.formats import duration, number

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

logger = logging.getLogger("vae_runner")

# where several runs go on at once, each in a context of its own: what the lines of a run begin with on the screen, and
# the file that its messages are for
_name: ContextVar[str] = ContextVar("name", default="")
_file: ContextVar[logging.Handler | None] = ContextVar("file", default=None)

STYLES = {logging.WARNING: "yellow", logging.ERROR: "bold red", logging.CRITICAL: "bold red"}


class _Output(Console):
    shared = False  # with other processes: whole lines only

    @property  # type: ignore[misc]
    def size(self) -> ConsoleDimensions:
        # in a pipe nothing is folded: one message or row of a table is one line
        return super().size if self.is_terminal else ConsoleDimensions(100_000, 25)

    def on_broken_pipe(self) -> None:
        # who reads along may stop reading (`| head`, a closed window): no reason to end a training
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


console = _Output(highlight=False)


class _ConsoleHandler(logging.Handler):
    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self.prefix = prefix

    def emit(self, record: logging.LogRecord) -> None:
        live = getattr(record, "live", None)  # None where it is not about progress
        if live is not None and (console.shared or _name.get() or (live and is_live())):
            return
        style = STYLES.get(record.levelno)
        prefix = self.prefix + _name.get() + (f"{record.levelname.lower()}: " if style else "")
        # without a traceback, which train.log keeps
        console.print(Text(prefix + record.getMessage(), style or ""), soft_wrap=True)


@contextmanager
def console_logging() -> Iterator[None]:
    """Messages of `vae_runner` go to the standard output, until the `with` ends."""
    with _handling(_ConsoleHandler()):
        yield


@contextmanager
def lines_of_process(prefix: str = "") -> Iterator[None]:
    """The same where several processes write to one output: messages begin with a prefix; no progress."""
    console.shared = True
    try:
        with _handling(_ConsoleHandler(prefix)):
            yield
    finally:
        console.shared = False


@contextmanager
def one_of_several(name: str) -> Iterator[None]:
    """For a run beside others: its lines on the screen begin with its name, and do not tell of its progress."""
    token = _name.set(name)
    try:
        yield
    finally:
        _name.reset(token)


@contextmanager
def file_logging(path: Path) -> Iterator[None]:
    """Messages of `vae_runner` are appended to a file, with their time, until the `with` ends: one job, one file.

    Those from a context in which there is another file are for that one alone.
    """
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    handler.addFilter(lambda record: _file.get() in (None, handler))
    token = _file.set(handler)
    try:
        with _handling(handler):
            yield
    finally:
        _file.reset(token)


@contextmanager
def no_file() -> Iterator[None]:
    """Messages from within are for the screen alone, whatever runs go on."""
    token = _file.set(logging.NullHandler())
    try:
        yield
    finally:
        _file.reset(token)


@contextmanager
def _handling(handler: logging.Handler) -> Iterator[None]:
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.setLevel(level)
        logger.propagate = propagate


def show(table: "Table") -> None:
    """Prints a table: as wide as the terminal, or as wide as it needs when piped."""
    console.print(table)


class Progress:
    """How far a training is, how fast, and what it reached.

        with Progress(total_steps, start=step, steps_per_epoch=469) as progress:
            progress.update(step)                     # every step: under a microsecond
            progress.update(step, {"loss": loss})     # at logging points

    On a terminal the line is drawn anew, at most every `refresh` seconds. A plain line goes to the log, and to the
    standard output where that is no terminal, at most every `interval` seconds, at the last step, and when `show=True`.
    """

    def __init__(
        self,
        total_steps: int,
        start: int = 0,
        *,
        steps_per_epoch: int | None = None,
        interval: float = 10.0,
        refresh: float = 0.5,
    ) -> None:
        self.total_steps = total_steps
        self.step = start
        self._steps_per_epoch = steps_per_epoch
        self._interval = interval
        self._refresh = refresh if is_live() else interval
        self._figures: dict[str, float] = {}
        now = time.monotonic()
        # the rate is that of the last marks, so that it follows a machine that slows down
        self._marks = deque([(now, start)], maxlen=30)
        self._due = now + self._refresh
        self._line_due = now + interval
        self._said = ""
        self._live: Live | None = None

    def __enter__(self) -> "Progress":
        if is_live():
            from rich.live import Live

            self._live = Live(self._bar(), console=console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def update(self, step: int, figures: Mapping[str, float | None] | None = None, show: bool = False) -> None:
        """`step` steps are done. figures: the latest, kept until others of the same name come; None clears one."""
        self.step = step
        if figures:
            self._take(figures)
        now = time.monotonic()
        if now < self._due and step < self.total_steps and not show:
            return
        self._due = now + self._refresh
        self._marks.append((now, step))
        if self._live:
            self._live.update(self._bar(), refresh=True)
        if show or now >= self._line_due:
            self._line_due = now + self._interval
            self._say(live=not show)

    def close(self) -> None:
        """Says where it ended, leaves that on the screen, and gives the terminal back."""
        self._say(live=True)
        if self._live:
            self._live.update(self._bar(), refresh=True)
            self._live.stop()
            self._live = None

    def _say(self, live: bool) -> None:
        if (line := self.line()) != self._said:
            self._said = line
            logger.info(line, extra={"live": live})

    def line(self) -> str:
        """The state in one line of text."""
        return "  ".join([*self._position(), *self._reached(), *self._pace()])

    @property
    def rate(self) -> float | None:
        """Steps per second, of late; None before any was measured."""
        (then, before), (now, step) = self._marks[0], self._marks[-1]
        return (step - before) / (now - then) if step > before and now > then else None

    def _take(self, figures: Mapping[str, float | None]) -> None:
        for name, value in figures.items():
            if value is None:
                self._figures.pop(name, None)
            else:
                self._figures[name] = value

    def _position(self) -> list[str]:
        parts = [f"step {self.step}/{self.total_steps}"]
        if self._steps_per_epoch:
            epochs = -(-self.total_steps // self._steps_per_epoch)
            epoch = min(-(-max(self.step, 1) // self._steps_per_epoch), epochs)
            parts.insert(0, f"epoch {epoch}/{epochs}")
        return parts

    def _reached(self) -> list[str]:
        return [f"{name} {number(value)}" for name, value in self._figures.items()]

    def _pace(self) -> list[str]:
        rate = self.rate
        if not rate:
            return []
        left = [f"{duration((self.total_steps - self.step) / rate)} left"] if self.step < self.total_steps else []
        return [f"{number(rate, 3)} steps/s", *left]

    def _bar(self) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        # on a narrow terminal the figures are cut, never the place and the time left
        bar = Table.grid(padding=(0, 2, 0, 0))
        bar.add_column(no_wrap=True, min_width=len("  ".join(self._position())))
        bar.add_column(width=12)
        bar.add_column(no_wrap=True, min_width=len("  ".join(self._pace())))
        bar.add_column(no_wrap=True, overflow="ellipsis")
        progress = ProgressBar(total=max(self.total_steps, 1), completed=self.step, width=12)
        bar.add_row("  ".join(self._position()), progress, "  ".join(self._pace()), "  ".join(self._reached()))
        return bar


def is_live() -> bool:
    """Whether somebody looks at a terminal that has room for lines which move."""
    return console.is_terminal and not console.is_dumb_terminal and not console.shared and not _name.get()
