"""Runs held against each other: a row each, with what they differ in, how they ended and what they reached."""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vae_runner.reporting import runs, tables
from vae_runner.reporting.evaluated import evaluated, features_of
from vae_runner.reporting.formats import cell
from vae_runner.reporting.options import plain_name
from vae_runner.reporting.published import Ours, Published
from vae_runner.run_directory import RunDirectory

# where any run has it; a narrow terminal leaves out the last
SHOWN = ("accuracy", *runs.FIGURES, "iw_bound", "log_likelihood", "frechet_distance", "mig")
CURVES = ("loss", "elbo", "log_px", "kl")
OF_RUN = ("epochs", "seconds", "examples_per_second", "parameters")
MEANS = ("in_memory", "workers")  # of the data, by which its examples arrive: no figure but the speed depends on them
# settings of the data that leave its values as they are, so that the figures of runs that differ in them have a mean
OF_THE_SAME_DATA = {
    *(f"data.{key}" for key in ("root", "download", "skip_unreadable", "split_seed", "limit", "labels")),
    *(f"data.{key}" for key in ("validation", "test", *MEANS)),
}
# settings of which no figure but the speed depends: runs that agree in all others are one run twice
OF_NO_FIGURE = {*(f"data.{key}" for key in ("root", "download", *MEANS))}
NOT_TOLD = (None, "none", "inferred_label")  # conditions of which log p(x) is of x alone
VISIBLE = "condition.visible"  # quarters of an image that are its condition, the nats being those of the others
HELD = ("figure", "published", "ours", "verdict")  # columns of runs that are held against a published figure
UNLIKE = "of unlike draws, examples or options"  # the verdict on a mean that is none
LONGEST_NAME = 100  # of a run beside its curve, in characters


