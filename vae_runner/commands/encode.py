"""`vae-run encode run=DIR out=FILE.npz`: the codes of a run's data, for another run (Kingma et al. 2014, M1)."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from vae_runner.commands.arguments import call
from vae_runner.commands.files import Overwrite, new_npz, writing
from vae_runner.commands.runs import DataPath, DataRoot, Device, Opened, RunPath, Seed, Trust, Weights, open_run

if TYPE_CHECKING:
    from vae_runner.build import Run


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
    data_path: DataPath = None,
    data_root: DataRoot = None,
    trust: Trust = False,
) -> int:
    """The codes of every example of a run's data, the means of q(z|x), and their labels.

    The file holds x_train and y_train, and those of the other splits there are; codes are rows, all levels side by
    side. M1 + M2 is to train on it again: variant=ss_vae data=arrays data.path=FILE.npz data.validation=null
    """
    file = new_npz(out, overwrite)
    opened = open_run(
        run, weights=weights, device=device, trust=trust, seed=seed, data_path=data_path, data_root=data_root
    )

    from vae_runner.reporting.npz import write_npz

    loaded = opened.run
    shape = (len(loaded.data.train), sum(math.prod(shape) for shape in loaded.model.latent_shapes))
    labels: dict[str, list[Any]] = {}
    with opened.preserved(), writing(file, "type another place"):
        write_npz(file, "x_train", shape, _codes(loaded, "train", labels), lambda: _others(opened, labels))
    print(file)
    return 0


def _codes(run: "Run", split: str, labels: dict[str, list[Any]]) -> Iterator[Any]:
    """The codes of a split (N, D), block by block; their labels are added to those of the split."""
    import torch

    from vae_runner.evaluation.blocks import size_of_block

    examples = getattr(run.data, split)
    indices = torch.arange(len(examples), device=run.device)
    for batch in run.data.batches(examples, indices.split(size_of_block(examples))):
        if batch.y is not None:
            labels.setdefault(f"y_{split}", []).append(batch.y.cpu().numpy())
        yield torch.cat([code.flatten(1) for code in run.model.encode(batch)], 1).float().cpu().numpy()


def _others(opened: Opened, labels: dict[str, list[Any]]) -> dict[str, Any]:
    """The codes of the other splits, and the labels of all."""
    import numpy as np

    held_out = [split for split in opened.splits if split != "train"]
    codes = {f"x_{split}": np.concatenate([*_codes(opened.run, split, labels)]) for split in held_out}
    return codes | {name: np.concatenate(parts) for name, parts in labels.items()}
