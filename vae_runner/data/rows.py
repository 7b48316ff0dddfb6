"""Examples in files."""

import math
from typing import Protocol

import torch
from torch import Tensor


class Rows(Protocol):
    """Examples in files. Handed to other processes, so it is small when pickled."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def apart(self) -> bool:
        """Whether some of a batch can be read by themselves at no further cost."""
        ...

    def __len__(self) -> int: ...

    def subset(self, indices: Tensor) -> "Rows": ...

    def read(self, indices: Tensor) -> Tensor:
        """x as it is stored in memory (n, *shape). Raises DataLost for what is gone or damaged since it was found."""
        ...


def size_of(rows: Rows) -> int:
    """Bytes that the examples would take in memory."""
    return len(rows) * math.prod(rows.shape) * rows.dtype.itemsize
