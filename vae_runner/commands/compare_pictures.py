"""The pictures that `vae-run compare` draws when asked to: runs by rate and distortion, and what their models make."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vae_runner.errors import UserError
from vae_runner.reporting.comparison import Comparison, differences, full_name
from vae_runner.reporting.tables import Row
from vae_runner.run_directory import RunDirectory

if TYPE_CHECKING:
    from PIL.Image import Image

    from vae_runner.commands.runs import Opened
    from vae_runner.reporting.galleries import Exhibit

COLUMNS, ROWS = 10, 8  # of samples; as many interpolations as rows
CODES = 1000  # codes in a map, and half as many draws from the prior
LONGEST_LABEL = 60


def rate_distortion(comparison: Comparison, rows: Sequence[Row], by: Sequence[str] | None) -> "Image":
    """A point for each row that has a KL; the others are named. by: what rows are averages by, if they are.

    Raises UserError where runs have no common plane, or none has a KL.
    """
    from vae_runner.reporting.figures import Point
    from vae_runner.reporting.figures import rate_distortion as draw

    if comparison.scales:
        scales = " and ".join(comparison.scales)
        raise UserError(f"rate_distortion: runs differ in {scales}, so their nats have no common scale; give fewer")
    split = comparison.split
    rate, distortion = f"{split} kl", f"{split} log_px"
    there = [row for row in rows if row.get(rate) is not None and row.get(distortion) is not None]
    if not there:
        raise UserError(f"rate_distortion: no run has a KL of {split} examples, so none has a rate")
    keys = list(by) if by is not None else comparison.names
    # seeds are numbers without an order
    is_curve = len(keys) == 1 and keys[0] != "seed" and all(_is_number(row.get(keys[0])) for row in there)
    points = [
        Point(
            label=str(row[keys[0]]) if is_curve else _label(row, keys),
            rate=row[rate],
            distortion=-row[distortion],
            errors=(row.get(f"{rate} ±"), row.get(f"{distortion} ±")),
            place=row[keys[0]] if is_curve else None,
        )
        for row in there
    ]
    if without := [_label(row, keys) for row in rows if row not in there]:
        print(f"without a KL, so without a rate: {', '.join(without)}")
    of = f"means of runs, by {', '.join(by)}" if by else f"{len(points)} run{'s' if len(points) > 1 else ''}"
    return draw(points, legend=keys[0] if is_curve else None, title=f"{of}, {split} examples")


def samples(comparison: Comparison, seed: int, **opening: Any) -> "Image":
    """A row of samples, interpolations and codes for each run. opening: how runs are opened, as `open_run` takes it.

    Raises UserError where a run cannot be read, has no best weights, or is not of images.
    """
    from vae_runner.commands.runs import open_run
    from vae_runner.reporting.galleries import gallery

    exhibits = []
    for row in comparison.rows:
        if (files := RunDirectory(row["directory"])).has_last_alone():
            raise UserError(
                f"samples: {files.path} has no best checkpoint yet (state: {files.state()}), and the best are shown; "
                f"train it until a validation (vae-run train resume={files.path}), or give others"
            )
        opened = open_run(row["directory"], weights="best", device="auto", seed=seed, **opening)
        if not opened.run.model.space.image:
            raise UserError(f"samples: {row['directory']} is not of images, and no others are drawn side by side")
        if len(opened.run.data.test) < 2:
            raise UserError(f"samples: {row['directory']} has no two test examples, whose codes are shown; give others")
        exhibits.append(_exhibit(opened, full_name(comparison, row)))
    return gallery(exhibits, COLUMNS)


def _exhibit(opened: "Opened", name: str) -> "Exhibit":
    import torch

    from vae_runner.commands.sample_input import conditions
    from vae_runner.evaluation.interpolations import interpolate
    from vae_runner.evaluation.sampling import sample_blocks
    from vae_runner.reporting.galleries import Exhibit

    model, data = opened.run.model, opened.run.data
    examples = opened.split("test")
    with opened.preserved():
        ends = data.batch(examples, opened.chosen(examples, 2 * min(ROWS, len(examples) // 2)))
        between = interpolate(model, ends, COLUMNS - 2)
        shown = data.batch(examples, opened.chosen(examples, CODES))
        codes = torch.cat([z.flatten(1) for z in model.encode(shown)], 1)
    with opened.preserved():
        drawn = list(sample_blocks(model, CODES // 2, conditions(opened, None)[0]))
    prior = [torch.cat([z.flatten(1) for z in latents], 1) for latents, _ in drawn]
    return Exhibit(
        name=f"{name}, {opened.described}",
        space=model.space,
        samples=drawn[0][1][: COLUMNS * ROWS],
        ends=ends.x.cpu().unflatten(0, (-1, 2)),
        between=None if between is None else between.cpu(),
        codes=codes.float().cpu(),
        labels=None if shown.y is None else shown.y.cpu(),
        prior=torch.cat(prior),
        factor=data.first_factor,
    )


def _label(row: Row, keys: Sequence[str]) -> str:
    label = differences(row, keys) or str(row.get("run", "all"))
    return label if len(label) <= LONGEST_LABEL else label[:LONGEST_LABEL] + "..."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
