"""`vae-run translate run=DIR input=FILE`: from pictures to pictures, several draws for each."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from vae_runner.commands.arguments import call
from vae_runner.commands.files import Overwrite, new_folder, new_npz
from vae_runner.commands.runs import (
    DataPath,
    DataRoot,
    Device,
    RunPath,
    Seed,
    SplitName,
    Temperature,
    Trust,
    Weights,
    file_name,
    open_run,
)
from vae_runner.errors import UserError
from vae_runner.settings import Range

if TYPE_CHECKING:
    from vae_runner.build import Run

SHOWN = 10  # rows of the picture, at most


def main(args: Sequence[str]) -> int:
    return call(translate, args)


def translate(
    *,
    run: RunPath,
    input: Annotated[str | None, "an image, a folder of images or a .npz; null: examples of the run's own data"] = None,
    input_is: Annotated[
        Literal["condition", "target"], "a target is made a condition first, as in training"
    ] = "condition",
    split: SplitName = "test",
    n: Annotated[int, Range(1, 1000), "draws for each"] = 5,
    out: Annotated[str | None, "a new .npz (x and c), or a new folder of images, for all of them"] = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    draw: Annotated[Literal["mean", "sample"], "the mean of p(x|z,c), or a draw from it"] = "mean",
    weights: Weights = "best",
    device: Device = "auto",
    data_path: DataPath = None,
    data_root: DataRoot = None,
    trust: Trust = False,
) -> int:
    """What a model that was trained with condition=image makes of pictures, several times each.

    A picture goes into the run: of the first ten, the condition, the target where it is known, and the draws. A .npz
    holds conditions as `c`, targets as `x`, or one array.
    """
    if input is None and input_is != "condition":
        raise UserError(f"input_is={input_is}: says what input= holds; give input=FILE, or leave it out")
    place = None
    if out is not None:
        place = (new_npz if Path(out).suffix == ".npz" else new_folder)(out, overwrite)
    opened = open_run(
        run, weights=weights, device=device, trust=trust, seed=seed, data_path=data_path, data_root=data_root
    )
    model = opened.run.model
    _refuse_other_models(opened.run)
    if place and place.suffix != ".npz" and model.space.support == "real":
        raise UserError(f"out={place}: values without bounds are no pixels of an image file; type out={place}.npz")

    import torch

    from vae_runner.commands import translate_input, translate_output
    from vae_runner.evaluation.sampling import sample_blocks
    from vae_runner.reporting import pictures, translations

    with opened.preserved():
        if input is None:
            c, target, names = translate_input.of_examples(opened, split, SHOWN)
        else:
            c, target, names = translate_input.of_files(model, input, input_is)
    shown = min(len(c), SHOWN)
    with opened.preserved():
        each = (c if place else c[:shown]).to(opened.run.device).repeat_interleave(n, 0)
        blocks = sample_blocks(model, len(each), each, temperature=temperature, draw=draw)
        draws = itertools.chain.from_iterable(x for _, x in blocks)
        first = list(itertools.islice(draws, shown * n))
        if place:
            translate_output.write(place, itertools.chain(first, draws), c, names, n)
            print(place)
    x = torch.stack(first).unflatten(0, (shown, n))
    image = translations.draw_translations(
        c[:shown],
        x,
        None if target is None else target[:shown],
        row_labels=names[:shown],
        title=opened.described
        if target is None
        else pictures.with_legend(model.space, opened.described, target.isnan()),
        limits=pictures.limits_of(model.space, x),
    )
    settings: dict[str, Any] = {"input": None if input is None else Path(input).name, "input_is": input_is}
    settings |= {"split": split, "n": n, "seed": seed, "temperature": temperature, "draw": draw, "weights": weights}
    opened.save(f"translations/{file_name(translate, **settings)}", image)
    if len(c) > shown and not place:
        print(f"a picture shows the first {shown} of {len(c)}; out=FILE.npz or out=FOLDER keeps all")
    return 0


def _refuse_other_models(run: "Run") -> None:
    condition, where = run.model.condition, f"run={run.directory}"
    if condition is None:
        raise UserError(f"{where}: its model knows no conditions; translate needs one trained with condition=image")
    if not hasattr(condition, "visible_of"):
        raise UserError(
            f"{where}: its model is not conditioned on pictures; type vae-run sample {where} label=..., "
            f"or train one with condition=image"
        )
    if not run.model.space.image:
        raise UserError(f"{where}: its model makes no pictures; type vae-run sample {where} label=FILE")
