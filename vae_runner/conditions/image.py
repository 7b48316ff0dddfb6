"""A picture: image-to-image translation, made from the target or paired with it (Sohn et al. 2015; Isola et al. 2017).

gray: the target's colours are left out. edges: all but its contours. low_resolution: its details. quadrants: one to
three quarters of it are visible, and the likelihood is that of the others alone.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import Tensor

from vae_runner.conditions.condition import Condition
from vae_runner.conditions.pictures import edges, gray, low_resolution, visible_quadrants
from vae_runner.data.decoder import Decoder, size_of
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError
from vae_runner.settings import Range

OF_ONE_SHAPE = 0.03  # by which the proportions of two pictures may differ before it is worth a word


class Image(Condition):
    """transform: how the target becomes the condition; None: the data brings pairs along (data.c).

    factor: by which `low_resolution` makes height and width smaller, 4 unless given.
    visible: how many `quadrants` are: the bottom left (as unless given), the left half, or all but the bottom right.
    """

    def __init__(
        self,
        space: Space,
        *,
        transform: Literal["gray", "edges", "low_resolution", "quadrants"] | None = "edges",
        factor: Annotated[int, Range(2, 1024)] | None = None,
        visible: Annotated[int, Range(1, 3)] | None = None,
    ) -> None:
        super().__init__(space)
        for key, value, owner in (("factor", factor, "low_resolution"), ("visible", visible, "quadrants")):
            if value is not None and transform != owner:
                raise UserError(f"condition.{key}={value}: belongs to condition.transform={owner}; leave it out")
        self.transform, self.factor, self.visible = transform, factor or 4, visible or 1
        if transform is None and len(space.context) != 3:
            raise UserError(
                "condition.transform=null: needs a picture beside each example: for arrays data.c=NAME, for folders of "
                "images data.c=FOLDER; or type condition.transform=edges"
            )
        if transform and not (space.image and space.shape[0] in (1, 3)):
            raise UserError(f"condition.transform={transform}: makes pictures from pictures, grey or in colour, only")
        if transform == "gray" and space.shape[0] == 1:
            raise UserError("condition.transform=gray: these pictures are grey already; type condition.transform=edges")
        if transform == "low_resolution" and self.factor > min(space.shape[1:]):
            raise UserError(
                f"condition.factor={self.factor}: pictures of {space.shape[1]}x{space.shape[2]} have no such part; "
                f"type at most {min(space.shape[1:])}"
            )
        self.shape = space.context if transform is None else tuple(self.of(torch.zeros(1, *space.shape)).shape[1:])

    def of(self, x: Tensor) -> Tensor:
        """The conditions (N, *self.shape) made from examples x (N, *shape)."""
        if self.transform == "gray":
            return gray(x)
        if self.transform == "edges":
            return edges(x)
        if self.transform == "low_resolution":
            return low_resolution(x, self.factor)
        return x * visible_quadrants(x, self.visible)

    def complete(self, batch: Batch) -> Batch:
        if self.transform is None:
            assert batch.c is not None
            c = batch.c / 255 if batch.c.dtype == torch.uint8 else batch.c
            return dataclasses.replace(batch, c=c)
        mask = batch.mask
        if self.transform == "quadrants":
            hidden = 1 - visible_quadrants(batch.x, self.visible)
            mask = hidden if mask is None else mask * hidden
        return dataclasses.replace(batch, c=self.of(batch.x), mask=mask)

    def forward(self, c: Tensor) -> Tensor:
        """The pictures themselves."""
        return c

    def reveal(self, x: Tensor, c: Tensor) -> Tensor:
        """x (N, *shape) with what its condition c shows of it, which a model of the rest has no reason to learn."""
        if self.transform != "quadrants":
            return x
        return torch.where(visible_quadrants(x, self.visible) > 0, c, x)

    def visible_of(self, c: Tensor) -> Tensor:
        """Conditions (N, *self.shape) without what they would not show: with quadrants, all others are black."""
        return self.of(c) if self.transform == "quadrants" else c

    def parse(self, text: str) -> Tensor:
        """The condition in an image file, resized where it is of another size."""
        if not Path(text).expanduser().is_file():
            raise UserError(
                f"label={text}: this model is conditioned on pictures, and there is no such file; give a picture's "
                f"file, as in label=picture.png"
            )
        return self.visible_of(self.read(text, self.shape, "label"))

    def remark(self, text: str) -> str:
        return self.resizing([text], self.shape)

    def read(self, file: str | Path, shape: tuple[int, ...], key: str = "input") -> Tensor:
        """The picture in an image file, (1, *shape) in [0, 1]. key: the setting that names it."""
        channels, height, width = shape
        if self.space.support == "real" or channels not in (1, 3):
            raise UserError(
                f"{key}={file}: this model's pictures are no grey levels or colours of 0 to 1: give them in a .npz, to "
                f"vae-run translate input=FILE.npz"
            )
        try:
            pixels = Decoder((height, width), channels)(Path(file).expanduser().read_bytes())
        except Exception as error:  # each image library raises its own kinds for a broken file
            raise UserError(f"{key}={file}: not a readable image ({error})") from error
        return pixels[None] / 255

    def resizing(self, files: Sequence[str | Path], shape: tuple[int, ...]) -> str:
        """What `read` does to image files of another size, in one line; empty where there are none."""
        height, width = shape[1:]
        sizes = [size_of(Path(file).expanduser().read_bytes()) for file in files]
        others = [size for size in sizes if size != (height, width)]
        if not others:
            return ""
        cut = sum(abs(h * width / (w * height) - 1) > OF_ONE_SHAPE for h, w in others)
        many = f"{len(others)} of {len(files)} pictures" if len(files) > 1 else "the picture"
        text = f"{many} resized from {_by(sorted(set(others)))} to {height}x{width} (height x width)"
        if not cut:
            return text
        whose = f"{cut} with" if len(files) > 1 else "it has"
        return f"{text}; {whose} other proportions, so that what is beyond the middle is cut off"


def _by(sizes: Sequence[tuple[int, int]]) -> str:
    """Sizes, the first of them and how many more."""
    shown = ", ".join(f"{height}x{width}" for height, width in sizes[:3])
    return shown + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else "")
