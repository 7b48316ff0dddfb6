"""`vae-run reconstruct run=DIR`: examples beside what the model makes of them."""

from collections.abc import Sequence
from typing import Annotated

from vae_runner.commands.arguments import call
from vae_runner.commands.runs import (
    Device,
    RunPath,
    Seed,
    SplitName,
    Trust,
    Weights,
    described,
    file_name,
    load_run,
    save_picture,
    split_of,
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
    trust: Trust = False,
) -> int:
    """Examples, chosen by the seed, beside what a run's model makes of their codes.

    The picture goes into the run; the mean squared error per value and log p(x|z) of these examples are printed.
    """
    loaded = load_run(run, device=device, weights=weights, trust=trust)
    examples = split_of(loaded, split)

    import torch

    from vae_runner.evaluation import reconstructions
    from vae_runner.evaluation.evaluate import Preserved
    from vae_runner.reporting import pictures

    chosen = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))[:n]
    with Preserved(loaded.model, loaded.device, seed):
        batch = loaded.data.batch(examples, chosen.to(loaded.device))
        result = reconstructions.reconstruct(loaded.model, batch)
    error, log_px = float(result.squared_error.mean()), float(result.log_px.mean())
    measure = "mean squared error" if batch.x.is_floating_point() else "share of wrong tokens"
    figures = f"{measure} {error:.4g}, log_px {log_px:.5g}"
    image = pictures.draw_reconstructions(
        loaded.data.space,
        batch.x,
        result.x,
        None if batch.input is batch.x else batch.input,
        title=f"{split} examples, {figures}; {described(loaded, weights)}",
        mask=batch.mask,
    )
    save_picture(
        loaded, f"reconstructions/{file_name(reconstruct, split=split, n=n, seed=seed, weights=weights)}", image
    )
    print(f"{len(batch)} {split} examples: {figures} nats")
    return 0
