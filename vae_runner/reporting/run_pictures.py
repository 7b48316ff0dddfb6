"""The pictures of a run as the bytes of PNG files: functions of what they show and of nothing else.

So they can be called in a process that has no model, and no GPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from vae_runner.data.space import Batch, Space
from vae_runner.reporting import pictures
from vae_runner.reporting.figures import kl_bars, latent_map
from vae_runner.reporting.grids import Limits
from vae_runner.reporting.png import png
from vae_runner.reporting.projector import projector_files
from vae_runner.reporting.traversals import Moved, draw_traversals


@dataclass
class Seen:
    """What a person watches improve: examples and their reconstructions, samples in so many columns, and traversals."""

    examples: Batch
    reconstruction: Tensor
    samples: Tensor
    columns: int
    traversals: Sequence[Moved]


@dataclass
class Latents:
    """What is known of the latents of the best weights.

    codes (N, *latent) and labels (N, ...) of held-out examples, and x (n, *shape) of the first of them. kl_units: of
    each level (U,). factor: the name of the first label.
    """

    codes: Tensor
    labels: Tensor | None
    x: Tensor
    kl_units: list[Tensor] | None
    factor: str | None


def draw_seen(space: Space, seen: Seen, title: str, limits: Limits) -> dict[str, bytes]:
    """By the names of the pictures."""
    shown, samples = seen.examples, seen.samples
    corrupted = None if shown.input is shown.x else shown.input
    drawn = {
        "reconstructions": pictures.draw_reconstructions(
            space, shown.x, seen.reconstruction, corrupted, title=title, limits=limits, mask=shown.known
        ),
        "samples": pictures.draw_examples(space, samples, columns=seen.columns, title=title, limits=limits),
        "traversals": draw_traversals(space, seen.traversals, about=title, limits=limits),
    }
    return {name: png(image) for name, image in drawn.items()}


def draw_latents(
    space: Space, latents: Latents, step: int, limits: Limits
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """By the names of the pictures; and the files of TensorBoard's PROJECTOR, of the examples whose x is known."""
    codes, labels, names, n = latents.codes, latents.labels, space.class_names, len(latents.x)
    title = "codes of held-out examples, best weights"
    drawn = {"latents": latent_map(codes, labels, names, factor=latents.factor, title=title)}
    if latents.kl_units is not None:
        drawn["kl_units"] = kl_bars(latents.kl_units)
    y = None if labels is None else labels[:n].reshape(n, -1)[:, 0]
    images = latents.x if space.image else None
    files = projector_files(codes[:n], y, images, step, class_names=names, limits=limits)
    return {name: png(image) for name, image in drawn.items()}, files
