"""`vae-run reconstruct run=DIR`: examples beside what the model makes of them."""

from collections.abc import Sequence
from typing import Annotated

from vae_runner.commands.arguments import call
from vae_runner.commands.runs import (
    DataPath,
    DataRoot,
    Device,
    RunPath,
    Seed,
    SplitName,
    Trust,
    Weights,
    file_name,
    open_run,
)
from vae_runner.settings import Range


def main(args: Sequence[str]) -> int:
    return call(reconstruct, args)


def reconstruct(
    *,
    run: RunPath,
    split: SplitName = "test",
    n: Annotated[int, Range(1, 200), "how many, or as many as there are"] = 20,
    seed: Seed = 0,
    weights: Weights = "best",
    device: Device = "auto",
    data_path: DataPath = None,
    data_root: DataRoot = None,
    trust: Trust = False,
) -> int:
    """Examples, chosen by the seed, beside what a run's model makes of their codes.

    The picture goes into the run; the mean squared error per value and log p(x|z) of these examples are printed.
    """
    opened = open_run(
        run, weights=weights, device=device, trust=trust, seed=seed, data_path=data_path, data_root=data_root
    )
    examples = opened.split(split)

    from vae_runner.evaluation import reconstructions
    from vae_runner.reporting import pictures

    with opened.preserved():
        batch = opened.run.data.batch(examples, opened.chosen(examples, n))
        result = reconstructions.reconstruct(opened.run.model, batch)
    error, log_px = float(result.squared_error.mean()), float(result.log_px.mean())
    measure = "mean squared error" if batch.x.is_floating_point() else "share of wrong tokens"
    figures = f"{measure} {error:.4g}, log_px {log_px:.5g}"
    image = pictures.draw_reconstructions(
        opened.run.data.space,
        batch.x,
        result.x,
        None if batch.input is batch.x else batch.input,
        title=f"{split} examples, {figures}; {opened.described}",
        mask=batch.known,
    )
    opened.save(f"reconstructions/{file_name(reconstruct, split=split, n=n, seed=seed, weights=weights)}", image)
    print(f"{len(batch)} {split} examples: {figures} nats")
    return 0
