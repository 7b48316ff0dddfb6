"""The bytes of an image file of any kind -> a uint8 tensor of one size."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor


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
    # each of these would copy an image that is right already, which for a small one takes a tenth of its decoding
    turned = ImageOps.exif_transpose(image) if image.getexif().get(ExifTags.Base.Orientation, 1) != 1 else image
    if turned.mode.startswith("I"):
        turned = Image.fromarray((np.asarray(turned).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    elif turned.mode == "F":
        raise ValueError("pixels are 32-bit floats: data=arrays takes such values")
    if turned.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in turned.info:
        turned = turned.convert("RGBA")
        turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned)
    mode = "L" if channels == 1 else "RGB"
    if turned.mode != mode:
        return turned.convert(mode)
    turned.load()  # while its file is open
    return turned
