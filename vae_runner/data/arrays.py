"""A user's own arrays, in memory or in their file."""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_runner.data.array_files import map_arrays
from vae_runner.data.array_rows import ArrayRows, ChangedRows
from vae_runner.data.array_source import ArraySource, as_condition
from vae_runner.data.rows import Rows
from vae_runner.data.source import Stored
from vae_runner.data.splits import TensorSplit
from vae_runner.data.streamable import Streamable
from vae_runner.data.streamed import StreamedSplit
from vae_runner.errors import UserError


class Arrays(Streamable, ArraySource):
    """Arrays in a file, as `ArraySource` reads them; those of a .npy or .pt may stay there."""

    maps = False

    def load(self) -> Stored:
        self.maps = not self.in_memory and self._is_to_be_mapped()
        stored = super().load()
        if self.in_memory is False and not self.maps:
            raise UserError(
                f"data.in_memory=false: {self.path} can only be read as a whole; save the array as a .npy, or several "
                f"as a .pt (torch.save of a dictionary of tensors), or type data.in_memory=null"
            )
        return stored

    @property
    def _file(self) -> Path:
        return Path(self.path).expanduser()

    def _is_to_be_mapped(self) -> bool:
        try:
            arrays = map_arrays(self._file)
        except Exception:  # reading it as a whole says what is wrong, if anything is
            return False
        values = [arrays[name] for name in self._choose(arrays)[0].values()]
        return self.streams(sum(math.prod(value.shape) * self._bytes_of_one(value) for value in values))

    def _bytes_of_one(self, value: Any) -> int:
        """What a value takes while it is read: as it is kept, until it is scaled, and as the file has it."""
        if _is_bytes(value):
            return 1
        kept, size = ("float32", 4) if self.scaling == "none" else ("float64", 8)
        return size if str(value.dtype).endswith(kept) else size + value.itemsize

    def _arrays(self) -> Mapping[str, Any]:
        return map_arrays(self._file) if self.maps else super()._arrays()

    def _split(self, name: str, value: Any) -> TensorSplit | StreamedSplit:
        if not self.maps:
            return super()._split(name, value)
        return StreamedSplit(self._rows(name, value), workers=self.workers)

    def _condition(self, name: str, value: Any) -> Tensor | Rows:
        if not self.maps:
            return super()._condition(name, value)
        if value.ndim == 2:
            return as_condition(self._examples(name, value)).clone()
        return ChangedRows(self._rows(name, value), as_condition)

    def _rows(self, name: str, value: Any) -> ArrayRows:
        """The examples of an array, where they lie."""
        self._require_examples(name, value)
        everything = torch.arange(len(value))
        as_they_are = StreamedSplit(
            ArrayRows(self._file, name, functools.partial(self._laid_out, name), everything), workers=0
        )
        is_grey = _is_bytes(value) and any(bool((x > 1).any()) for x in as_they_are.blocks())
        return ArrayRows(self._file, name, functools.partial(self._arranged, name, is_grey), everything)

    def _arranged(self, name: str, is_grey: bool, value: Any) -> Tensor:
        return self._converted(self._laid_out(name, value), is_grey)


def _is_bytes(value: Any) -> bool:
    return value.dtype in (np.uint8, torch.uint8)
