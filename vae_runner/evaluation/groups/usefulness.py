"""What simple readers make of the codes: fitted on train, chosen on validation, reported on test."""

from typing import Any

import torch
from torch import Tensor

from vae_runner.evaluation.groups.subject import Inapplicable, Subject, said
from vae_runner.evaluation.probes import STRENGTHS, Coded, clusters, knn_probe, linear_probe, ridge_probe
from vae_runner.evaluation.standard_errors import beside, of_mean, of_share


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
    of_clusters = {
        "adjusted_rand": found.adjusted_rand,
        "normalised_information": found.normalised_information,
        "silhouette": found.silhouette,
    }
    return {
        "linear_probe_accuracy": linear.score,
        "linear_probe_accuracy_standard_error": of_share(linear.score, linear.examples),
        "linear_probe_strength": linear.chosen,
        "knn_accuracy": near.score,
        "knn_accuracy_standard_error": of_share(near.score, near.examples),
        "knn_neighbours": int(near.chosen),
        "chance": linear.chance,
        **{f"clusters_{name}": value for name, value in beside(of_clusters, found.standard_errors).items()},
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
        terms = {i: ridge.terms[:, place] for place, i in enumerate(ordered) if found[i] is not None}
        figures |= _by_factor("ridge_r2", names, found, terms)
        figures["ridge_strength"] = ridge.chosen
    if varying.intersection(categorical):
        probes = {
            i: linear_probe(*(Coded(codes, factors[:, i]) for codes, factors in splits)) if i in varying else None
            for i in categorical
        }
        found, chances = ({i: getattr(probe, of, None) for i, probe in probes.items()} for of in ("score", "chance"))
        right = {i: probe.terms for i, probe in probes.items() if probe is not None}
        figures |= _by_factor("linear_probe_accuracy", names, found, right)
        figures |= {"chance": _mean(chances), **{f"chance_{names[i]}": chance for i, chance in chances.items()}}
    return {
        **figures,
        **_counts(splits),
    }


def _counts(splits: list[Coded]) -> dict[str, int]:
    train, validation, test = (len(part.codes) for part in splits)
    return {"training_codes": train, "validation_codes": validation, "test_codes": test}


def _by_factor(
    name: str, names: list[str], found: dict[int, float | None], terms: dict[int, Tensor]
) -> dict[str, float | None]:
    """The mean of a score over factors and that of each, with standard errors from the terms (N,) of the test codes.

    All are of the same codes, so that the error of the mean is that of the mean of the terms.
    """
    figures = {name: _mean(found), **{f"{name}_{names[i]}": score for i, score in found.items()}}
    errors = {name: of_mean(torch.stack([*terms.values()]).mean(0))}
    return beside(figures, errors | {f"{name}_{names[i]}": of_mean(of_factor) for i, of_factor in terms.items()})


def _mean(found: dict[int, float | None]) -> float:
    """Over the factors that vary."""
    known = [value for value in found.values() if value is not None]
    return sum(known) / len(known)
