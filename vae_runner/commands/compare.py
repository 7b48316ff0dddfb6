"""`vae-run compare DIR ...`: a table of runs and sweeps, and their curves."""

import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from vae_runner.commands.arguments import call
from vae_runner.commands.files import Overwrite, new_png, refuse_directory, writing
from vae_runner.commands.runs import DataPath, DataRoot, Seed, Trust
from vae_runner.config.names import nearest_key
from vae_runner.config.values import write
from vae_runner.errors import UserError

if TYPE_CHECKING:
    from vae_runner.reporting.comparison import Comparison

TABLE, MARKDOWN, PICTURE = FILES = ("compare.csv", "compare.md", "compare.png")
FEW = 3  # names that a wrong one is answered with


def main(args: Sequence[str]) -> int:
    return call(compare, args)


def compare(
    paths: Sequence[str],
    *,
    sort: Annotated[str | None, "by a figure or a setting; null: by elbo, or loss where there is none"] = None,
    descending: Annotated[bool | None, "the highest first; null: the best first"] = None,
    split: Annotated[Literal["test", "validation", "train"], "whose figures"] = "test",
    by: Annotated[str | None, "average runs that agree in these settings, as in by=variant,latent_dim"] = None,
    out: Annotated[str | None, "a directory for the files; null: the sweep's, or a new one in outputs/compare"] = None,
    rate_distortion: Annotated[
        str | None, "a new .png with the runs, or their averages, by rate (KL) and distortion (-log p(x|z))"
    ] = None,
    samples: Annotated[
        str | None, "a new .png with samples, interpolations and the latent map of each run, for images"
    ] = None,
    seed: Seed = 0,
    data_path: DataPath = None,
    data_root: DataRoot = None,
    trust: Trust = False,
    overwrite: Overwrite = False,
) -> int:
    """A table of runs: the settings in which they differ, how they ended, and their figures.

    A directory is a run, a sweep, or any with runs below it. The table is printed, and written with the training curves
    of the runs as compare.csv, compare.md and compare.png. Runs of an experiment stand beside its published figure, and
    those that differ in their seed alone also with mean and standard deviation. seed=, data.path=, data.root= and
    trust= are for samples=, which loads the models; all else reads files alone.
    """
    directories = _runs_in(paths)
    place = _place(paths, out, overwrite)
    opening: dict[str, Any] = {"seed": seed, "data_path": data_path, "data_root": data_root, "trust": trust}
    files = _pictures({"rate_distortion": rate_distortion, "samples": samples}, opening, overwrite)

    from vae_runner.commands import compare_pictures
    from vae_runner.reporting import comparison, console, figures, png, tables
    from vae_runner.run_directory import write_bytes

    compared = comparison.compare(directories, split)
    if ways := compared.ways_of(sort or ""):
        either = " or ".join(shlex.quote(f"sort={way}") for way in ways)
        raise UserError(f"sort={sort}: taken in {len(ways)} ways, which do not compare; type {either}")
    figure = compared.default_sort if sort is None else _known("sort", sort, compared.sortable, compared.columns)
    column = compared.column_of(figure)
    rows: Sequence[tables.Row] = compared.rows
    columns = compared.columns_with(column) if sort else compared.columns
    keys = None
    if by is not None:
        typed = [key.strip() for key in by.strip("[]").split(",")]
        keys = [_known("by", key, compared.given, compared.settings) for key in typed]
        if apart := [key for key in compared.scales if key not in keys]:
            print(f"nats of different data, likelihoods, conditions or pixels have no mean: also by {', '.join(apart)}")
        keys += apart
        rows, columns = comparison.averages(compared, keys, column if sort else None)
    if by and sort and column not in columns:
        raise UserError(f"sort={sort}: averages by {by} have no {figure}; there are {', '.join(columns)}")
    best = _best(figure, compared) if descending is None else math.inf if descending else -math.inf
    if any(column in row for row in rows):
        rows = tables.sorted_by(rows, column, best)
    images = {}
    if "rate_distortion" in files:
        images["rate_distortion"] = compare_pictures.rate_distortion(compared, rows, keys)
    if "samples" in files:
        images["samples"] = compare_pictures.samples(compared, **opening)
    shown = comparison.fitting(rows, columns, ["run", "state", column], console.console.width)
    console.show(tables.as_rich(rows, shown))
    if compared.scales and not by:
        print(f"runs differ in {' and '.join(compared.scales)}, so their nats do not compare")
    if len(found := {row["features"] for row in compared.rows if row["features"]}) > 1:
        print(f"samples were compared in different features, so their figures do not: {'; '.join(sorted(found))}")
    if repeated := [", ".join(str(row["run"]) for row in rows) for rows in compared.repeated]:
        print(f"of the same settings and seed, and one run in any mean: {'; '.join(repeated)}")
    if hidden := [name for name in columns if name not in shown]:
        print(f"too wide for {', '.join(hidden)}, which are in {TABLE}")

    listed = columns if by else [*columns, "directory"]
    texts = {TABLE: tables.as_csv(rows, listed), MARKDOWN: tables.as_markdown(rows, columns)}
    several, of_several = ([], []) if by else comparison.over_seeds(compared)
    if several:
        console.show(tables.as_rich(several, of_several, title="over seeds"))
        texts[MARKDOWN] += f"\nOver seeds:\n\n{tables.as_markdown(several, of_several)}"
    for published in dict.fromkeys(held for held in compared.published if held):
        print(f"published: {published}")
    logged = comparison.curves(compared)
    with writing(place, "type out=DIR"):
        for name, text in texts.items():
            write_bytes(place / name, text.encode())
        if metrics := comparison.drawable(logged):
            png.save(place / PICTURE, figures.curves(logged, metrics))
    print(f"in {place}: {', '.join([*texts, *([PICTURE] if metrics else [])])}")
    for key, image in images.items():
        with writing(files[key]):
            print(png.save(files[key], image))
    return 0


