"""What `vae-run evaluate` took of a run, under names that are of one kind of figure each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vae_runner.reporting import tables
from vae_runner.reporting.draws import OF_DRAWS, OF_SAMPLES, without_draws
from vae_runner.reporting.options import options_of, with_options
from vae_runner.reporting.published import KNOWN, SPLITS
from vae_runner.run_directory import RunDirectory

NO_GROUPS = ("train", "validation", "test", "examples", "kl_units", "not_taken")  # of evaluation.json
# names of more than one group, or of a group and of training
_TIMES = Counter(name for place, names in KNOWN.items() if place not in SPLITS[1:] for name in names)
SHARED = {name for name, times in _TIMES.items() if times > 1}


def evaluated(runs: Sequence[RunDirectory], split: str) -> list[dict[str, float]]:
    """The figures by group that `vae-run evaluate` took of a split of each run, where it did.

    A name that other groups or training have too comes with its group: `latents_mutual_information`. Where runs were
    evaluated with unlike options, the figures that depend on them come with their own: `mig (bins=50)`; and so do those
    of other numbers of draws, which stand beside them.
    """
    found = [_figures(run, split) for run in runs]
    options: dict[str, list[dict[str, Any]]] = {}
    for taken in found:
        for name, figure in taken.items():
            options.setdefault(without_draws(name), []).append(figure.options)
    unlike = {plain: tables.differing(of_name) for plain, of_name in options.items()}

    def named(name: str, figure: _Figure) -> str:
        return with_options(name, figure.options, unlike[without_draws(name)])

    return [{named(name, figure): figure.value for name, figure in taken.items()} for taken in found]


def features_of(run: RunDirectory, split: str) -> str | None:
    """In which features `vae-run evaluate` held samples of a run against a split, where it did."""
    written = run.evaluation()
    found = written.get("samples") if written.get("groups_of") == split else None
    if not found:
        return None
    accuracy = found.get("features_accuracy")
    return found["features"] + (f" (accuracy {accuracy:.3f})" if accuracy else "")


@dataclass(frozen=True)
class _Figure:
    value: float
    options: dict[str, Any]


def _figures(run: RunDirectory, split: str) -> dict[str, _Figure]:
    written = run.evaluation()
    if written.get("groups_of") != split:
        return {}
    groups = {key: group for key, group in written.items() if isinstance(group, dict) and key not in NO_GROUPS}
    return {
        _named(key, name, group): _Figure(value, options_of(key, name, group))
        for key, group in groups.items()
        for name, value in group.items()
        if isinstance(value, int | float)
    }


def _named(group: str, name: str, figures: Mapping[str, Any]) -> str:
    figure = name.removesuffix("_standard_error")
    if figure in SHARED:
        return f"{group}_{name}"
    number = figures.get("draws") if figure in OF_DRAWS else figures.get("samples") if figure in OF_SAMPLES else None
    return name if number is None else f"{name}_{number}"
