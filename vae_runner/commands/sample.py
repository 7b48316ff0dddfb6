"""`vae-run sample run=DIR`: new examples."""

import itertools
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from vae_runner.commands.arguments import call
from vae_runner.commands.runs import (
    Device,
    Overwrite,
    RunPath,
    Seed,
    Trust,
    Weights,
    described,
    file_name,
    load_run,
    refuse_directory,
    save_picture,
    writing,
)
from vae_runner.errors import UserError
from vae_runner.settings import Range

if TYPE_CHECKING:
    from torch import Tensor

    from vae_runner.build import Run

SHOWN, SHOWN_AS_LINES = 100, 40  # samples in the picture, at most
COLUMNS = 10


def main(args: Sequence[str]) -> int:
    return call(sample, args)


def sample(
    *,
    run: RunPath,
    n: Annotated[int, Range(1, 10**9), "how many"] = 64,
    out: Annotated[str | None, "a new .npz for all of them: x, z and how they were drawn"] = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    temperature: Annotated[float, Range(0, 1000, open_low=True), "scales the prior's standard deviation"] = 1.0,
    draw: Annotated[Literal["mean", "sample"], "the mean of p(x|z), or a draw from it"] = "mean",
    weights: Weights = "best",
    device: Device = "auto",
    trust: Trust = False,
) -> int:
    """New examples from a run's model: z from the prior, then x.

    A picture of them, of the first hundred at most, goes into the run. On one seed a larger n only adds examples.
    """
    file = Path(out).expanduser() if out is not None else None
    if file is not None:
        _refuse(file, overwrite)
    loaded = load_run(run, device=device, weights=weights, trust=trust)

    from vae_runner.evaluation.evaluate import Preserved
    from vae_runner.evaluation.sampling import sample_blocks
    from vae_runner.reporting import pictures

    how: dict[str, Any] = {"seed": seed, "temperature": temperature, "draw": draw, "weights": weights}
    space = loaded.model.space
    shown = min(n, SHOWN if space.image else SHOWN_AS_LINES)
    with Preserved(loaded.model, loaded.device, seed):
        blocks = sample_blocks(loaded.model, n if file else shown, temperature=temperature, draw=draw)
        first = next(blocks)
        if file:
            _write(file, loaded, n, itertools.chain([first], blocks), how)
            print(file)
    image = pictures.draw_examples(
        space,
        first[1][:shown],
        columns=min(COLUMNS, math.ceil(math.sqrt(shown))),
        title=f"samples, {described(loaded, weights)}",
    )
    save_picture(loaded, f"samples/{file_name(sample, n=shown, **how)}", image)
    if n > shown and not file:
        print(f"a picture shows the first {shown}; out=FILE.npz keeps all {n}")
    return 0


def _refuse(file: Path, overwrite: bool) -> None:
    """Raises UserError, before anything is computed, where `file` cannot or must not be written."""
    if file.is_dir():
        raise UserError(f"out={file}: is a directory; type out={file / 'samples.npz'}")
    if file.suffix != ".npz":
        raise UserError(f"out={file}: must end in .npz; type out={file}.npz")
    if file.exists() and not overwrite:
        raise UserError(f"out={file}: is there already; type another name, or overwrite=true")
    refuse_directory(file.parent, f"out={file}")


def _write(file: Path, run: "Run", n: int, blocks: "Iterator[tuple[Tensor, Tensor]]", how: dict[str, Any]) -> None:
    """Writes x as it is drawn, so that n is bounded by the disk and not by memory; z is small.

    Raises UserError where the disk is too full.
    """
    from vae_runner.reporting.npz import write_npz

    shape = (n, *run.model.space.shape)
    needed, free = 4 * math.prod(shape), shutil.disk_usage(file.parent).free
    if needed > free:
        raise UserError(f"out={file}: {n} samples need {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are free there")
    codes: list[Tensor] = []

    def xs() -> Iterator[Any]:
        for z, x in blocks:
            codes.append(z)
            yield x.numpy()

    def others() -> dict[str, Any]:
        import torch

        return {"z": torch.cat(codes).numpy(), **how, "run": str(run.directory), "step": run.step}

    with writing(file, "type another place"):
        write_npz(file, "x", shape, xs(), others)
