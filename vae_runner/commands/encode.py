"""`vae-run encode run=DIR out=FILE.npz`: the codes of a run's data, for another run (Kingma et al. 2014, M1)."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from vae_runner.commands.arguments import call
from vae_runner.commands.runs import Device, Overwrite, RunPath, Seed, Trust, Weights, load_run, refuse_file, writing

if TYPE_CHECKING:
    from vae_runner.build import Run

SPLITS = ("train", "validation", "test")


def main(args: Sequence[str]) -> int:
    return call(encode, args)


def encode(
    *,
    run: RunPath,
    out: Annotated[str, "a new .npz for the codes and labels of all splits"],
    overwrite: Overwrite = False,
    seed: Seed = 0,
    weights: Weights = "best",
    device: Device = "auto",
    trust: Trust = False,
) -> int:
    """The codes of every example of a run's data, the means of q(z|x), and their labels.

    The file holds x_train and y_train, and those of the other splits there are; codes are rows, all levels side by
    side. M1 + M2 is to train on it again: variant=ss_vae data=arrays data.path=FILE.npz data.validation=null
    """
    file = Path(out).expanduser()
    refuse_file(file, overwrite)
    loaded = load_run(run, device=device, weights=weights, trust=trust)

    from vae_runner.evaluation.evaluate import Preserved
    from vae_runner.reporting.npz import write_npz

    shape = (len(loaded.data.train), sum(math.prod(shape) for shape in loaded.model.latent_shapes))
    labels: dict[str, list[Any]] = {}
    with Preserved(loaded.model, loaded.device, seed), writing(file, "type another place"):
        write_npz(file, "x_train", shape, _codes(loaded, "train", labels), lambda: _others(loaded, labels))
    print(file)
    return 0


def _codes(run: "Run", split: str, labels: dict[str, list[Any]]) -> Iterator[Any]:
    """The codes of a split (N, D), block by block; their labels are added to those of the split."""
    import torch

    from vae_runner.evaluation.evaluate import blocks

    examples = getattr(run.data, split)
    for indices in blocks(examples, run.device):
        batch = run.data.batch(examples, indices)
        if batch.y is not None:
            labels.setdefault(f"y_{split}", []).append(batch.y.cpu().numpy())
        yield torch.cat([code.flatten(1) for code in run.model.encode(batch)], 1).float().cpu().numpy()


def _others(run: "Run", labels: dict[str, list[Any]]) -> dict[str, Any]:
    """The codes of the other splits, and the labels of all."""
    import numpy as np

    held_out = [split for split in SPLITS[1:] if len(getattr(run.data, split))]
    codes = {f"x_{split}": np.concatenate([*_codes(run, split, labels)]) for split in held_out}
    return codes | {name: np.concatenate(parts) for name, parts in labels.items()}
