"""The draws for pictures, as a .npz or a folder of images."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from torch import Tensor

from vae_runner.commands.files import writing
from vae_runner.reporting import grids, png
from vae_runner.reporting.npz import write_npz


def write(place: Path, draws: Iterator[Tensor], c: Tensor, names: list[str], n: int) -> None:
    """Writes draws (C, H, W) as they are made: n for each of the conditions c, which have names.

    Raises UserError where the file system does not take them.
    """
    with writing(place, "type another place"):
        if place.suffix == ".npz":
            first = next(draws)
            rows = (x.numpy() for x in itertools.chain([first], draws))
            write_npz(place, "x", (len(c), n, *first.shape), rows, lambda: {"c": c.numpy()})
            return
        place.mkdir(exist_ok=True)
        unique = names if len(set(names)) == len(names) else [f"{i}_{name}" for i, name in enumerate(names)]
        for name, draw in itertools.product(unique, range(1, n + 1)):
            png.save(place / f"{name}_{draw}.png", Image.fromarray(grids.as_pixels(next(draws)[None])[0]))
