"""Series of numbers over time: a user's own, whole or cut into windows, or generated ones of five classes."""

from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from vae_runner.data.array_source import ArraySource
from vae_runner.data.source import Stored
from vae_runner.data.splits import Examples, Split, TensorSplit
from vae_runner.data.windows import Divided, in_time, require_room, windows
from vae_runner.errors import UserError
from vae_runner.settings import Range

WAVES = ("sine", "square", "sawtooth", "pulse", "chord")
COUNT, STEPS, NOISE = 2000, 64, 0.05


def generate() -> tuple[Tensor, Tensor]:
    """Waves (2000, 64, 1) of one to two periods, begun in their first half, 0.5 to 1.5 high; and classes (2000,).

    Three numbers and a class make a wave, but not on a plane: they move and stretch it as a whole.
    """
    random = np.random.RandomState(0)  # numpy guarantees that what it draws never changes
    y = np.arange(COUNT) % len(WAVES)
    ranges = (1.0, 2.0), (0.0, 0.5), (0.5, 1.5)
    periods, phase, height = (random.uniform(low, high, (COUNT, 1)) for low, high in ranges)
    turn = (periods * np.arange(STEPS) / STEPS + phase) % 1
    waves = (
        np.sin(2 * np.pi * turn),
        np.where(turn < 0.5, 1.0, -1.0),
        2 * turn - 1,
        2 * np.exp(-(((turn - 0.5) / 0.1) ** 2) / 2) - 0.5,
        (np.sin(2 * np.pi * turn) + np.sin(6 * np.pi * turn)) / 1.5,
    )
    x = np.choose(y[:, None], waves) * height + NOISE * random.standard_normal((COUNT, STEPS))
    return torch.from_numpy(x.astype(np.float32)).unsqueeze(-1), torch.from_numpy(y)


class Series(ArraySource):
    """Examples (T, D), T steps of D channels.

    path: .npz, .npy, .pt or .csv; None: the generated waves.
    layout: `series`, (N, T) or (N, T, D), where steps at the end that are all NaN are padding; or `table`, one long
        series, a row per step and a column per channel, which is cut into windows; the last of it is for the test.
    window, stride: steps of a window, and from one to the next (None: as many); without a window series stay whole.
    scale: as for the columns of a table, each channel by itself.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        layout: Literal["series", "table"] = "series",
        window: Annotated[int, Range(1)] | None = None,
        stride: Annotated[int, Range(1)] | None = None,
        **common,
    ) -> None:
        super().__init__(path=path or "", **common)
        self.table = layout == "table"
        self.window, self.stride = window, stride

    def load(self) -> Stored:
        if self.table:
            self._refuse_table()
        if self.stride and not self.window:
            raise UserError(f"data.stride={self.stride}: is between windows; give data.window too, or leave it out")
        if not self.path:
            return Stored(TensorSplit(*generate()), classes=len(WAVES), class_names=list(WAVES))
        stored = super().load()
        return replace(
            stored,
            train=self._series(stored.train),
            validation=None if stored.validation is None else self._series(stored.validation),
            test=None if stored.test is None else self._series(stored.test),
        )

    def _refuse_table(self) -> None:
        """Raises UserError for what a table lacks, or has too much."""
        if not self.path:
            raise UserError("data.layout=table: is of a file; give data.path, or leave data.layout out")
        if self.window is None:
            raise UserError("data.layout=table: give data.window, the steps of an example, as in data.window=20")
        if self.c is not None:
            raise UserError(f"data.c={self.c}: a table (data.layout=table) takes no conditions; leave data.c out")
        if self.leave_out:
            raise UserError(
                f"data.leave_out={self.leave_out}: a table (data.layout=table) is cut in time, and no class can be cut "
                f"out of it; type data.leave_out=null"
            )

    def _examples(self, name: str, value: Any) -> Tensor:
        # one channel alone is often stored without an axis for it
        return super()._examples(name, value[:, None] if self.table and value.ndim == 1 else value)

    def _series(self, split: Examples) -> TensorSplit:
        """The split as steps of channels, with its lengths where there is padding."""
        assert isinstance(split, TensorSplit)  # series are not read from disk batch by batch
        # arrays are read as images (N, 1, H, W) or vectors
        x = split.x.squeeze(1) if split.x.ndim == 4 else split.x if self.table else split.x.unsqueeze(-1)
        x = x.to(torch.float32) if x.dtype == torch.uint8 else x
        if x.ndim != (2 if self.table else 3):
            allowed = "(steps, D)" if self.table else "(N, T) or (N, T, D)"
            raise UserError(f"{self.origin}: an array of shape {tuple(split.x.shape)}; data.layout wants {allowed}")
        empty = x.isnan().all(-1)
        if self.table or not bool(empty[:, -1].any()):
            return TensorSplit(x, split.y, c=split.c)
        padding = empty.flip(1).cumprod(1).flip(1).bool()
        return TensorSplit(x.masked_fill(padding[..., None], 0), split.y, lengths=(~padding).sum(1), c=split.c)

    def _divide(self, stored: Stored) -> tuple[Examples, Examples, Examples]:
        divided: Divided = super()._divide(stored)
        return in_time(stored, divided) if self.table else divided

    def scale(self, train: Split, validation: Split, test: Split) -> tuple[Split, Split, Split]:
        splits = [split for split in (train, validation, test) if isinstance(split, TensorSplit)]
        counts = [_counts(split) for split in splits]
        steps = [TensorSplit(split.x[count]) for split, count in zip(splits, counts, strict=True)]
        cut = []
        for split, count, table in zip(splits, counts, super().scale(*steps), strict=True):
            x = torch.zeros_like(split.x, dtype=torch.float32)
            x[count] = table.take(torch.arange(len(table)))[0]
            cut.append(TensorSplit(x, split.y, lengths=split.lengths, c=split.c))
        if self.table and self.window:
            require_room("data.window", self.window, self.origin, cut)
        cut = [self._cut(split) for split in cut]
        return cut[0], cut[1], cut[2]

    def _cut(self, split: TensorSplit) -> TensorSplit:
        if self.window is None:
            return split
        stride = self.stride or self.window
        if self.table:
            return windows(split, self.window, stride)
        if self.window > split.x.shape[1]:
            steps = split.x.shape[1]
            whose = f"the series of {self.path}" if self.path else "the waves"
            raise UserError(f"data.window={self.window}: {whose} have {steps} steps; type data.window={steps} or less")
        x = split.x.unfold(1, self.window, stride).movedim(-1, 2)
        whole = _counts(split).unfold(1, self.window, stride).all(-1)
        owner = whole.nonzero()[:, 0]
        y, c = (None if part is None else part[owner] for part in (split.y, split.c))
        return TensorSplit(x[whole], y, c=c)


def _counts(split: TensorSplit) -> Tensor:
    """Which steps are no padding, (N, T), or (T,) of a table."""
    mask = split.mask(torch.arange(len(split)))
    return torch.ones(split.x.shape[:-1], dtype=torch.bool) if mask is None else mask[..., 0].bool()
