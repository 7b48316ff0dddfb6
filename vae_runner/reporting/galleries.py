"""Models of images side by side: what the prior gives, what lies between two examples, and where codes lie."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from vae_runner.data.space import Space
from vae_runner.reporting import grids, pictures
from vae_runner.reporting.figures import latent_map


@dataclass
class Exhibit:
    """A model under its name. samples: means of p(x|z) with z from the prior, (N, *shape).

    ends: pairs of examples (pairs, 2, *shape); between: what is decoded on the way from one to the other, (pairs,
    steps, *shape), or None where nothing lies between codes. codes (M, D) with labels, and draws from the prior (L, D).
    factor: the name of the first column of labels, where they are factors.
    """

    name: str
    space: Space
    samples: Tensor
    ends: Tensor
    between: Tensor | None
    codes: Tensor
    labels: Tensor | None
    prior: Tensor
    factor: str | None = None


def gallery(exhibits: Sequence[Exhibit], columns: int = 10) -> Image.Image:
    """A row for each model: samples, interpolations between two examples, which stand at the ends, and the latent map.

    columns: of samples.
    """
    rows = []
    for exhibit in exhibits:
        limits = pictures.limits_of(exhibit.space, exhibit.ends)
        names = [""] * columns  # room for what stands above the interpolations, so that rows are level
        title = "samples, z from the prior"
        samples = grids.grid(exhibit.samples, column_labels=names, title=title, limits=limits)
        title = "codes of test examples; crosses: draws from the prior"
        codes = latent_map(
            exhibit.codes,
            exhibit.labels,
            exhibit.space.class_names,
            prior=exhibit.prior,
            factor=exhibit.factor,
            title=title,
        )
        row = grids.beside([samples, _interpolations(exhibit, limits, samples.width), codes])
        rows += [grids.note(exhibit.name, row.width), row]
    return grids.stacked(rows)


def _interpolations(exhibit: Exhibit, limits: grids.Limits, width: int) -> Image.Image:
    if exhibit.between is None:
        return grids.note("no interpolation: codes are picks of a few, and nothing lies between two of them", width)
    first, last = exhibit.ends[:, :1], exhibit.ends[:, 1:]
    images = torch.cat([first, exhibit.between, last], 1)
    steps = images.shape[1]
    labels = ["example", *[""] * (steps - 2), "example"]
    return grids.grid(
        images.flatten(0, 1), column_labels=labels, title="decoded between the codes of two examples", limits=limits
    )
