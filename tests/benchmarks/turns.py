"""Commands that take turns, each with a clock that stands while the others have theirs.

A machine may be fast in one minute and slow in the next. So processes are stopped and go on by turns, which gives each
the same share of fast and of slow times, where one after another would have one or the other. `python turns.py FOLDER
SCRIPT|-m MODULE [ARGUMENT ...]` runs a command by such a clock: its `time.perf_counter` counts its turns alone. What a
process has going elsewhere goes on while it is stopped, and its clock does not: this is not for what a GPU computes.
"""

import ctypes
import mmap
import os
import resource
import runpy
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TURN = 1.0  # seconds, of a command that has not ended yet
TURNS = 30  # of one that has, by the time that it took: so all have done about the same part of their work at any time
PR_SET_PDEATHSIG = 1  # of Linux's prctl.h
POLL = 0.02
CLOCK = struct.Struct("dd")  # seconds of the turns before, and when this turn began


@dataclass
class Ended:
    """A command that ended, the `number`-th of its name from 0. memory: its largest resident set in MB."""

    name: str
    number: int
    output: str
    memory: float


class _Running:
    """A process, from its first turn on."""

    def __init__(self, command: Sequence[str], folder: Path):
        self._folder = folder
        self._command = [sys.executable, __file__, str(folder), *command]
        self._process: subprocess.Popen | None = None
        self.seconds = 0.0

    def ends_within(self, seconds: float) -> bool:
        """A turn of so many seconds; whether it ended in them."""
        began = time.monotonic()
        clock = self._folder / "clock"
        with clock.open("r+b" if self._process else "wb") as file:
            file.write(CLOCK.pack(self.seconds, began))
        if self._process is None:
            (self._folder / "memory").unlink(missing_ok=True)
            with (self._folder / "output").open("w") as output, (self._folder / "errors").open("w") as errors:
                self._process = subprocess.Popen(self._command, stdout=output, stderr=errors, start_new_session=True)
        else:
            os.killpg(self._process.pid, signal.SIGCONT)
        while not (ended := self._waited(os.WNOHANG)) and time.monotonic() < began + seconds:
            time.sleep(POLL)
        if not ended:
            os.killpg(self._process.pid, signal.SIGSTOP)
            ended = self._waited(os.WUNTRACED)
        self.seconds += time.monotonic() - began
        return ended

    def _waited(self, options: int) -> bool:
        """Whether it has ended, and not only stopped."""
        assert self._process is not None
        pid, status = os.waitpid(self._process.pid, options)
        if not pid or os.WIFSTOPPED(status):
            return False
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return True

    def ended(self, name: str, number: int) -> Ended:
        """Raises SystemExit, with what it wrote of it, where it failed."""
        assert self._process is not None
        if self._process.returncode:
            raise SystemExit(f"{' '.join(self._command)}\n{(self._folder / 'errors').read_text()}")
        memory = float((self._folder / "memory").read_text())
        return Ended(name, number, (self._folder / "output").read_text(), memory)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()


def taking_turns(
    commands: Mapping[str, Callable[[int], Sequence[str]]], times: int, turn: float | None = None
) -> Iterator[Ended]:
    """Runs commands side by side, one at a time; yields each that ended, so many `times` or more of every name.

    All go on until the last has ended, so that all are measured in the same minutes. At first the fast ones end more
    often.

    commands: by name, what is run for the `number`-th time. turn: seconds of all turns, math.inf for whole commands;
    None: a second of a command that has not ended yet, a thirtieth of what it took of one that has.
    """
    done, seconds = dict.fromkeys(commands, 0), {}
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary, str(i)) for i, name in enumerate(commands)}
        for folder in folders.values():
            folder.mkdir()
        running = {name: _Running(command(0), folders[name]) for name, command in commands.items()}
        try:
            while min(done.values()) < times:
                for name in commands:
                    process = running[name]
                    length = seconds[name] / TURNS if name in seconds else TURN
                    if process.ends_within(length if turn is None else turn):
                        seconds[name] = process.seconds
                        yield process.ended(name, done[name])
                        done[name] += 1
                        running[name] = _Running(commands[name](done[name]), folders[name])
        finally:
            for process in running.values():
                process.kill()
            for process in running.values():
                process.wait()


def _clock(path: Path) -> Callable[[], float]:
    with path.open("rb") as file:
        shared = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def seconds() -> float:
        while True:
            before, began = CLOCK.unpack(shared[:])
            now = time.monotonic()
            if CLOCK.unpack(shared[:]) == (before, began):  # else its turn ended in between
                return before + now - began

    return seconds


def _memory() -> float:
    """The largest resident set of this process in MB."""
    about = Path("/proc/self/status")
    if not about.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    # not as the system counts it elsewhere, where a process begins with as much as the one that started it
    (line,) = (line for line in about.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main(place: str, *command: str) -> None:
    if sys.platform == "linux":  # else it would stay, stopped, where what gives it turns is killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    folder = Path(place)
    time.perf_counter = _clock(folder / "clock")
    try:
        if command[0] == "-m":
            sys.argv[:] = command[1:]
            sys.path[0] = ""
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv[:] = command
            runpy.run_path(command[0], run_name="__main__")
    finally:
        (folder / "memory").write_text(str(_memory()))


if __name__ == "__main__":
    main(*sys.argv[1:])
