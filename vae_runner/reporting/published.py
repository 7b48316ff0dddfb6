"""What an experiment is held against: a published figure, and how near one of ours is to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from vae_runner.errors import UserError
from vae_runner.reporting.better import best, is_better
from vae_runner.reporting.formats import counted, number
from vae_runner.reporting.options import options_of, with_options
from vae_runner.run_directory import RunDirectory
from vae_runner.settings import Range

NOT_TAKEN = "not taken"
DRAWS = 5000  # of which a likelihood is where nobody says of fewer (Burda et al. 2016)
SPLITS = ("test", "validation", "train", "train_running")
OF_A_SPLIT = (
    *("loss", "elbo", "log_px", "kl", "iw_bound", "accuracy", "reconstruction", "active_units", "mutual_information"),
    *("loss_reconstruction", "loss_kl", "loss_iw_bound", "elbo_standard_error"),
    *("log_px_standard_error", "kl_standard_error", "mutual_information_standard_error"),
)


def _with_errors(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{end}" for name in names for end in ("", "_standard_error"))


# names in summary.json, then groups of evaluation.json; an objective or factors of the data may bring others
KNOWN = {
    **dict.fromkeys(SPLITS, OF_A_SPLIT),
    **dict.fromkeys(("parameters", "seconds", "steps", "epochs", "best_step", "best_epoch", "examples_per_second"), ()),
    "likelihood": (
        *_with_errors("log_likelihood", "log_likelihood_per_step", "bits_per_dimension", "perplexity", "elbo"),
        *_with_errors("annealed_log_likelihood", "log_likelihood_of_these", "annealed_difference"),
        *("annealed_acceptance", "annealed_steps", "annealed_chains", "annealed_examples", "draws", "examples"),
    ),
    "latents": (
        *_with_errors("mutual_information", "aggregate_kl", "total_correlation"),
        *("mutual_information_at_most", "collapsed_share", "level", "draws", "examples"),
    ),
    "reconstruction": (
        *_with_errors("rate", "distortion", "distortion_at_mean", "error", "mean_squared_error", "psnr", "ssim"),
        *("draws", "examples"),
    ),
    "samples": (
        *_with_errors("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"),
        *_with_errors("classes_kl", "confident_share", "sharpness_ratio", "copies_share"),
        *("classes_present", "classes", "copies_share_of_held_out", "copies_quantile", "copies_looked_for_in"),
        *("frechet_distance_of_training", "features_accuracy", "feature_steps", "samples", "neighbours"),
    ),
    "usefulness": (
        *_with_errors("linear_probe_accuracy", "knn_accuracy", "ridge_r2"),
        *_with_errors("clusters_adjusted_rand", "clusters_normalised_information", "clusters_silhouette"),
        *("linear_probe_strength", "knn_neighbours", "ridge_strength", "chance"),
        *("training_codes", "validation_codes", "test_codes"),
    ),
    "disentanglement": (
        *_with_errors("mig", "modularity", "factor_vae", "beta_vae", "sap", "explicitness"),
        *_with_errors("dci_disentanglement", "dci_completeness", "dci_informativeness"),
        *("bins", "held_out", "batch", "batches", "examples"),
    ),
    "anomaly": (
        *_with_errors(
            *(
                f"{figure}_{score}"
                for score in ("negative_elbo", "negative_log_likelihood", "distortion", "reconstruction_error")
                for figure in ("auc", "average_precision")
            )
        ),
        *("anomalies", "examples", "draws"),
    ),
}


@dataclass(frozen=True)
class Ours:
    """value: of a run, None where it was not taken. fewer: draws and examples, where it is not of all there might be:
    `50 draws, 100 examples`. options: of `vae-run evaluate` that it depends on: `mig (bins=50)`."""

    value: float | None
    fewer: str = ""
    options: str = ""


@dataclass(frozen=True, kw_only=True)
class Published:
    """`published:` of an experiment.

    figure: which of ours it is held against, by its place in summary.json, as in test.elbo, or in evaluation.json, as
    in likelihood.log_likelihood. value: the published one, in the units of ours and with its sign; null where there is
    none but of the values. values: those of a run with other settings, by what is typed for it, such as
    `objective.samples=5`. tolerance: how far from it ours may be, either way, and still count as the same. source: who
    published it, and of what.
    """

    figure: str
    value: float | None
    tolerance: Annotated[float, Range(0)]
    source: str
    values: dict[str, float] | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any], file: Path) -> "Published | None":
        """That of the config in a file, where it has one. Raises UserError where it is not one."""
        if config.get("published") is None:
            return None
        try:
            return cls(**config["published"])
        except TypeError as error:
            raise UserError(
                f"{file}: published: must have figure, value, tolerance and source, may have values, and no more"
            ) from error

    def for_run(self, config: Mapping[str, Any]) -> "Published | None":
        """What a run with that config is held against: of the values that are of such a run, that with most settings.

        None where none is.
        """
        fitting = {
            typed: value
            for typed, value in (self.values or {}).items()
            if all(_at(key, config) == given for key, given in settings_typed(typed))
        }
        best = max(fitting, key=lambda typed: len(typed.split()), default=None)
        value = self.value if best is None else fitting[best]
        return None if value is None else replace(self, value=value, values=None)

    def ours(self, run: RunDirectory, limit: int | None = None) -> "Ours":
        """The figure of a run; groups of evaluation.json count if of test examples.

        limit: the run's trainer.evaluation_examples, which those in summary.json are of at most.
        """
        summary, evaluation = run.summary(), run.evaluation()
        place, _, name = self.figure.partition(".")
        seen = {"examples": (summary.get("examples") or {}).get(place), "taken_with": {"limit": limit}}
        taken = evaluation if evaluation.get("groups_of") == "test" else {}
        for written, how in ((summary, seen), (taken, {})):
            found = _at(self.figure, written)
            if isinstance(found, int | float):
                if not isinstance(written[place], Mapping):
                    return Ours(found)
                group = {**written[place], **how}
                options = options_of(place, name, group)
                return Ours(found, _fewer(place, name, group), with_options(name, options, [*options]))
        return Ours(None)

    @property
    def best(self) -> float:
        return best(self.figure.rpartition(".")[2])

    def verdict(self, ours: Ours) -> str:
        """Whether ours is the same within the tolerance; if not, which is better and by how much.

        In brackets, of how many draws and examples ours is, where these are fewer than they might be.
        """
        if ours.value is None:
            return NOT_TAKEN
        assert self.value is not None, "of no run in particular"
        difference = ours.value - self.value
        better = is_better(ours.value, self.value, self.best)
        verdict = f"{'better' if better else 'worse'} by {number(abs(difference), 3)}"
        if abs(difference) <= self.tolerance:
            verdict = f"within {number(self.tolerance)}"
        return f"{verdict} ({ours.fewer})" if ours.fewer else verdict

    def __str__(self) -> str:
        values = [] if self.value is None else [number(self.value)]
        values += [f"{number(value)} with {typed}" for typed, value in (self.values or {}).items()]
        return f"{self.figure} {', '.join(values)} ± {number(self.tolerance)} ({self.source})"


def settings_typed(words: str) -> Iterator[tuple[str, Any]]:
    """The settings in `key=value key=value`, with their values as in a config, where 1e-3 is a number.

    Raises YAMLError or OmegaConfBaseException for a value that cannot be read.
    """
    from omegaconf import OmegaConf

    for word in words.split():
        key, _, value = word.partition("=")
        read: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value}"]))
        yield key, read["value"]


def _fewer(place: str, name: str, group: Mapping[str, Any]) -> str:
    """How many draws a figure is of where they are few, and examples where not of all. group: what stands beside it."""
    few = []
    draws, examples, is_part = group.get("draws"), group.get("examples", group.get("test_codes")), False
    if examples is not None:
        is_part = examples == (group.get("taken_with") or {}).get("limit")
    if place == "likelihood":
        if name.startswith("annealed") or name == "log_likelihood_of_these":
            examples, is_part = group.get("annealed_examples"), True
        if draws is not None and draws < DRAWS and not name.startswith("annealed"):
            few.append(counted(draws, "draw"))
    if is_part and examples is not None:
        few.append(counted(examples, "example"))
    return ", ".join(few)


def _at(key: str, config: Mapping[str, Any]) -> Any:
    """The value at a dotted key, None where there is none."""
    found: Any = config
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
