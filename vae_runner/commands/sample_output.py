"""The .npz of samples."""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vae_runner.build import Run
from vae_runner.commands.files import writing
from vae_runner.errors import UserError
from vae_runner.reporting.npz import write_npz


def write(
    file: Path, run: Run, n: int, blocks: Iterator[tuple[list[Tensor], Tensor]], c: Tensor | None, how: dict[str, Any]
) -> None:
    """Writes x as it is drawn, so that n is bounded by the disk and not by memory; z is small.

    blocks: of latents of each level and x. c: the conditions that take turns. how: what else is told of the samples.

    Raises UserError where the disk is too full.
    """
    shape = (n, *run.model.space.shape)
    needed, free = 4 * math.prod(shape), shutil.disk_usage(file.parent).free
    if needed > free:
        raise UserError(f"out={file}: {n} samples need {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are free there")
    codes: list[list[Tensor]] = []

    def xs() -> Iterator[Any]:
        for latents, x in blocks:
            codes.append(latents)
            yield x.numpy()

    def others() -> dict[str, Any]:
        levels = [torch.cat(level).numpy() for level in zip(*codes, strict=True)]
        named = {"z": levels[0]} if len(levels) == 1 else {f"z_{i}": z for i, z in enumerate(levels, start=1)}
        if c is not None:
            # named as data=arrays looks for labels
            named["c" if c.is_floating_point() else "y"] = c.cpu()[torch.arange(n) % len(c)].numpy()
        return {**named, **how, "run": str(run.directory), "step": run.step}

    with writing(file, "type another place"):
        write_npz(file, "x", shape, xs(), others)
