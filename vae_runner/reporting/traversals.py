"""Traversals of several kinds of latents, one below the other."""

from collections.abc import Sequence
from typing import Protocol

from PIL import Image
from torch import Tensor

from vae_runner.data.space import Space
from vae_runner.reporting import grids, pictures


class Moved(Protocol):
    """Units that are moved alike: x (units, values, *shape), and what is said of them; as `traverse` makes them."""

    x: Tensor
    values: list[float]
    names: list[str]
    use: str
    moved: str
    scale: str


def draw_traversals(
    space: Space, traversals: Sequence[Moved], *, about: str, limits: grids.Limits | None = None
) -> Image.Image:
    """Each under a title that says what is moved, in which order and how; `about` ends the title."""
    return grids.stacked(
        [
            pictures.draw_traversals(
                space,
                part.x,
                part.values,
                part.names,
                scale=part.scale,
                title=f"units by {part.use}, {part.moved}; {about}",
                limits=limits,
            )
            for part in traversals
        ]
    )
