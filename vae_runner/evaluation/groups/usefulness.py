"""What simple readers make of the codes: fitted on train, chosen on validation, reported on test."""

from typing import Any

from vae_runner.evaluation.groups.subject import Inapplicable, Subject, said
from vae_runner.evaluation.probes import Coded, clusters, knn_probe, linear_probe, ridge_probe


def usefulness(subject: Subject) -> dict[str, Any]:
    """Accuracies of classes, or R^2 of factors."""
    splits = [Coded(*part) for part in subject.coded(subject.settings.probes)]
    if subject.space.factors:
        return said(lambda: _of_factors(subject, splits))
    if not subject.space.classes:
        raise Inapplicable("the data has no labels")
    return said(lambda: _of_classes(subject, splits))


def _of_classes(subject: Subject, splits: list[Coded]) -> dict[str, Any]:
    linear, near = linear_probe(*splits), knn_probe(*splits)
    found = clusters(*splits, seed=subject.seed)
    return {
        "linear_probe_accuracy": linear.score,
        "linear_probe_strength": linear.chosen,
        "knn_accuracy": near.score,
        "knn_neighbours": int(near.chosen),
        "chance": linear.chance,
        "clusters_adjusted_rand": found.adjusted_rand,
        "clusters_normalised_information": found.normalised_information,
        "clusters_silhouette": found.silhouette,
        **_counts(splits),
    }


def _of_factors(subject: Subject, splits: list[Coded]) -> dict[str, Any]:
    ridge = ridge_probe(*(Coded(codes, factors.float()) for codes, factors in splits))
    names = subject.data.factor_names or [str(i) for i in range(len(ridge.by_target))]
    return {
        "ridge_r2": ridge.score,
        **{f"ridge_r2_{name}": score for name, score in zip(names, ridge.by_target, strict=True)},
        "ridge_strength": ridge.chosen,
        **_counts(splits),
    }


def _counts(splits: list[Coded]) -> dict[str, int]:
    train, validation, test = (len(part.codes) for part in splits)
    return {"training_codes": train, "validation_codes": validation, "test_codes": test}
