"""What `vae-run evaluate` took of a run, under names that are of one kind of figure each."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from vae_runner.reporting.published import KNOWN, SPLITS
from vae_runner.run_directory import RunDirectory

# of evaluation.json: what is made of K draws, and is comparable where K is the same
OF_DRAWS = (
    *("log_likelihood", "log_likelihood_per_step", "log_likelihood_of_these"),
    *("bits_per_dimension", "perplexity"),
    *(
        f"{figure}_{score}"
        for figure in ("auc", "average_precision")
        for score in ("negative_elbo", "negative_log_likelihood", "distortion")
    ),
)
# of evaluation.json: what is estimated from samples, and leans to one side the more the fewer there are
OF_SAMPLES = ("frechet_distance", "precision", "recall", "density", "coverage")
NO_GROUPS = ("train", "validation", "test", "examples", "kl_units", "not_taken")  # of evaluation.json
# names of more than one group, or of a group and of training
_TIMES = Counter(name for place, names in KNOWN.items() if place not in SPLITS[1:] for name in names)
SHARED = {name for name, times in _TIMES.items() if times > 1}


def evaluated(run: RunDirectory, split: str) -> dict[str, float]:
    """The figures by group that `vae-run evaluate` took of a split, where it did.

    A name that other groups or training have too comes with its group: `latents_mutual_information`.
    """
    written = run.evaluation()
    if written.get("groups_of") != split:
        return {}
    groups = {key: group for key, group in written.items() if isinstance(group, dict) and key not in NO_GROUPS}
    return {
        _named(key, name, group): value
        for key, group in groups.items()
        for name, value in group.items()
        if isinstance(value, int | float)
    }


def features_of(run: RunDirectory, split: str) -> str | None:
    """In which features `vae-run evaluate` held samples of a run against a split, where it did."""
    written = run.evaluation()
    found = written.get("samples") if written.get("groups_of") == split else None
    if not found:
        return None
    accuracy = found.get("features_accuracy")
    return found["features"] + (f" (accuracy {accuracy:.3f})" if accuracy else "")


def _named(group: str, name: str, figures: Mapping[str, Any]) -> str:
    figure = name.removesuffix("_standard_error")
    if figure in SHARED:
        return f"{group}_{name}"
    number = figures.get("draws") if figure in OF_DRAWS else figures.get("samples") if figure in OF_SAMPLES else None
    return name if number is None else f"{name}_{number}"
