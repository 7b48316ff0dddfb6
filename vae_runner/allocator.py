"""What becomes of memory that was freed."""

import ctypes
import os
import sys

# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
LARGE = 32 * 2**20  # bytes; no M_MMAP_THRESHOLD is larger
MAPPED = 65536  # M_MMAP_MAX where nobody sets it


def keep_freed_memory(*, large: bool = False) -> None:
    """From now on what this process frees it keeps, for what it needs next; blocks above 32 MB only if `large`.

    A step frees what it took, up to gigabytes, and needs as much again in the next. Left to itself glibc gives large
    blocks back to the system, which hands them out anew page by page, filled with zeros: between a third and a half of
    the time of a convolutional network's step.

    large: for steps, which take blocks of the same sizes again and again. For what takes others these would be in the
    way: glibc before 2.38 can't take a block of torch's again for one of its size, as long as any lies close behind it.

    Nothing is done where another library allocates, or where the environment sets what glibc keeps
    (MALLOC_TRIM_THRESHOLD_=131072 for one).
    """
    if _set_by_environment() or not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):  # musl has none
        return
    library.mallopt(M_TRIM_THRESHOLD, -1)
    library.mallopt(M_MMAP_THRESHOLD, LARGE)
    library.mallopt(M_MMAP_MAX, 0 if large else MAPPED)  # how many blocks are mapped by themselves, if large enough
    if not large:
        library.malloc_trim(0)


def _set_by_environment() -> bool:
    names = [name for name in os.environ if name.startswith("MALLOC_")]
    names += [name for name in os.environ.get("GLIBC_TUNABLES", "").split(":") if name.startswith("glibc.malloc.")]
    return any(word in name.lower() for name in names for word in ("trim", "mmap", "top_pad", "hugetlb"))
