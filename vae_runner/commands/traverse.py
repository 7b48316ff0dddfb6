"""`vae-run traverse run=DIR`: what each latent dimension does."""

from collections.abc import Sequence
from typing import Annotated

from vae_runner.commands.arguments import call
from vae_runner.commands.runs import DataPath, DataRoot, Device, RunPath, SplitName, Trust, Weights, file_name, open_run
from vae_runner.errors import UserError
from vae_runner.settings import Range

CODES = 256  # examples whose codes say how far a unit is moved


def main(args: Sequence[str]) -> int:
    return call(traverse, args)


def traverse(
    *,
    run: RunPath,
    units: Annotated[int, Range(1, 100), "latent units shown at most, those with the most KL (or variance) first"] = 10,
    span: Annotated[
        float, Range(0, 100, open_low=True), "how far a free number goes, in standard deviations of its codes"
    ] = 3.0,
    steps: Annotated[int, Range(2, 50), "places on the way; of classes and codes, how many at most"] = 11,
    example: Annotated[int, Range(0), "the example that all others of its units are kept of, from 0"] = 0,
    split: SplitName = "test",
    weights: Weights = "best",
    device: Device = "auto",
    data_path: DataPath = None,
    data_root: DataRoot = None,
    trust: Trust = False,
) -> int:
    """What each latent unit of a run's model does to an example: decoded while it moves and the others stay.

    The picture goes into the run: a row per unit, in the order of their KL, or of the variance of their codes where
    there is no KL by unit; its title says which. Units with less than 0.01 of it are left out. Units that are one of a
    few classes, or of the vectors of a codebook, go through those instead, all or the `steps` that are used most.
    """
    opened = open_run(run, weights=weights, device=device, trust=trust, data_path=data_path, data_root=data_root)
    examples = opened.split(split)
    if example >= len(examples):
        raise UserError(f"example={example}: the {split} examples go from 0 to {len(examples) - 1}")

    import torch

    from vae_runner.data.splits import mixed
    from vae_runner.evaluation import traversals
    from vae_runner.evaluation.latents import ACTIVE
    from vae_runner.reporting import pictures
    from vae_runner.reporting.traversals import draw_traversals

    others = mixed(len(examples))[:CODES]
    indices = torch.cat([torch.tensor([example]), others[others != example]]).to(opened.run.device)
    with opened.preserved():
        batch = opened.run.data.batch(examples, indices)
        result = traversals.traverse(opened.run.model, batch, units=units, values=steps, span=span, least=ACTIVE)
    space = opened.run.data.space
    limits = pictures.limits_of(space, batch.x, batch.known)
    image = draw_traversals(space, result, about=opened.described, limits=limits)
    settings = {"units": units, "span": span, "steps": steps, "example": example, "split": split, "weights": weights}
    opened.save(f"traversals/{file_name(traverse, **settings)}", image)
    return 0
