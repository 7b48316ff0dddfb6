"""Rows of arrays that stay in their file."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.array_files import map_arrays
from vae_runner.errors import DataLost


class ArrayRows:
    """Rows of the array `name` in a .npy or .pt file, at `places` (N,). arrange: rows of the file -> (n, *shape).

    The file is mapped anew each time, so that what was read once is not kept.
    """

    apart = False

    def __init__(self, path: Path, name: str, arrange: Callable[[Any], Tensor], places: Tensor) -> None:
        self.path, self.name, self.arrange, self.places = path, name, arrange, places
        first = self.read(torch.arange(min(1, len(places))))
        self.shape, self.dtype = tuple(first.shape[1:]), first.dtype

    def __len__(self) -> int:
        return len(self.places)

    def subset(self, indices: Tensor) -> "ArrayRows":
        part = copy.copy(self)
        part.places = self.places[indices]
        return part

    def read(self, indices: Tensor) -> Tensor:
        try:
            rows = map_arrays(self.path)[self.name][self.places[indices].numpy()]
        except Exception as error:  # numpy, zipfile and torch raise a dozen kinds for a broken file
            reason = getattr(error, "strerror", None) or (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataLost(f"{self.path}: {reason}") from error
        return self.arrange(rows)


class ChangedRows:
    """Rows that are changed as they are read. change: (n, *shape) -> the same shape in float32."""

    dtype, apart = torch.float32, False

    def __init__(self, rows: Any, change: Callable[[Tensor], Tensor]) -> None:
        self.rows, self.change = rows, change

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape

    def subset(self, indices: Tensor) -> "ChangedRows":
        return ChangedRows(self.rows.subset(indices), self.change)

    def read(self, indices: Tensor) -> Tensor:
        return self.change(self.rows.read(indices))
