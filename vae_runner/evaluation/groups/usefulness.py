"""What simple readers make of the codes: fitted on train, chosen on validation, reported on test."""

from typing import Any

from vae_runner.evaluation.groups.subject import Inapplicable, Subject, said
from vae_runner.evaluation.probes import STRENGTHS, Coded, clusters, knn_probe, linear_probe, ridge_probe
from vae_runner.evaluation.standard_errors import of_share


def usefulness(subject: Subject) -> dict[str, Any]:
    """Accuracies of classes; of factors R^2, and accuracies of those whose values have no order."""
    splits = [Coded(*part) for part in subject.coded(subject.settings.probes)]
    if subject.space.factors:
        return with_edges(said(lambda: _of_factors(subject, splits)))
    if not subject.space.classes:
        raise Inapplicable("the data has no labels")
    return with_edges(said(lambda: _of_classes(subject, splits)))


def with_edges(figures: dict[str, Any]) -> dict[str, Any]:
    """The same, and beside a strength that is the weakest of those tried, that a weaker one might do better."""
    weakest, why = min(STRENGTHS), "the weakest that is tried is the best on validation: a weaker one might be better"
    of = [name for name in ("linear_probe_strength", "ridge_strength") if figures.get(name) == weakest]
    return {**figures, **{f"{name}_at_edge": why for name in of}}


def _of_classes(subject: Subject, splits: list[Coded]) -> dict[str, Any]:
    linear, near = linear_probe(*splits), knn_probe(*splits)
    found = clusters(*splits, seed=subject.seed)
    return {
        "linear_probe_accuracy": linear.score,
        "linear_probe_accuracy_standard_error": of_share(linear.score, linear.examples),
        "linear_probe_strength": linear.chosen,
        "knn_accuracy": near.score,
        "knn_accuracy_standard_error": of_share(near.score, near.examples),
        "knn_neighbours": int(near.chosen),
        "chance": linear.chance,
        "clusters_adjusted_rand": found.adjusted_rand,
        "clusters_normalised_information": found.normalised_information,
        "clusters_silhouette": found.silhouette,
        **_counts(splits),
    }


def _of_factors(subject: Subject, splits: list[Coded]) -> dict[str, Any]:
    names = subject.data.factor_names or [str(i) for i in range(subject.space.factors)]
    categorical = [i for i in range(len(names)) if i in subject.space.categorical_factors]
    ordered = [i for i in range(len(names)) if i not in categorical]
    varying = {i for i in range(len(names)) if all(len(part.targets[:, i].unique()) > 1 for part in splits)}
    if not varying:
        raise Inapplicable("no factor has two values in each of training, validation and test")
    figures: dict[str, Any] = {}
    if varying.intersection(ordered):
        ridge = ridge_probe(*(Coded(codes, factors[:, ordered].float()) for codes, factors in splits))
        found = {i: score if i in varying else None for i, score in zip(ordered, ridge.by_target, strict=True)}
        figures["ridge_r2"] = _mean(found)
        figures |= {f"ridge_r2_{names[i]}": score for i, score in found.items()}
        figures["ridge_strength"] = ridge.chosen
    if varying.intersection(categorical):
        probes = {
            i: linear_probe(*(Coded(codes, factors[:, i]) for codes, factors in splits)) if i in varying else None
            for i in categorical
        }
        for name, of_probe in (("linear_probe_accuracy", "score"), ("chance", "chance")):
            found = {i: getattr(probe, of_probe, None) for i, probe in probes.items()}
            figures[name] = _mean(found)
            figures |= {f"{name}_{names[i]}": value for i, value in found.items()}
        figures |= {
            f"linear_probe_accuracy_{names[i]}_standard_error": of_share(probe.score, probe.examples)
            for i, probe in probes.items()
            if probe is not None
        }
    return {
        **figures,
        **_counts(splits),
    }


def _counts(splits: list[Coded]) -> dict[str, int]:
    train, validation, test = (len(part.codes) for part in splits)
    return {"training_codes": train, "validation_codes": validation, "test_codes": test}


def _mean(found: dict[int, float | None]) -> float:
    """Over the factors that vary."""
    known = [value for value in found.values() if value is not None]
    return sum(known) / len(known)
