"""Image files of any kind and size -> uint8 tensors of one size."""

import io
import logging
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from vae_runner.data.files import Files
from vae_runner.data.splits import TensorSplit
from vae_runner.errors import UserError

logger = logging.getLogger("vae_runner")

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


# images that one thread decodes before it takes more
BLOCK = 64


class WrongSizeError(Exception):
    """An image that is not of the size all are expected to have."""


@dataclass(frozen=True)
class Decoder:
    """The bytes of one image file -> (channels, height, width) uint8.

    size: (height, width). fit: `crop` keeps the proportions and cuts the middle out, `stretch` does not, `exact`
    takes only images that are of this size already.
    square: side of a central square to cut out first, in pixels of the file. inverted: ink is bright.
    """

    size: tuple[int, int]
    channels: int = 3
    fit: str = "crop"
    square: int | None = None
    inverted: bool = False

    def __call__(self, content: bytes) -> Tensor:
        height, width = self.size
        with Image.open(io.BytesIO(content)) as image:
            if self.fit != "exact" and self.square is None:
                # lets a JPEG decode at a fraction of its size, still twice as large as needed
                image.draft(None, (2 * max(self.size), 2 * max(self.size)))
            picture = upright(image, self.channels)
        if self.square is not None:
            left, top = (picture.width - self.square) // 2, (picture.height - self.square) // 2
            picture = picture.crop((left, top, left + self.square, top + self.square))
        if self.fit == "exact" and picture.size != (width, height):
            raise WrongSizeError(f"is {picture.height}x{picture.width}")
        if picture.size != (width, height):
            if self.fit == "crop":
                picture = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
            else:
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.array(picture).reshape(height, width, self.channels)
        if self.inverted:
            pixels = 255 - pixels
        return torch.from_numpy(pixels).permute(2, 0, 1)


def size_of(content: bytes) -> tuple[int, int]:
    """The (height, width) at which a viewer shows the bytes of an image file; its pixels are not decoded."""
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (width, height) if turned else (height, width)


def upright(image: Image.Image, channels: int) -> Image.Image:
    """The image as a viewer shows it: turned as the camera says, on white where transparent, 8 bits a channel."""
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I"):
        turned = Image.fromarray((np.asarray(turned).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    elif turned.mode == "F":
        raise ValueError("pixels are 32-bit floats: data=arrays takes such values")
    if turned.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in turned.info:
        turned = turned.convert("RGBA")
        turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned)
    return turned.convert("L" if channels == 1 else "RGB")


class ImageFiles:
    """Images that still lie in files, with the label of each; `read` decodes them, several at once.

    c: the condition of each, in files too.
    explain: what a message about one of them ends with.
    """

    def __init__(
        self,
        files: Files,
        names: list[str],
        decoder: Decoder,
        y: Tensor | None = None,
        *,
        c: "ImageFiles | None" = None,
        skip_unreadable: bool = False,
        explain: Callable[[str, Exception], str] = lambda name, error: f"{name}: not a readable image ({error})",
    ) -> None:
        self.files = files
        self.names = names
        self.decoder = decoder
        self.y = y
        self.c = c
        self.skip_unreadable = skip_unreadable
        self.explain = explain

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, indices: Tensor) -> "ImageFiles":
        return ImageFiles(
            self.files,
            [self.names[i] for i in indices.tolist()],
            self.decoder,
            None if self.y is None else self.y[indices],
            c=None if self.c is None else self.c.subset(indices),
            skip_unreadable=self.skip_unreadable,
            explain=self.explain,
        )

    def read(self) -> TensorSplit:
        """Raises UserError at the first unreadable image, or warns and leaves it out with `skip_unreadable`."""
        if len(self) >= 20000:
            logger.info("reading %d images", len(self))
        shape = (len(self), self.decoder.channels, *self.decoder.size)
        try:
            x = torch.empty(shape, dtype=torch.uint8)
        except RuntimeError as error:
            gigabytes = math.prod(shape) / 2**30
            fix = "lower data.size or data.limit"
            raise UserError(f"{len(self)} images of {shape[1:]} need {gigabytes:.0f} GB of memory: {fix}") from error

        readable = torch.ones(len(self), dtype=torch.bool)

        def decode(start: int) -> None:
            for i in range(start, min(start + BLOCK, len(self))):
                try:
                    x[i] = self.decoder(self.files.read(self.names[i]))
                except Exception as error:  # each image library raises its own kinds for a broken file
                    if not self.skip_unreadable or isinstance(error, WrongSizeError):
                        raise UserError(self.explain(self.names[i], error)) from error
                    readable[i] = False

        # the decoders of Pillow let other threads run
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            try:
                for _ in pool.map(decode, range(0, len(self), BLOCK)):
                    pass
            except UserError:
                pool.shutdown(cancel_futures=True)
                raise
        if readable.all():
            return TensorSplit(x, self.y, c=None if self.c is None else self.c.read().x)
        skipped = [name for name, good in zip(self.names, readable.tolist(), strict=True) if not good]
        logger.warning("skipped %d unreadable images: %s", len(skipped), ", ".join(skipped))
        kept = readable.nonzero().flatten()
        return TensorSplit(
            x[kept],
            None if self.y is None else self.y[kept],
            c=None if self.c is None else self.c.subset(kept).read().x,
        )
