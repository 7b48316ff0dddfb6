"""Piano rolls: which of 88 keys sound at each step (Boulanger-Lewandowski, Bengio and Vincent, 2012)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from vae_runner.data.array_files import read_arrays
from vae_runner.data.source import Source, Stored
from vae_runner.data.windows import padded
from vae_runner.errors import UserError
from vae_runner.settings import Range

SPLITS = {"train": "train", "valid": "validation", "test": "test"}


class Music(Source):
    """Pieces (T, 88) of 0 and 1, shorter ones filled up with silence that does not count.

    path: a .npz with `train_frames` (steps of all pieces, 88) and `train_lengths` (pieces,), and, if there are such,
        `valid_` and `test_`; None: `set` in the folder `music` of `root`.
    steps: the longest that is kept; None: the longest piece. cut: longer pieces go on in further examples, else their
        rest is left out.
    """

    def __init__(
        self,
        *,
        set: Literal["jsb_chorales", "nottingham"] = "jsb_chorales",
        path: str | None = None,
        root: str = "data",
        steps: Annotated[int, Range(1)] | None = 160,
        cut: bool = True,
        **common,
    ) -> None:
        super().__init__(**common)
        self.given, self.root = path, root
        self.path = Path(path) if path else Path(root) / "music" / f"{set}.npz"
        self.steps, self.cut = steps, cut

    @property
    def origin(self) -> str:
        return str(self.path)

    def load(self) -> Stored:
        if not self.given and not self.path.expanduser().is_file():
            raise UserError(
                f"data=music: there is no {self.path}; set data.root (now {self.root}, by default VAE_RUNNER_DATA) to "
                f"a folder with {self.path.parent.name}/{self.path.name} in it, or data.path to a .npz with "
                f"train_frames (steps, 88) and train_lengths"
            )
        arrays = read_arrays(self.path.expanduser(), self.origin, None, ())
        parts = {own: self._pieces(arrays, name) for name, own in SPLITS.items() if f"{name}_frames" in arrays}
        if "train" not in parts:
            raise UserError(f"{self.origin}: holds {', '.join(arrays)}; train_frames and train_lengths are needed")
        splits = padded(parts)
        return Stored(splits["train"], splits.get("test"), splits.get("validation"))

    def _pieces(self, arrays: Mapping[str, Any], name: str) -> list[Tensor]:
        """Each (T, keys), bytes of 0 and 255."""
        frames, lengths = (np.asarray(arrays.get(f"{name}_{part}")) for part in ("frames", "lengths"))
        if frames.ndim != 2 or lengths.ndim != 1 or lengths.sum() != len(frames) or (lengths < 1).any():
            raise UserError(
                f"{self.origin}: {name}_frames {frames.shape} and {name}_lengths {lengths.shape} do not fit; the "
                f"frames are (steps of all pieces, keys), the lengths (pieces,), each at least 1"
            )
        if not ((frames == 0) | (frames == 1)).all():
            raise UserError(f"{self.origin}: {name}_frames must be 0 or 1")
        pieces = torch.from_numpy(frames.astype(np.uint8) * 255).split(lengths.tolist())
        if self.steps is None:
            return list(pieces)
        return [part for piece in pieces for part in piece.split(self.steps)[: None if self.cut else 1]]
