"""`vae-run sample run=DIR`: new examples."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from vae_runner.commands.arguments import call
from vae_runner.commands.files import Overwrite, new_npz, writing
from vae_runner.commands.runs import (
    DataPath,
    DataRoot,
    Device,
    RunPath,
    Seed,
    Temperature,
    Trust,
    Weights,
    file_name,
    open_run,
)
from vae_runner.errors import UserError
from vae_runner.settings import Range

if TYPE_CHECKING:
    from torch import Tensor

    from vae_runner.data.space import Space

N = 64
SHOWN, SHOWN_AS_LINES = 100, 40  # samples in the picture, at most
PLAYED = 8  # MIDI files, at most
COLUMNS = 10


def main(args: Sequence[str]) -> int:
    return call(sample, args)


def sample(
    *,
    run: RunPath,
    n: Annotated[
        Annotated[int, Range(1, 10**9)] | None, "how many; null: 64, or a hundred in rows of one class"
    ] = None,
    label: Annotated[
        str | None, "of this class, or these attributes (1,0,0.5), or this picture's; null: of any"
    ] = None,
    out: Annotated[str | None, "a new .npz for all of them: x, z and how they were drawn"] = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    draw: Annotated[
        Literal["mean", "sample"] | None, "the mean of p(x|z), or a draw from it; null: a draw of notes and of text"
    ] = None,
    prompt: Annotated[str | None, "how all begin: words, or how many steps of a held-out sequence"] = None,
    hold: Annotated[Annotated[int, Range(1)] | None, "draw the levels of latents above this one once for all"] = None,
    weights: Weights = "best",
    device: Device = "auto",
    data_path: DataPath = None,
    data_root: DataRoot = None,
    trust: Trust = False,
) -> int:
    """New examples from a run's model: z from the prior, then x.

    A picture of them, of the first hundred at most, goes into the run; of a model that is conditioned on classes, with
    a row for each. Without label=, classes take turns, or else the conditions of held-out examples. Text is printed,
    and piano rolls become MIDI files besides. On one seed a larger n only adds examples.
    """
    file = None if out is None else new_npz(out, overwrite)
    opened = open_run(
        run, weights=weights, device=device, trust=trust, seed=seed, data_path=data_path, data_root=data_root
    )

    from vae_runner.commands import sample_input, sample_output
    from vae_runner.evaluation.sampling import sample_blocks, shown_as
    from vae_runner.reporting import pictures

    space = opened.run.model.space
    with opened.preserved():
        c, kinds = sample_input.conditions(opened, label)
    most = SHOWN if space.image else SHOWN_AS_LINES
    total = n or (max(most // len(kinds), 1) * len(kinds) if kinds else N)
    if draw == "mean" and space.support == "categorical":
        raise UserError("draw=mean: text has none, it is drawn token by token; leave it out, or type draw=sample")
    fits = min(total, most)
    of_each = fits // len(kinds) if kinds else 0
    shown = of_each * len(kinds) or fits
    drawn = draw or shown_as(space)
    how: dict[str, Any] = {"seed": seed, "temperature": temperature, "draw": drawn, "weights": weights}
    how |= {key: value for key, value in {"prompt": prompt, "hold": hold}.items() if value is not None}
    with opened.preserved():
        blocks = sample_blocks(
            opened.run.model,
            total if file else shown,
            c,
            temperature=temperature,
            draw=drawn,
            prompt=sample_input.first_steps(opened, prompt),
            held=sample_input.upper_latents(opened, hold, c),
        )
        first = next(blocks)
        if file:
            sample_output.write(file, opened.run, total, itertools.chain([first], blocks), c, how)
            print(file)
    x = first[1][:shown]
    if of_each:
        x = x.unflatten(0, (of_each, -1)).transpose(0, 1).flatten(0, 1)
    image = pictures.draw_examples(
        space,
        x,
        columns=of_each or min(COLUMNS, math.ceil(math.sqrt(shown))),
        row_labels=kinds if of_each else None,
        title=f"samples{f' of {label}' if label else ''}, {opened.described}",
    )
    of = None if label is None else Path(label).name
    name = file_name(sample, n=n and fits, label=of, **{**how, "draw": draw})
    _also(space, x, opened.save(f"samples/{name}", image))
    if total > shown and not file:
        print(f"a picture shows the first {shown}; out=FILE.npz keeps all {total}")
    return 0


def _also(space: "Space", x: "Tensor", picture: Path) -> None:
    """What sequences are besides a picture: text, or music to be heard."""
    from vae_runner.reporting import midi

    if space.support == "categorical":
        from vae_runner.data.tokens import to_text

        print("\n".join(to_text(x, space.vocabulary)))
    if midi.is_playable(space):
        paths = [picture.with_name(f"{picture.stem}_{i}.mid") for i in range(min(len(x), PLAYED))]
        for path, roll in zip(paths, x, strict=False):
            with writing(path):
                midi.save(path, roll)
        print(f"{paths[0]} ... {paths[-1].name}")
