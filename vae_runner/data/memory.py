"""How much memory data may take."""

import os
from pathlib import Path

import torch

SHARE = 0.5  # of what is available: the rest is for the model, and for what else runs


def room(device: torch.device) -> int:
    """Bytes that examples may take which are read into memory and then moved to the device."""
    available = _available()
    if device.type == "cuda":
        available = min(available, torch.cuda.mem_get_info(device)[0])
    return int(SHARE * available)


def _available() -> int:
    """Bytes that this process can still take without anything being swapped out, as far as the system says."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    meminfo, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if meminfo.is_file():
        found.append(1024 * _named(meminfo, "MemAvailable:"))
    limit = group / "memory.max"
    if limit.is_file() and (text := limit.read_text().strip()) != "max":
        # what the control group has of files in memory can be let go of
        taken = int((group / "memory.current").read_text()) - _named(group / "memory.stat", "file")
        found.append(max(int(text) - taken, 0))
    return min(found)


def _named(file: Path, name: str) -> int:
    """The number behind a name in a file of such lines."""
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.split()[0] == name)
