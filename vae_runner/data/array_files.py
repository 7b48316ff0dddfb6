"""The arrays in a file, by name. No file is trusted: nothing in it is ever executed."""

import csv
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_runner.errors import UserError

ENDINGS = (".npz", ".npy", ".pt", ".csv")
SEPARATORS = {";": "semicolons", "\t": "tabs"}  # which other programs write for commas


class Npz(Mapping[str, Any]):
    """The arrays of a .npz, each read when it is asked for: others may be huge, or not arrays of numbers."""

    def __init__(self, path: Path, origin: str) -> None:
        self.origin = origin
        self.file = np.load(path, allow_pickle=False)
        if not isinstance(self.file, np.lib.npyio.NpzFile):
            raise ValueError("not a .npz file inside")

    def __contains__(self, name: object) -> bool:
        return name in self.file.files

    def __getitem__(self, name: str) -> Any:
        try:
            return self.file[name]
        except KeyError:
            raise
        except Exception as error:  # numpy and zipfile raise a dozen kinds for a broken file
            raise UserError(f"{self.origin}: {name} cannot be read: {_line(error)}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.file.files)

    def __len__(self) -> int:
        return len(self.file.files)


def read_arrays(path: Path, origin: str, label: str | None, label_names: tuple[str, ...]) -> Mapping[str, Any]:
    """Name -> array. A file of one array calls it `x`; so does a .csv, whose label column is `label` or a known name.

    Raises UserError when the file is absent, of another kind, truncated or corrupt.
    """
    if path.suffix.lower() not in ENDINGS:
        if path.is_dir():
            raise UserError(f"{origin}: a folder; for images: data=images")
        raise UserError(f"{origin}: not one of {', '.join(ENDINGS)}; for text: data=text")
    if not os.path.isfile(path):
        raise UserError(f"{origin}: there is no such file")
    try:
        if path.suffix.lower() == ".npz":
            return Npz(path, origin)
        if path.suffix.lower() == ".npy":
            return {"x": np.load(path, allow_pickle=False)}
        if path.suffix.lower() == ".pt":
            return _torch_arrays(torch.load(path, map_location="cpu", weights_only=True), origin)
        return _csv_arrays(path, origin, label, label_names)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        reason = "truncated or corrupt, or more in it than tensors and plain containers, which is never loaded"
        raise UserError(f"{origin}: {reason}") from error
    except Exception as error:  # numpy, zipfile, torch and csv raise a dozen kinds for a broken file
        if path.suffix.lower() == ".npy" and "pickle" in str(error):
            raise UserError(f"{origin}: truncated, corrupt or not a .npy of numbers") from error
        raise UserError(f"{origin}: truncated, corrupt or not an array file: {_line(error)}") from error


def map_arrays(path: Path) -> Mapping[str, Any]:
    """Name -> array, as `read_arrays` has it, of a .npy or .pt file, whose values are read as they are looked at.

    Raises anything where the file is absent, cannot be mapped, or is of another kind.
    """
    if path.suffix.lower() == ".npy":
        return {"x": np.load(path, mmap_mode="r", allow_pickle=False)}
    if path.suffix.lower() == ".pt":
        return _torch_arrays(torch.load(path, map_location="cpu", weights_only=True, mmap=True), str(path))
    raise ValueError(f"{path.suffix} is read as a whole")


def _torch_arrays(content: Any, origin: str) -> dict[str, Any]:
    if isinstance(content, Tensor):
        return {"x": content}
    if isinstance(content, (tuple, list)) and 1 <= len(content) <= 2 and all(isinstance(t, Tensor) for t in content):
        return dict(zip(("x", "y"), content, strict=False))
    if isinstance(content, dict):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise UserError(f"{origin}: holds neither a tensor, nor a pair (x, y), nor a dictionary of tensors")


def _csv_arrays(path: Path, origin: str, label: str | None, label_names: tuple[str, ...]) -> dict[str, Any]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = [cell.strip() for cell in next(csv.reader(file), [])]
    if not first:
        raise UserError(f"{origin}: the file is empty")
    if len(first) == 1 and (separator := next((name for mark, name in SEPARATORS.items() if mark in first[0]), None)):
        raise UserError(f"{origin}: {_of_separator(separator, first[0], 1)}")
    header = not all(_is_number(cell) for cell in first)
    names = first if header else [str(i) for i in range(len(first))]
    if label is None:
        label = next((name for name in names if header and name.lower() in label_names), None)
    elif label not in names:
        known = ", ".join(names[:20]) if header else f"no header, so columns are 0 to {len(names) - 1}"
        raise UserError(f"data.y={label}: {path} has {known}")
    columns = [i for i, name in enumerate(names) if name != label]
    if not columns:
        raise UserError(f"{origin}: no column besides the label's, {label}")
    with path.open("rb") as content:
        if sum(1 for _, line in zip(range(header + 1), content, strict=False) if line.strip()) <= header:
            raise UserError(f"{origin}: a header and no rows")
    options: dict[str, Any] = {
        "delimiter": ",",
        "skiprows": int(header),
        "comments": None,
        "quotechar": '"',
        "ndmin": 2,
        "encoding": "utf-8-sig",
    }
    try:
        x = np.loadtxt(path, dtype=np.float32, usecols=columns, **options)
    except ValueError:
        _refuse_text(path, origin, names, columns, header)
        # a cell with nothing in it is a missing value; looking for them is slower
        x = np.loadtxt(path, dtype=np.float32, usecols=columns, converters=lambda cell: float(cell or "nan"), **options)
    arrays: dict[str, Any] = {"x": x}
    if label is not None:
        texts = np.loadtxt(path, dtype=str, usecols=[names.index(label)], **options)[:, 0]
        arrays[label] = _targets(np.char.strip(texts), path, origin, names.index(label), label)
    return arrays


def _targets(texts: np.ndarray, path: Path, origin: str, column: int, name: str) -> np.ndarray:
    """Numbers where all cells are some, else words; an empty cell is a hidden label: -1, or the empty word.

    Raises UserError for an empty cell among numbers that are no classes.
    """
    told = texts != ""
    if not told.any() or not all(_is_number(text) for text in texts[told]):
        return texts
    targets = np.full(len(texts), -1.0)
    targets[told] = texts[told].astype(np.float64)
    if not told.all() and (targets != targets.round()).any():
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            line = next(reader.line_num for row in reader if row and not row[column].strip())
        raise UserError(
            f"{origin}: column {name} has an empty cell in line {line}, and holds real numbers: a class that is not "
            f"known is hidden, but such a target must be known; take that line out of the file"
        )
    return targets


def _refuse_text(path: Path, origin: str, names: list[str], columns: list[int], header: bool) -> None:
    """Raises UserError for the first cell that is neither empty nor a number, with its line and column."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for i, row in enumerate(reader):
            cells = [] if header and i == 0 else [(names[j], row[j].strip()) for j in columns if j < len(row)]
            for name, cell in cells:
                if cell and not _is_number(cell):
                    raise UserError(f"{origin}: {_of_text(name, cell, reader.line_num)}")


def _of_text(column: str, cell: str, line: int) -> str:
    """What is wrong with a cell that is no number, and what to do."""
    for mark, separator in SEPARATORS.items():
        if mark in cell and any(_is_number(part) for part in cell.split(mark)):
            return _of_separator(separator, cell, line)
    return (
        f"column {column} holds no number in line {line} but {cell[:40]!r}; take that column out of the file, or name "
        f"it if it holds classes (data.y={column}); a value that is not known is an empty cell"
    )


def _of_separator(separator: str, cell: str, line: int) -> str:
    return (
        f"line {line} has {separator} between its columns ({cell[:40]!r}); they must be separated by commas, and "
        f"decimals written with points"
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _line(error: Exception) -> str:
    if "pickle" in str(error):  # what numpy takes anything for that is not its own, beside objects
        return "not an array of numbers"
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
