"""How far a computation of several loops is: lines under what is printed, on a terminal alone, gone when it ends.

Who loops need not know who looks: `watched` counts what it hands on where a `progress` is around it, and only loops
elsewhere. Nothing waits for a device: on one, a block counts as done when the next is asked for.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from vae_runner.reporting import console

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
_bars: ContextVar["tuple[Progress, str] | None"] = ContextVar("bars", default=None)


@contextmanager
def progress(name: str) -> Iterator[None]:
    """Shows `name`, the time it takes, and the loops that are `watched`, until the `with` ends."""
    if not console.is_live():
        yield
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, BarColumn(), TaskProgressColumn(), Remaining(), console=console.console, transient=True
    ) as on:
        on.add_task(name, total=None)
        token = _bars.set((on, name))
        try:
            yield
        finally:
            _bars.reset(token)


def watched(items: Iterable[T], total: int, what: str = "blocks") -> Iterator[T]:
    """The items, `total` of them, each counted when the next one is asked for. what: they are, in the plural."""
    shown = _bars.get()
    if shown is None:
        yield from items
        return
    bars, name = shown
    task = bars.add_task(f"{name}: {what}", total=total)
    try:
        for item in items:
            yield item
            bars.advance(task)
    finally:
        bars.remove_task(task)