def _pictures(asked: Mapping[str, str | None], opening: Mapping[str, Any], overwrite: bool) -> dict[str, Path]:
    """Where the pictures go that are asked for. opening: how models are to be opened.

    Raises UserError where one cannot or must not be written, or no model is opened.
    """
    files = {key: new_png(key, file, overwrite) for key, file in asked.items() if file is not None}
    if len(set(files.values())) < len(files):
        raise UserError(f"samples={asked['samples']}: is the file of rate_distortion too; type another name")
    if "samples" not in files and (needless := [key for key, value in opening.items() if value]):
        key, value = needless[0].replace("_", "."), write(opening[needless[0]])
        raise UserError(f"{key}={value}: is for samples=FILE.png, which is not asked for")
    return files


def _best(figure: str, compared: "Comparison") -> float:
    """The best value of what rows are sorted by; `ours` is what runs are held against, which may be of several kinds.

    Raises UserError where it is.
    """
    from vae_runner.reporting.better import best

    if figure not in ("ours", "published"):
        return best(figure.removeprefix(f"{compared.split} "))
    found = {held.best for held in compared.published if held}
    if len(found) > 1:
        raise UserError(f"sort={figure}: some of these are better high and others low; type descending=true or false")
    return found.pop() if found else -math.inf


def _known(argument: str, name: str, names: Collection[str], shown: Sequence[str]) -> str:
    """The name itself. shown: those that the table has a column for.

    Raises UserError where it is not among `names`.
    """
    if name in names:
        return name
    if near := nearest_key(name, names):
        hint = f"did you mean {shlex.quote(f'{argument}={near}')}?"
    else:  # of all the settings that runs have, sixty or more, few can be meant
        few = get_close_matches(name.lower(), names, n=FEW, cutoff=0.4)
        hint = f"the nearest are {', '.join(few)}" if few else f"the table has {', '.join(shown) or 'no settings'}"
    raise UserError(f"{argument}={name}: no run has it; {hint}")


def _runs_in(paths: Sequence[str]) -> list[Path]:
    """Each run once, in the order they were given.

    Raises UserError where a path is no directory, or has no run in it.
    """
    from vae_runner.reporting import runs

    if not paths:
        raise UserError("compare needs directories of runs or sweeps, as in: vae-run compare outputs")
    found: dict[Path, Path] = {}
    for path in paths:
        directory = Path(path).expanduser()
        if not directory.is_dir():
            raise UserError(f"{path}: {'not a directory' if directory.exists() else 'no such directory'}")
        below = runs.found_in(directory)
        if not below:
            raise UserError(f"{path}: there is no run in it (no config.yaml, at any depth)")
        for run in below:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def _place(paths: Sequence[str], out: str | None, overwrite: bool) -> Path:
    """Where the files go.

    Raises UserError where they cannot or must not be written.
    """
    if out is None:
        sweep = Path(paths[0]).expanduser()
        if len(paths) == 1 and (sweep / "multirun.yaml").is_file():
            return sweep
        return Path("outputs", "compare", datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f"))
    place = Path(out).expanduser()
    refuse_directory(place if place.exists() else place.parent, f"out={out}")
    there = [name for name in FILES if (place / name).exists()]
    if there and not overwrite:
        raise UserError(f"out={out}: holds {there[0]} already; type another directory, or overwrite=true")
    return place
