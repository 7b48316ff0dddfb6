"""A user's own arrays, as they become examples: .npz, .npy, .pt or .csv."""

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vae_runner.data.array_files import read_arrays
from vae_runner.data.array_rows import ChangedRows
from vae_runner.data.rows import Rows
from vae_runner.data.scaling import standardize, unit
from vae_runner.data.source import Source, Stored
from vae_runner.data.splits import Split, TensorSplit
from vae_runner.data.streamed import BLOCK, StreamedSplit
from vae_runner.errors import UserError

X_NAMES = ("x", "images", "data", "X", "imgs", "inputs")
Y_NAMES = ("y", "labels", "targets", "label", "target", "class")
HIDDEN = ""  # among labels in words what -1 is among numbers


class ArraySource(Source):
    """Images (N, H, W), (N, C, H, W) or (N, H, W, C), or vectors (N, D), with or without labels and conditions.

    Labels are classes (N,), -1 or an empty word where one is hidden, or factors (N, F) in whole numbers; where a number
    is not whole they are real-valued targets, factors (N, F) in float32.

    x, y: the names of the arrays (in a .csv y is the label's column); None finds `x_train`, `y_train`, `x_test`,
        `y_test` and `x_validation`, `y_validation`, or else one of `x`, `images`, `data` and `y`, `labels`, `targets`.
    c: the name of the array of conditions, numbers (N, A) or images; with `x_train` and so on, NAME_train and so on.
    layout: where the channels of four-dimensional arrays are; `auto` finds the axis of 4 or fewer.
    scale: `unit` takes the training examples' least and greatest value to 0 and 1 (others are clipped), `standardize`
        their mean and deviation to 0 and 1; each column of vectors by itself, images as a whole.
    """

    def __init__(
        self,
        *,
        path: str,
        x: str | None = None,
        y: str | None = None,
        c: str | None = None,
        layout: Literal["auto", "channels_first", "channels_last"] = "auto",
        scale: Literal["none", "unit", "standardize"] = "none",
        **common,
    ) -> None:
        super().__init__(**common)
        self.path = path
        self.x = x
        self.y = y
        self.c = c
        self.layout = layout
        self.scaling = scale

    @property
    def origin(self) -> str:
        return f"data.path={self.path}"

    def load(self) -> Stored:
        arrays = self._arrays()
        xs, ys = self._choose(arrays)
        splits: dict[str, TensorSplit | StreamedSplit] = {
            split: self._split(name, arrays[name]) for split, name in xs.items()
        }
        shapes = {split: examples.shape for split, examples in splits.items()}
        if len(set(shapes.values())) > 1:
            listed = ", ".join(f"{xs[split]} {shape}" for split, shape in shapes.items())
            raise UserError(f"{self.origin}: examples of different shapes: {listed}")
        sizes = {split: len(examples) for split, examples in splits.items()}
        labels, classes, class_names = self._labels({split: (name, arrays[name]) for split, name in ys.items()}, sizes)
        conditions = self._conditions(arrays, sizes)
        for split, examples in splits.items():
            examples.y, examples.c = labels.get(split), conditions.get(split)
        return Stored(
            splits["train"], splits.get("test"), splits.get("validation"), classes=classes, class_names=class_names
        )

    def _arrays(self) -> Mapping[str, Any]:
        return read_arrays(Path(self.path).expanduser(), self.origin, self.y, Y_NAMES)

    def _split(self, name: str, value: Any) -> TensorSplit | StreamedSplit:
        return TensorSplit(self._examples(name, value))

    def _choose(self, arrays: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Split -> the name of its examples, and of its labels."""
        names = [name for name in arrays if name != self.c]
        for key, name in (("x", self.x), ("y", self.y)):
            if name is not None and name not in arrays:
                raise UserError(f"data.{key}={name}: {self.path} holds {', '.join(arrays)}")
        if self.x is None and "x_train" in arrays:
            known = ("train", "test", "validation")
            xs = {split: f"x_{split}" for split in known if f"x_{split}" in arrays}
            ys = {split: f"y_{split}" for split in known if f"y_{split}" in arrays}
            if ys and ys.keys() != xs.keys():
                raise UserError(f"{self.origin}: holds {', '.join(names)}; labels for all of the splits or none")
            return xs, ys
        y = self.y or next((name for name in Y_NAMES if name in names and name != self.x), None)
        x = self.x or next((name for name in X_NAMES if name in names and name != y), None)
        if x is None:
            rest = [name for name in names if name != y]
            if len(rest) != 1:
                raise UserError(
                    f"{self.origin}: which array holds the examples? It has {', '.join(names) or 'none'}; "
                    f"say data.x=NAME (and data.y=NAME for labels)"
                )
            x = rest[0]
        return {"train": x}, {} if y is None else {"train": y}

    def _examples(self, name: str, value: Any) -> Tensor:
        x = self._laid_out(name, value)
        # bytes that are all 0 or 1 are black and white, not the two darkest of 256 greys
        return self._converted(x, is_grey=x.dtype == torch.uint8 and bool((x > 1).any()))

    def _laid_out(self, name: str, value: Any) -> Tensor:
        """As (N, C, H, W) or (N, D), of the type that the file has."""
        self._require_examples(name, value)
        shape, x = tuple(value.shape), self._tensor(name, value)
        if x.ndim == 3:
            return x.unsqueeze(1)
        return x.permute(0, 3, 1, 2) if x.ndim == 4 and self._channels_last(name, shape) else x

    def _require_examples(self, name: str, value: Any) -> None:
        """Raises UserError where an array holds no numbers, or none of a shape that examples have."""
        self._require_numbers(name, value)
        shape = tuple(value.shape)
        if len(shape) not in (2, 3, 4) or 0 in shape[1:]:
            raise UserError(
                f"{self.origin}: {name} has shape {shape}; images are (N, H, W), (N, C, H, W) or (N, H, W, C), "
                f"vectors (N, D)"
            )

    def _converted(self, x: Tensor, is_grey: bool) -> Tensor:
        if is_grey:
            return x.contiguous()
        # what will be scaled keeps its digits until then: large numbers that differ little are one number to float32
        return x.to(torch.float32 if self.scaling == "none" else torch.float64).contiguous()

    def _conditions(self, arrays: Mapping[str, Any], sizes: dict[str, int]) -> dict[str, Tensor | Rows]:
        """Split -> conditions (N, A) or (N, C, H, W), for all splits or none."""
        if self.c is None:
            return {}
        conditions, shapes = {}, set()
        for split, size in sizes.items():
            name = self.c if self.c in arrays else f"{self.c}_{split}"
            if name not in arrays:
                raise UserError(f"data.c={self.c}: {self.path} holds {', '.join(arrays)}")
            value = arrays[name]
            c = self._condition(name, value if value.ndim > 1 else value[:, None])
            examples = TensorSplit(c) if isinstance(c, Tensor) else StreamedSplit(c)
            if len(c) != size or examples.first_not_finite() is not None:
                raise UserError(
                    f"data.c={self.c}: {name} must hold a condition, without NaN, for each of {size} examples"
                )
            conditions[split] = c
            shapes.add(examples.shape)
        if len(shapes) > 1:
            raise UserError(f"data.c={self.c}: conditions of different shapes in different splits")
        return conditions

    def _condition(self, name: str, value: Any) -> Tensor | Rows:
        return as_condition(self._examples(name, value))

    def _channels_last(self, name: str, shape: tuple[int, ...]) -> bool:
        if self.layout != "auto":
            return self.layout == "channels_last"
        if shape[1] > 4 and shape[3] > 4:
            raise UserError(
                f"{self.origin}: {name} has shape {shape}: which axis counts the channels? "
                f"say data.layout=channels_first or data.layout=channels_last"
            )
        return shape[1] > 4

    def _labels(
        self, named: dict[str, tuple[str, Any]], sizes: dict[str, int]
    ) -> tuple[dict[str, Tensor], int | None, list[str] | None]:
        """Split -> labels (N,) counted from 0 with -1 for hidden, or factors (N, F); how many classes; their names.

        Numbers of which one is not whole are real-valued targets: factors (N, F) in float32, of one column or more.
        """
        labels = {}
        texts: list[str] | None = None
        for split, (name, value) in named.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "S":
                named[split] = (name, np.char.decode(value, "utf-8"))
        if any(isinstance(value, np.ndarray) and value.dtype.kind in "US" for _, value in named.values()):
            texts = sorted({str(text) for _, value in named.values() for text in value.flat} - {HIDDEN})
        for split, (name, value) in named.items():
            if texts is not None:
                words = np.asarray(value).astype(str)
                value = np.where(words == HIDDEN, -1, np.searchsorted(np.array(texts, dtype=str), words))
            y = self._tensor(name, value)
            if y.ndim == 2 and y.shape[1] == 1:
                y = y[:, 0]
            if y.ndim not in (1, 2) or len(y) != sizes[split]:
                raise UserError(
                    f"{self.origin}: labels {name} have shape {tuple(y.shape)} for {sizes[split]} examples; "
                    f"one label (or row of factors) for each is needed"
                )
            self._refuse_unknown(name, y)
            labels[split] = y
        if len({y.shape[1:] for y in labels.values()}) > 1:
            raise UserError(f"{self.origin}: labels have one column in one split and several in another")
        if any(y.is_floating_point() and bool((y != y.round()).any()) for y in labels.values()):
            return {split: _columns(y).to(torch.float32, copy=True) for split, y in labels.items()}, None, None
        # copied from a file that is mapped, for labels stay in memory
        labels = {split: y.to(torch.long, copy=True) for split, y in labels.items()}
        if not labels or next(iter(labels.values())).ndim == 2:
            return labels, None, None
        if any(bool((y < -1).any()) for y in labels.values()):
            raise UserError(f"{self.origin}: labels count classes from 0 (-1 where hidden); one of them is below -1")
        values = torch.cat(list(labels.values())).unique()
        values = values[values >= 0]
        if not len(values):
            raise UserError(f"{self.origin}: all labels are {'empty' if texts is not None else -1}, that is hidden")
        # classes are counted without gaps, so labels such as 1 to 10 need no unused class
        counted = {split: torch.where(y < 0, y, torch.searchsorted(values, y)) for split, y in labels.items()}
        return counted, len(values), texts or [str(value) for value in values.tolist()]

    def _refuse_unknown(self, name: str, y: Tensor) -> None:
        """Raises UserError where a target is no number that float32 has."""
        known = _columns(y).to(torch.float32).isfinite().all(1)
        if not bool(known.all()):
            first = int((~known).int().argmax())
            what = "NaN" if bool(y[first].isnan().any()) else "infinite values (numbers above 3e38 count as such)"
            raise UserError(
                f"{self.origin}: {what} in targets {name} of example {first}, counted from 0; take it out of the file"
            )

    def _tensor(self, name: str, value: Any) -> Tensor:
        if isinstance(value, Tensor):
            if value.is_complex() or value.is_sparse or value.is_quantized:
                raise UserError(f"{self.origin}: {name} is not a dense array of real numbers")
            return value.detach()
        self._require_numbers(name, value)
        array = np.asarray(value)
        if array.dtype.kind == "u" and array.dtype != np.uint8:
            array = array.astype(np.int64)
        return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)))

    def _require_numbers(self, name: str, value: Any) -> None:
        if not isinstance(value, Tensor) and (kind := np.asarray(value).dtype).kind not in "buif":
            what = {"U": "text", "S": "text", "V": "records"}.get(kind.kind, str(kind))
            raise UserError(f"{self.origin}: {name} holds {what}, not numbers")

    def scale(self, train: Split, validation: Split, test: Split) -> tuple[Split, Split, Split]:
        if self.scaling == "none":
            return train, validation, test
        scaling = (unit if self.scaling == "unit" else standardize)(lambda: _blocks(train))
        if not bool(scaling.shift.isfinite().all()):
            raise UserError(
                f"data.scale={self.scaling}: a column of {self.path} holds no value to scale by; leave it out"
            )

        def scaled(split: Split) -> Split:
            assert isinstance(split, TensorSplit | StreamedSplit)
            changed = copy.copy(split)
            changed.x = scaling(split.x) if isinstance(split, TensorSplit) else ChangedRows(split.x, scaling)
            return changed

        return scaled(train), scaled(validation), scaled(test)


def _blocks(split: Split) -> Iterable[Tensor]:
    assert isinstance(split, TensorSplit | StreamedSplit)
    return split.x.split(BLOCK) if isinstance(split, TensorSplit) else split.blocks()


def _columns(y: Tensor) -> Tensor:
    return y[:, None] if y.ndim == 1 else y


def as_condition(c: Tensor) -> Tensor:
    """Examples of an array as conditions: bytes, or else float32."""
    return c if c.dtype == torch.uint8 else c.to(torch.float32)
