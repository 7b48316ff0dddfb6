"""How much memory data may take."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from vae_runner import launched

SHARE = 0.5  # of what is available: the rest is for the model, and for what else runs
GROUPS = Path("/sys/fs/cgroup")


def room(device: torch.device) -> int:
    """Bytes that examples may take which are read into memory and then moved to the device.

    Processes that train together hold the examples each, and have a part of the machine's memory each.
    """
    available = min(_available()) // launched.local_processes()
    if device.type == "cuda":
        available = min(available, torch.cuda.mem_get_info(device)[0])
    return int(SHARE * available)


def _available() -> Iterator[int]:
    """Bytes that this process can still take, by each of the limits that the system tells."""
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo, own = Path("/proc/meminfo"), Path("/proc/self/cgroup")
    if meminfo.is_file():
        yield 1024 * _named(meminfo, "MemAvailable:")
    if own.is_file() and (groups := [line for line in own.read_text().splitlines() if line.startswith("0::/")]):
        group = GROUPS / groups[0].removeprefix("0::/")
        for folder in (group, *group.parents):
            if (folder / "memory.max").is_file():
                yield from _left_to(folder)


def _left_to(group: Path) -> Iterator[int]:
    """What a control group may still take, where it is limited."""
    limit = (group / "memory.max").read_text().strip()
    if limit != "max":
        # what it has of files in memory can be let go of
        taken = int((group / "memory.current").read_text()) - _named(group / "memory.stat", "file")
        yield max(int(limit) - taken, 0)


def _named(file: Path, name: str) -> int:
    """The number behind a name in a file of such lines."""
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.split()[0] == name)
