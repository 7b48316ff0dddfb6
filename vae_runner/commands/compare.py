"""`vae-run compare DIR ...`: a table of runs and sweeps, and their curves."""

from collections.abc import Collection, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from vae_runner.commands.arguments import call
from vae_runner.commands.files import Overwrite, refuse_directory, writing
from vae_runner.config.names import nearest_key
from vae_runner.errors import UserError

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
    overwrite: Overwrite = False,
) -> int:
    """A table of runs: the settings in which they differ, how they ended, and their figures.

    A directory is a run, a sweep, or any with runs below it. The table is printed, and written with the training curves
    of the runs as compare.csv, compare.md and compare.png.
    """
    directories = _runs_in(paths)
    place = _place(paths, out, overwrite)

    from vae_runner.reporting import comparison, console, figures, png, tables
    from vae_runner.run_directory import write_bytes

    compared = comparison.compare(directories, split)
    figure = compared.default_sort if sort is None else _known("sort", sort, compared.sortable, compared.columns)
    column = compared.column_of(figure)
    rows: Sequence[tables.Row] = compared.rows
    columns = compared.columns_with(column) if sort else compared.columns
    if by is not None:
        typed = [key.strip() for key in by.strip("[]").split(",")]
        keys = [_known("by", key, compared.given, compared.settings) for key in typed]
        if apart := [key for key in compared.scales if key not in keys]:
            print(f"figures of different data or likelihoods have no common mean: also by {', '.join(apart)}")
        rows, columns = comparison.averages(compared, [*keys, *apart], column if sort else None)
    if by and sort and column not in columns:
        raise UserError(f"sort={sort}: averages by {by} have no {figure}; there are {', '.join(columns)}")
    is_better_high = figure.removeprefix(f"{split} ") in comparison.HIGHER_IS_BETTER
    highest = is_better_high if descending is None else descending
    if any(column in row for row in rows):
        rows = tables.sorted_by(rows, column, highest)
    shown = comparison.fitting(rows, columns, ["run", "state", column], console.console.width)
    console.show(tables.as_rich(rows, shown))
    if hidden := [name for name in columns if name not in shown]:
        print(f"too wide for {', '.join(hidden)}, which are in {TABLE}")

    listed = columns if by else [*columns, "directory"]
    files = {TABLE: tables.as_csv(rows, listed), MARKDOWN: tables.as_markdown(rows, columns)}
    logged = comparison.curves(compared)
    with writing(place, "type out=DIR"):
        for name, text in files.items():
            write_bytes(place / name, text.encode())
        if drawn := comparison.drawable(logged):
            png.save(place / PICTURE, figures.curves(logged, drawn))
    print(f"in {place}: {', '.join([*files, *([PICTURE] if drawn else [])])}")
    return 0


def _known(argument: str, name: str, names: Collection[str], shown: Sequence[str]) -> str:
    """The name itself. shown: those that the table has a column for.

    Raises UserError where it is not among `names`.
    """
    if name in names:
        return name
    if near := nearest_key(name, names):
        hint = f"did you mean {argument}={near}?"
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