@dataclass
class Comparison:
    """rows: everything known of each run. given: all their settings, settings: the columns in which runs differ.

    by_hand: those of them that somebody set for some run. figures: those that any run has, named after their split:
    `test elbo`. published: what each run is held against, in the order of rows, and ours: the figure that is.
    """

    rows: list[dict[str, Any]]
    given: list[str]
    settings: list[str]
    by_hand: list[str]
    figures: list[str]
    split: str
    published: list[Published | None]
    ours: list[Ours]

    @property
    def names(self) -> list[str]:
        """The settings that tell one run from another in words: those set by hand, if any."""
        means = [f"data.{key}" for key in MEANS]
        return [key for key in self.by_hand or self.settings if key not in means]

    @property
    def columns(self) -> list[str]:
        known = [row for row in self.rows if row["parameters"] is not None]
        size = tables.differing(known, ["parameters"])
        held = list(HELD) if any(self.published) else []
        return ["run", *self.settings, "state", *held, *self.figures, *size, "epochs", "seconds"]

    def columns_with(self, column: str) -> list[str]:
        """The columns of the table, and this one among the settings or the figures where it is not shown by itself."""
        columns = self.columns
        if column in columns:
            return columns
        place = columns.index("state") + (0 if column in self.given else 1 + len(self.figures))
        return [*columns[:place], column, *columns[place:]]

    @property
    def scales(self) -> list[str]:
        """The settings in which runs differ so that their nats have no common mean: other data, likelihoods, conditions
        or pixels."""
        different = (key for key in self.settings if key not in OF_THE_SAME_DATA)
        scales = [key for key in different if key in ("data", "likelihood") or key.startswith("data.")]
        told = {None if row.get("condition") in NOT_TOLD else row["condition"] for row in self.rows}
        return [*scales, *(["condition"] if len(told) > 1 else []), *tables.differing(self.rows, [VISIBLE])]

    @property
    def repeated(self) -> list[list[dict[str, Any]]]:
        """Rows with figures that have all settings in common, the seed too, where there are several."""
        taken = [row for row in self.rows if any(row.get(figure) is not None for figure in self.figures)]
        return [rows for rows in self.once(taken) if len(rows) > 1]

    def once(self, rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """Rows by run: those of one group have the same settings and seed, and count as one in a mean."""
        keys = [key for key in self.given if key not in OF_NO_FIGURE]
        found: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(repr([row.get(key) for key in keys]), []).append(row)
        return list(found.values())

    @property
    def sortable(self) -> list[str]:
        """What rows can be sorted by: figures, with or without their split, and every other column, shown or not."""
        columns = tables.columns_of(self.rows)
        own = [column.removeprefix(f"{self.split} ") for column in columns]
        alone = [name for name, found in self._by_plain_name.items() if len(found) == 1]
        return [*dict.fromkeys([*runs.FIGURES, *own, *alone, *columns])]

    @property
    def _by_plain_name(self) -> dict[str, list[str]]:
        """Figures without their draws and options -> their columns, one for each number and each set of options."""
        found: dict[str, list[str]] = {}
        for column in tables.columns_of(self.rows):
            name = column.removeprefix(f"{self.split} ")
            if plain_name(name) != name:
                found.setdefault(plain_name(name), []).append(column)
        return found

    def ways_of(self, name: str) -> list[str]:
        """The names by which a figure can be sorted by, where it was taken in several ways, that do not compare."""
        columns = self._by_plain_name.get(name, [])
        return [column.removeprefix(f"{self.split} ") for column in columns] if len(columns) > 1 else []

    @property
    def default_sort(self) -> str:
        return "elbo" if self.column_of("elbo") in self.figures else "loss"

    def column_of(self, name: str) -> str:
        """The column of a figure or a setting: `test elbo` for `elbo`, with draws and options if all have the same."""
        if len(found := self._by_plain_name.get(name, [])) == 1:
            return found[0]
        column = f"{self.split} {name}"
        is_figure = name in runs.FIGURES or any(column in row for row in self.rows)
        return column if is_figure else name  # `kl` is a group too


def compare(directories: Sequence[Path], split: str) -> Comparison:
    """The runs in `directories`, with the figures of one split. A run without figures is a row without them.

    Raises UserError where a run's files cannot be read.
    """
    configs = [runs.config_of(directory) for directory in directories]
    settings = [_settings_in(config) for config in configs]
    files = [RunDirectory(directory).config for directory in directories]
    published = [_held(config, file) for config, file in zip(configs, files, strict=True)]
    names = short_names(directories)
    rows, ours = [], []
    taken = evaluated([RunDirectory(directory) for directory in directories], split)
    for directory, name, given, held, groups in zip(directories, names, settings, published, taken, strict=True):
        limit = given.get("trainer.evaluation_examples")
        run = RunDirectory(directory)
        summary = run.summary()
        figures = summary.get(split) or {}
        ours.append(held.ours(run, limit) if held else Ours(None))
        rows.append(
            {
                "run": int(name) if name.isdecimal() else name,
                **given,
                "state": runs.state_of(run),
                **(held_against(held, ours[-1]) if held else {}),
                **{f"{split} {figure}": value for figure, value in {**groups, **figures}.items()},
                **{key: summary.get(key) for key in OF_RUN},
                "features": features_of(run, split),
                "directory": str(directory),
            }
        )
    reached = tables.columns_of([{key: value for key, value in row.items() if value is not None} for row in rows])
    own = f"{split} "
    shown = [
        column
        for name in SHOWN
        for column in reached
        if column.startswith(own) and plain_name(column.removeprefix(own)) == name
    ]
    overridden = _overridden(directories)
    different = told_apart(settings, overridden)
    by_hand = [key for key in different if key in overridden]
    return Comparison(rows, tables.columns_of(settings), different, by_hand, shown, split, published, ours)


def _settings_in(config: dict[str, Any]) -> dict[str, Any]:
    """Those of a run, with the one quarter that is visible where nobody says how many."""
    settings = runs.settings_in(config)
    if settings.get("condition.transform") == "quadrants" and settings.get(VISIBLE) is None:
        settings[VISIBLE] = 1
    return settings


def _held(config: dict[str, Any], file: Path) -> Published | None:
    published = Published.of(config, file)
    return published and published.for_run(config)


def held_against(published: Published, ours: Ours, **spread: float | None) -> dict[str, Any]:
    """The columns of a run, or of the mean of several with its `spread`, beside the published figure."""
    columns = {"figure": published.figure, "published": published.value, "ours": ours.value}
    return {**columns, **spread, "verdict": published.verdict(ours)}


def told_apart(settings: Sequence[dict[str, Any]], overridden: set[str]) -> list[str]:
    """The settings in which runs differ.

    Without those that only follow from another option of their group, as the depth of one architecture that another has
    not, unless somebody set them by hand.
    """
    different = tables.differing(settings)
    return [
        key
        for key in different
        if key in overridden or key.partition(".")[0] not in different or not _follows(key, settings)
    ]


def drawable(logged: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """The metrics that any run has logged."""
    return [name for name in CURVES if any(line.get(name) is not None for lines in logged.values() for line in lines)]


def averages(
    comparison: Comparison, by: Sequence[str], figure: str | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each combination of the settings `by`: means of the figures over its runs, and standard deviations.

    Runs with the same settings and seed count as one, by their mean: what is run twice is no second draw. figure: one
    more, where it is a figure of the split. Runs without a figure do not count for it. The mean of runs that are held
    against the same published figure is held against it too, if all are of as many draws and examples and were taken
    with the same options. Returns the rows and their columns.
    """
    known = figure is not None and figure.startswith(f"{comparison.split} ")
    figures = list(dict.fromkeys([*comparison.figures, *([figure] if figure and known else [])]))
    groups: dict[tuple[str, ...], list[tuple[dict[str, Any], Published | None, Ours]]] = {}
    for row, published, ours in zip(comparison.rows, comparison.published, comparison.ours, strict=True):
        groups.setdefault(tuple(repr(row.get(key)) for key in by), []).append((row, published, ours))
    rows = []
    for group in groups.values():
        members = comparison.once([row for row, _, _ in group])
        row = {**{key: members[0][0].get(key) for key in by}, "runs": len(members)}
        row["completed"] = sum(any(row["state"] == "completed" for row in member) for member in members)
        if len(held := {published for _, published, _ in group}) == 1 and (published := held.pop()):
            taken = {(ours.fewer, ours.options) for _, _, ours in group if ours.value is not None}
            row |= _mean_held_against(published, *_mean(members, "ours"), taken)
        for name in figures:
            row[name], row[f"{name} ±"] = _mean(members, name)
        for name in ("epochs", "seconds"):
            row[name], _ = _mean(members, name)
        rows.append(row)
    return rows, [column for column in tables.columns_of(rows) if any(row.get(column) is not None for row in rows)]


def _mean_held_against(
    published: Published, mean: float | None, spread: float | None, taken: set[tuple[str, str]]
) -> dict[str, Any]:
    """taken: how each of ours was, of which there is a mean where all were in the same way."""
    if len(taken) > 1:
        return {**held_against(published, Ours(None), **{"ours ±": None}), "verdict": UNLIKE}
    fewer = next((fewer for fewer, _ in taken), "")
    return held_against(published, Ours(mean, fewer), **{"ours ±": spread})


def over_seeds(comparison: Comparison) -> tuple[list[dict[str, Any]], list[str]]:
    """Runs that differ in their seed alone, beside what they are held against: mean and standard deviation of ours.

    Returns rows and columns, as `averages`, of runs that have the figure; no rows where no two of them are alike.
    """
    by = [key for key in comparison.settings if key != "seed"]
    # a run whose figure was not taken is none of those that have a mean
    taken = [i for i, row in enumerate(comparison.rows) if row.get("ours") is not None]
    known = replace(
        comparison,
        rows=[comparison.rows[i] for i in taken],
        published=[comparison.published[i] for i in taken],
        ours=[comparison.ours[i] for i in taken],
    )
    rows, columns = averages(known, by)
    several = [row for row in rows if row["runs"] > 1 and "published" in row]
    return several, [column for column in columns if column in (*by, "runs", *HELD, "ours ±")]


def _mean(members: Sequence[Sequence[dict[str, Any]]], name: str) -> tuple[float | None, float | None]:
    """Mean and standard deviation of a column over the runs that have it, each the mean of its rows; None of none, and
    no deviation of one."""
    found = [[row[name] for row in rows if row.get(name) is not None] for rows in members]
    values = [statistics.fmean(of_one) for of_one in found if of_one]
    return statistics.fmean(values) if values else None, statistics.stdev(values) if len(values) > 1 else None


def curves(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """The logged lines of each run, under a name that says how it differs from the others."""
    keys = ("step", "split", *CURVES)
    logged = {}
    for row in comparison.rows:
        lines = RunDirectory(row["directory"]).read_metrics()
        logged[full_name(comparison, row)] = [{key: line.get(key) for key in keys} for line in lines]
    return logged


def full_name(comparison: Comparison, row: Mapping[str, Any]) -> str:
    """The name of a run, and how it differs from the others."""
    name, what = str(row["run"]), differences(row, comparison.names)
    room = max(LONGEST_NAME - len(name), 0)
    if len(what) > room:
        what = what[:room] + "..."
    return f"{name}: {what}" if what else name


def differences(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    """`a=1 b=2` of the settings that a run has."""
    return " ".join(f"{key}={cell(row[key])}" for key in keys if row.get(key) is not None)


def fitting(rows: Sequence[tables.Row], columns: Sequence[str], kept: Sequence[str], width: int) -> list[str]:
    """The columns of a table that is no wider than `width` characters: the last ones go first, those `kept` never."""
    fit = list(columns)
    for column in reversed(columns):
        if max(map(len, tables.as_text(rows, fit).splitlines())) <= width:
            break
        if column not in kept:
            fit.remove(column)
    return fit


def short_names(directories: Sequence[Path]) -> list[str]:
    """The directories without what they have in common."""
    absolute = [os.path.abspath(directory) for directory in directories]
    if len(absolute) == 1:
        return [Path(absolute[0]).name]
    common = os.path.commonpath(absolute)
    return [os.path.relpath(path, common) for path in absolute]


def _follows(key: str, settings: Sequence[dict[str, Any]]) -> bool:
    """Whether runs with the same option of the key's group agree in it."""
    group = key.partition(".")[0]
    by_option: dict[str, set[str]] = {}
    for given in settings:
        by_option.setdefault(repr(given.get(group)), set()).add(repr(given.get(key)))
    return key != group and all(len(values) == 1 for values in by_option.values())


def _overridden(directories: Sequence[Path]) -> set[str]:
    """The keys that were set by hand for any of the runs."""
    given = (text for directory in directories for text in runs.overrides_of(directory) or [])
    return {text.lstrip("+").partition("=")[0] for text in given}
