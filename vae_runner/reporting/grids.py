"""Sharp, labelled grids of images.

Small images are enlarged by a whole number of pixels, so that an 8x8 digit is large and no pixel is blurred. The layout
depends on the number and the size of the images only: pictures of one run can be flicked through.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vae_runner.reporting.arrays import Values, as_array

Limits = tuple[float, float]

GAP = 2
GROUP_GAP = 12
MARGIN = 8
LARGEST_FONT, SMALLEST_FONT = 14, 9
LARGEST_SIDE = 256
PANELS = 8
WHITE = 255
BACKGROUND, INK, MARK = (WHITE, WHITE, WHITE), (40, 40, 40), (205, 45, 45)
STRIPES = (196, 96, 88), (232, 178, 170)  # where a pixel is missing


def grid(
    images: Values,
    columns: int | None = None,
    *,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    title: str | None = None,
    limits: Limits = (0.0, 1.0),
    min_side: int = 48,
    group_rows: int | None = None,
    border: int | None = None,
) -> Image.Image:
    """One picture of many images, row by row.

    images: (N, C, H, W) or (N, H, W); values outside `limits` are clipped, not-a-number is hatched in red.
    columns: as many as make the grid square, unless given here or by `column_labels`.
    min_side: an image whose longer side is below it is enlarged by the smallest whole factor that reaches it.
    group_rows: a wider gap follows each group of so many rows.
    border: a line is drawn across each image before this column of its pixels.
    """
    if not len(images):
        raise ValueError("a grid of no images")
    gone = _missing(images)
    tiles = _tiles(as_pixels(images, limits), math.ceil(min_side / max(images.shape[-2:])))
    height, width = tiles.shape[1:3]
    columns = columns or (len(column_labels) if column_labels else math.ceil(math.sqrt(len(tiles))))
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)

    left = MARGIN + (max(width_of(label) for label in row_labels) + MARGIN if row_labels else 0)
    top = MARGIN + (LARGEST_FONT + MARGIN if title else 0) + (LARGEST_FONT + GAP * 2 if column_labels else 0)
    x_of = [left + column * (width + GAP) for column in range(columns)]
    y_of = [top + row * (height + GAP) + (row // group_rows if group_rows else 0) * GROUP_GAP for row in range(rows)]

    canvas_width = max(x_of[-1] + width + MARGIN, 2 * MARGIN + width_of(title or ""))
    if gone.any() and tiles.ndim == 3:
        tiles = np.repeat(tiles[..., None], 3, axis=3)
    pixels = np.full((y_of[-1] + height + MARGIN, canvas_width, *tiles.shape[3:]), WHITE, np.uint8)
    places = [(x_of[index % columns], y_of[index // columns]) for index in range(len(tiles))]
    for (x, y), tile, holes in zip(places, tiles, gone, strict=True):
        place = pixels[y : y + height, x : x + width]
        place[...] = tile
        if holes.any():
            _hatch(place, holes)
    canvas = Image.fromarray(pixels).convert("RGB")
    draw = ImageDraw.Draw(canvas)
    for x, y in places if border is not None else ():
        at = x + round((border or 0) * width / gone.shape[2])
        draw.line((at, y - GAP, at, y + height + GAP), fill=MARK)
    if title:
        draw.text((MARGIN, MARGIN), title, fill=INK, font=font_of(LARGEST_FONT), anchor="lt")
    for x, label in zip(x_of, column_labels or (), strict=False):
        text, font = _fit(label, width)
        draw.text((x + width / 2, top - GAP * 2), text, fill=INK, font=font, anchor="ms")
    for y, label in zip(y_of, row_labels or (), strict=False):
        draw.text((left - MARGIN, y + height / 2), label, fill=INK, font=font_of(LARGEST_FONT), anchor="rm")
    return canvas


def reconstruction_grid(
    x: Values,
    reconstruction: Values,
    input: Values | None = None,
    *,
    columns: int = 10,
    title: str | None = None,
    limits: Limits = (0.0, 1.0),
    min_side: int = 48,
) -> Image.Image:
    """Each example above its reconstruction, and below what the encoder saw, where that is not the example itself.

    All three (N, C, H, W). Give `input` only where it was corrupted.
    """
    sources = {"target": x, "reconstruction": reconstruction}
    if input is not None:
        sources = {"input": input, **sources}
    arrays = {label: _as_real(images) for label, images in sources.items()}
    count = len(arrays["target"])
    columns = min(columns, count)
    blocks = math.ceil(count / columns)
    # a last block that is not full keeps its place in the grid: its missing cells are as white as the background
    full = [_padded(images, blocks * columns, limits[1]) for images in arrays.values()]
    order = [images[block * columns : (block + 1) * columns] for block in range(blocks) for images in full]
    return grid(
        np.concatenate(order),
        columns,
        row_labels=list(arrays) * blocks,
        title=title,
        limits=limits,
        min_side=min_side,
        group_rows=len(arrays),
    )


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures one below the other."""
    if len(pictures) == 1:
        return pictures[0]
    size = max(picture.width for picture in pictures), sum(picture.height for picture in pictures)
    canvas, y = Image.new("RGB", size, BACKGROUND), 0
    for picture in pictures:
        canvas.paste(picture, (0, y))
        y += picture.height
    return canvas


def beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures side by side."""
    size = sum(picture.width for picture in pictures), max(picture.height for picture in pictures)
    canvas, x = Image.new("RGB", size, BACKGROUND), 0
    for picture in pictures:
        canvas.paste(picture, (x, 0))
        x += picture.width
    return canvas


def note(text: str, width: int | None = None) -> Image.Image:
    """Words as a picture, in lines of at most `width` pixels."""
    room = width_of(text) if width is None else width - 2 * MARGIN
    lines = wrapped(text, lambda line: width_of(line) <= room)
    height = LARGEST_FONT + GAP * 2
    canvas = Image.new("RGB", (room + 2 * MARGIN, len(lines) * height + 2 * MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for row, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + row * height), line, fill=INK, font=font_of(LARGEST_FONT), anchor="lt")
    return canvas


def as_pixels(images: Values, limits: Limits = (0.0, 1.0)) -> np.ndarray:
    """Bytes for drawing: (N, H, W) grey or (N, H, W, 3) colour, `limits` brought to 0 and 255.

    Neither one nor three channels: the channels side by side in grey, the first eight of them.
    """
    array = _as_real(images)
    if array.ndim == 3:
        array = array[:, None]
    low, high = limits
    scaled = (np.nan_to_num(array, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12)
    pixels = (scaled.clip(0, 1) * 255).round().astype(np.uint8)
    channels = pixels.shape[1]
    if channels == 3:
        return pixels.transpose(0, 2, 3, 1)
    if channels == 1:
        return pixels[:, 0]
    return np.concatenate([pixels[:, channel] for channel in range(min(channels, PANELS))], axis=-1)


def _as_real(images: Values) -> np.ndarray:
    array = as_array(images)
    return array / np.float32(255) if array.dtype == np.uint8 else array.astype(np.float32)


def _tiles(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Images of `as_pixels`, enlarged by a factor, or made smaller where they are over LARGEST_SIDE."""
    longer = max(pixels.shape[1:3])
    if longer > LARGEST_SIDE:
        less = math.ceil(longer / LARGEST_SIDE)
        pixels = np.stack([np.asarray(Image.fromarray(image).reduce(less)) for image in pixels])
    else:
        pixels = pixels.repeat(factor, axis=1).repeat(factor, axis=2)
    return pixels


def _missing(images: Values) -> np.ndarray:
    """Where pixels are not a number in any channel, (N, H, W), channels side by side as in `as_pixels`."""
    array = as_array(images)
    array = array[:, None] if array.ndim == 3 else array
    missing: np.ndarray = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    if missing.shape[1] in (1, 3):
        return np.logical_or.reduce(missing, axis=1)
    return np.concatenate([missing[:, channel] for channel in range(min(missing.shape[1], PANELS))], axis=-1)


def _hatch(pixels: np.ndarray, missing: np.ndarray) -> None:
    """Draws stripes (h, w, 3) where pixels (H, W) are missing: no image has such a pattern by itself."""
    height, width = pixels.shape[:2]
    holes = np.asarray(Image.fromarray(missing).resize((width, height), Image.Resampling.NEAREST))
    rows, columns = np.nonzero(holes)
    pixels[rows, columns] = np.array(STRIPES, np.uint8)[(rows + columns) // 2 % 2]


def _padded(images: np.ndarray, count: int, value: float) -> np.ndarray:
    missing = count - len(images)
    return np.concatenate([images, np.full((missing, *images.shape[1:]), value, images.dtype)]) if missing else images


@lru_cache
def font_of(size: int, face: str = "DejaVuSans") -> ImageFont.FreeTypeFont:
    # Pillow's own font has neither Greek nor accented letters; DejaVu comes with matplotlib
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"), size)


def width_of(text: str) -> int:
    """In pixels, in the largest font."""
    return math.ceil(font_of(LARGEST_FONT).getlength(text))


def wrapped(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Lines that fit: broken between words, and within a word where that alone does not fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if fits(longer):
            lines[-1] = longer
            continue
        lines += [""] if lines[-1] else []
        for letter in word:
            lines += [""] if lines[-1] and not fits(lines[-1] + letter) else []
            lines[-1] += letter
    return lines


def _fit(text: str, width: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """The largest font in which the text fits, and the text, cut where it fits in none."""
    for size in range(LARGEST_FONT, SMALLEST_FONT - 1, -1):
        if font_of(size).getlength(text) <= width:
            return text, font_of(size)
    font = font_of(SMALLEST_FONT)
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…", font
