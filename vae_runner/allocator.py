"""What becomes of memory that was freed."""

import ctypes
import os
import sys

# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """From now on what this process frees it keeps, for what it needs next.

    A step frees what it took, up to gigabytes, and needs as much again in the next. Left to itself glibc gives large
    blocks back to the system, which hands them out anew page by page, filled with zeros: between a third and a half of
    the time of a convolutional network's step. The process holds more memory for it, by a tenth to two thirds of what
    it had: blocks of other sizes, as an evaluation takes, do not fit where those of steps were.

    Nothing is done where another library allocates, or where the environment sets what glibc does
    (MALLOC_TRIM_THRESHOLD_=131072 for one).
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if chosen or not sys.platform.startswith("linux"):
        return
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):  # musl has none
        mallopt(M_MMAP_MAX, 0)  # else blocks above some size are mapped by themselves, and given back one by one
        mallopt(M_TRIM_THRESHOLD, -1)
