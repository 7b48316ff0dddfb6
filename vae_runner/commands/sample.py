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
    refuse_file,
    save_picture,
    writing,
)
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.settings import Range

if TYPE_CHECKING:
    from torch import Tensor

    from vae_runner.build import Run

N = 64
SHOWN, SHOWN_AS_LINES = 100, 40  # samples in the picture, at most
PLAYED = 8  # MIDI files, at most
COLUMNS = 10
HELD_OUT = 256  # examples whose conditions take turns, where there is no list of all conditions


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
    temperature: Annotated[float, Range(0, 1000, open_low=True), "scales the prior's standard deviation"] = 1.0,
    draw: Annotated[
        Literal["mean", "sample"] | None, "the mean of p(x|z), or a draw from it; null: a draw of notes and of text"
    ] = None,
    prompt: Annotated[str | None, "how all begin: words, or how many steps of a held-out sequence"] = None,
    hold: Annotated[Annotated[int, Range(1)] | None, "draw the levels of latents above this one once for all"] = None,
    weights: Weights = "best",
    device: Device = "auto",
    trust: Trust = False,
) -> int:
    """New examples from a run's model: z from the prior, then x.

    A picture of them, of the first hundred at most, goes into the run; of a model that is conditioned on classes, with
    a row for each. Without label=, classes take turns, or else the conditions of held-out examples. Text is printed,
    and piano rolls become MIDI files besides. On one seed a larger n only adds examples.
    """
    file = Path(out).expanduser() if out is not None else None
    if file is not None:
        refuse_file(file, overwrite)
    loaded = load_run(run, device=device, weights=weights, trust=trust)

    from vae_runner.evaluation.evaluate import Preserved
    from vae_runner.evaluation.sampling import sample_blocks
    from vae_runner.reporting import pictures

    space = loaded.model.space
    most = SHOWN if space.image else SHOWN_AS_LINES
    with Preserved(loaded.model, loaded.device, seed):
        c, kinds = _conditions(loaded, label, seed)
    total = n or (max(most // len(kinds), 1) * len(kinds) if kinds else N)
    shown = min(total, most)
    of_each = shown // len(kinds) if kinds else 0
    shown = of_each * len(kinds) or shown
    drawn = draw or ("sample" if space.sequence and space.support != "real" else "mean")
    how: dict[str, Any] = {"seed": seed, "temperature": temperature, "draw": drawn, "weights": weights}
    how |= {key: value for key, value in {"prompt": prompt, "hold": hold}.items() if value is not None}
    with Preserved(loaded.model, loaded.device, seed):
        blocks = sample_blocks(
            loaded.model,
            total if file else shown,
            c,
            temperature=temperature,
            draw=drawn,
            prompt=_prompt(loaded, prompt, seed),
            held=_held(loaded, hold, c),
        )
        first = next(blocks)
        if file:
            _write(file, loaded, total, itertools.chain([first], blocks), c, how)
            print(file)
    x = first[1][:shown]
    if of_each:
        x = x.unflatten(0, (of_each, -1)).transpose(0, 1).flatten(0, 1)
    image = pictures.draw_examples(
        space,
        x,
        columns=of_each or min(COLUMNS, math.ceil(math.sqrt(shown))),
        row_labels=kinds if of_each else None,
        title=f"samples{f' of {label}' if label else ''}, {described(loaded, weights)}",
    )
    of = None if label is None else Path(label).name
    name = f"samples/{file_name(sample, n=n and shown, label=of, **{**how, 'draw': draw})}"
    save_picture(loaded, name, image)
    _also(loaded, name, x)
    if total > shown and not file:
        print(f"a picture shows the first {shown}; out=FILE.npz keeps all {total}")
    return 0


def _also(run: "Run", name: str, x: "Tensor") -> None:
    """What sequences are besides a picture: text, or music to be heard."""
    from vae_runner.reporting import midi

    space = run.model.space
    if space.support == "categorical":
        from vae_runner.data.tokens import to_text

        print("\n".join(to_text(x, space.vocabulary)))
    if midi.is_playable(space):
        picture = RunDirectory(run.directory).images / name
        paths = [picture.with_name(f"{picture.stem}_{i}.mid") for i in range(min(len(x), PLAYED))]
        for path, roll in zip(paths, x, strict=False):
            with writing(path):
                midi.save(path, roll)
        print(f"{paths[0]} ... {paths[-1].name}")


def _prompt(run: "Run", prompt: str | None, seed: int) -> "Tensor | None":
    """The steps (1, t, ...) that all samples begin with."""
    import torch

    if prompt is None:
        return None
    space = run.model.space
    if not run.model.takes_prompt:
        raise UserError(
            f"prompt={prompt}: this model does not write step by step; vae-run forecast continues sequences"
        )
    if space.support == "categorical":
        from vae_runner.data.tokens import to_tokens

        return to_tokens(prompt, space.vocabulary)[None].to(run.device)
    if not prompt.isdigit() or not 0 < int(prompt) < space.shape[0]:
        raise UserError(f"prompt={prompt}: must be how many steps of a held-out sequence, 1 to {space.shape[0] - 1}")
    examples = run.data.test if len(run.data.test) else run.data.train
    chosen = torch.randint(len(examples), (1,), generator=torch.Generator().manual_seed(seed))
    return run.data.batch(examples, chosen.to(run.device)).x[:, : int(prompt)]


def _held(run: "Run", hold: int | None, c: "Tensor | None") -> "Sequence[Tensor]":
    """The latents (1, *latent_shape) of the levels above `hold`, which all samples share."""
    if hold is None:
        return ()
    if hold >= run.model.levels:
        raise UserError(f"hold={hold}: this model has {run.model.levels} levels of latents, and one must lie above")
    context = None if c is None else run.model.condition(c[:1])
    return run.model.sample_latents(1, context)[hold:]


def _conditions(run: "Run", label: str | None, seed: int) -> "tuple[Tensor | None, list[str]]":
    """The conditions that take turns, None for a model without, and their names where each kind has its turn."""
    import torch

    condition = run.model.condition
    if condition is None:
        if label is not None:
            raise UserError(f"label={label}: this model is not conditioned on anything; train one with variant=cvae")
        return None, []
    if label is not None:
        return condition.parse(label).to(run.device), []
    if (each := condition.each()) is not None:
        return each[0].to(run.device), each[1]
    examples = run.data.test if len(run.data.test) else run.data.train
    chosen = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))[:HELD_OUT]
    return run.data.batch(examples, chosen.to(run.device)).c, []


def _write(
    file: Path,
    run: "Run",
    n: int,
    blocks: "Iterator[tuple[list[Tensor], Tensor]]",
    c: "Tensor | None",
    how: dict[str, Any],
) -> None:
    """Writes x as it is drawn, so that n is bounded by the disk and not by memory; z is small.

    Raises UserError where the disk is too full.
    """
    from vae_runner.reporting.npz import write_npz

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
        import torch

        levels = [torch.cat(level).numpy() for level in zip(*codes, strict=True)]
        named = {"z": levels[0]} if len(levels) == 1 else {f"z_{i}": z for i, z in enumerate(levels, start=1)}
        if c is not None:
            # named as data=arrays looks for labels
            named["c" if c.is_floating_point() else "y"] = c.cpu()[torch.arange(n) % len(c)].numpy()
        return {**named, **how, "run": str(run.directory), "step": run.step}

    with writing(file, "type another place"):
        write_npz(file, "x", shape, xs(), others)
