"""Runs held against each other: a row each, with what they differ in, how they ended and what they reached."""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_runner.reporting import runs, tables
from vae_runner.reporting.formats import cell
from vae_runner.run_directory import RunDirectory

HIGHER_IS_BETTER = (
    *("elbo", "log_px", "iw_bound", "accuracy", "active_units", "mutual_information", "examples_per_second"),
    *("log_likelihood", "log_likelihood_per_step", "annealed_log_likelihood", "psnr", "ssim"),
    *("precision", "recall", "density", "coverage", "classes_present", "confident_share", "sharpness_ratio"),
    *("linear_probe_accuracy", "knn_accuracy", "clusters_adjusted_rand", "clusters_normalised_information"),
    *("clusters_silhouette", "ridge_r2", "mig", "modularity", "factor_vae", "beta_vae", "sap", "explicitness"),
    *("dci_disentanglement", "dci_completeness", "dci_informativeness"),
)
# where any run has it; a narrow terminal leaves out the last
SHOWN = ("accuracy", *runs.FIGURES, "iw_bound", "log_likelihood", "frechet_distance", "mig")
CURVES = ("loss", "elbo", "log_px", "kl")
OF_RUN = ("epochs", "seconds", "examples_per_second", "parameters")
# settings of the data that leave its values as they are, so that the figures of runs that differ in them have a mean
OF_THE_SAME_DATA = {
    *(f"data.{key}" for key in ("root", "download", "skip_unreadable", "split_seed", "limit", "labels")),
    *(f"data.{key}" for key in ("validation", "test")),
}
NO_GROUPS = ("train", "validation", "test", "examples", "kl_units", "not_taken")  # of evaluation.json
LONGEST_NAME = 100  # of a run beside its curve, in characters


@dataclass
class Comparison:
    """rows: everything known of each run. given: all their settings, settings: the columns in which runs differ.

    by_hand: those of them that somebody set for some run. figures: those that any run has, named after their split:
    `test elbo`.
    """

    rows: list[dict[str, Any]]
    given: list[str]
    settings: list[str]
    by_hand: list[str]
    figures: list[str]
    split: str

    @property
    def columns(self) -> list[str]:
        known = [row for row in self.rows if row["parameters"] is not None]
        size = tables.differing(known, ["parameters"])
        return ["run", *self.settings, "state", *self.figures, *size, "epochs", "seconds"]

    def columns_with(self, column: str) -> list[str]:
        """The columns of the table, and this one among the settings or the figures where it is not shown by itself."""
        columns = self.columns
        if column in columns:
            return columns
        place = columns.index("state") + (0 if column in self.given else 1 + len(self.figures))
        return [*columns[:place], column, *columns[place:]]

    @property
    def scales(self) -> list[str]:
        """The settings in which runs differ so that their figures have no common mean: other data or likelihoods."""
        different = (key for key in self.settings if key not in OF_THE_SAME_DATA)
        return [key for key in different if key in ("data", "likelihood") or key.startswith("data.")]

    @property
    def sortable(self) -> list[str]:
        """What rows can be sorted by: figures, with or without their split, and every other column, shown or not."""
        columns = tables.columns_of(self.rows)
        own = [column.removeprefix(f"{self.split} ") for column in columns]
        return [*dict.fromkeys([*runs.FIGURES, *own, *columns])]

    @property
    def default_sort(self) -> str:
        return "elbo" if self.column_of("elbo") in self.figures else "loss"

    def column_of(self, name: str) -> str:
        """The column of a figure or a setting: `test elbo` for `elbo`."""
        column = f"{self.split} {name}"
        is_figure = name in runs.FIGURES or any(column in row for row in self.rows)
        return column if is_figure else name  # `kl` is a group too


def evaluated(run: RunDirectory, split: str) -> dict[str, float]:
    """The figures by group that `vae-run evaluate` took of a split, where it did."""
    written = run.evaluation()
    if written.get("groups_of") != split:
        return {}
    groups = [group for name, group in written.items() if isinstance(group, dict) and name not in NO_GROUPS]
    pairs = (pair for group in groups for pair in group.items())
    return {name: value for name, value in pairs if isinstance(value, int | float)}


def compare(directories: Sequence[Path], split: str) -> Comparison:
    """The runs in `directories`, with the figures of one split. A run without figures is a row without them.

    Raises UserError where a run's files cannot be read.
    """
    settings = [runs.settings_of(directory) for directory in directories]
    names = short_names(directories)
    rows = []
    for directory, name, given in zip(directories, names, settings, strict=True):
        run = RunDirectory(directory)
        summary = run.summary()
        figures = summary.get(split) or {}
        rows.append(
            {
                "run": int(name) if name.isdecimal() else name,
                **given,
                "state": runs.state_of(run),
                **{f"{split} {figure}": value for figure, value in {**evaluated(run, split), **figures}.items()},
                **{key: summary.get(key) for key in OF_RUN},
                "directory": str(directory),
            }
        )
    reached = [f"{split} {name}" for name in SHOWN]
    shown = [column for column in reached if any(row.get(column) is not None for row in rows)]
    overridden = _overridden(directories)
    different = told_apart(settings, overridden)
    by_hand = [key for key in different if key in overridden]
    return Comparison(rows, tables.columns_of(settings), different, by_hand, shown, split)


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

    figure: one more, where it is a figure of the split. Runs without a figure do not count for it. Returns the rows
    and their columns.
    """
    known = figure is not None and figure.startswith(f"{comparison.split} ")
    figures = list(dict.fromkeys([*comparison.figures, *([figure] if figure and known else [])]))
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in comparison.rows:
        groups.setdefault(tuple(repr(row.get(key)) for key in by), []).append(row)
    rows = []
    for members in groups.values():
        row = {**{key: members[0].get(key) for key in by}, "runs": len(members)}
        row["completed"] = sum(member["state"] == "completed" for member in members)
        for name in (*figures, "epochs", "seconds"):
            values = [member[name] for member in members if member.get(name) is not None]
            row[name] = statistics.fmean(values) if values else None
            if name in figures:
                row[f"{name} ±"] = statistics.stdev(values) if len(values) > 1 else None
        rows.append(row)
    return rows, [column for column in tables.columns_of(rows) if any(row[column] is not None for row in rows)]


def curves(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """The logged lines of each run, under a name that says how it differs from the others."""
    keys = ("step", "split", *CURVES)
    logged = {}
    for row in comparison.rows:
        given = {key: row.get(key) for key in comparison.by_hand or comparison.settings}
        what = " ".join(f"{key}={cell(value)}" for key, value in given.items() if value is not None)
        name = str(row["run"])
        room = max(LONGEST_NAME - len(name), 0)
        if len(what) > room:
            what = what[:room] + "..."
        lines = RunDirectory(row["directory"]).read_metrics()
        logged[f"{name}: {what}" if what else name] = [{key: line.get(key) for key in keys} for line in lines]
    return logged


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
