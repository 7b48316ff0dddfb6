"""How samples compare with held-out examples, in features of a network trained on the data, or of one that is given.

Samples are what is shown of them: means of p(x|z), of notes and of text draws. Conditions are those of the examples
that they are held against, and so is the length of notes and of series, of which a sample has none of its own.
Standard errors are over samples and examples both, of random halves in which a sample stays beside the example whose
condition it has. Those of shares of samples alone are binomial.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from vae_runner.evaluation.coverage import class_coverage
from vae_runner.evaluation.features import ended_alike, to_its_end
from vae_runner.evaluation.frechet import frechet_distance
from vae_runner.evaluation.groups.subject import Inapplicable, Neighbours, Subject, said
from vae_runner.evaluation.kernel_mmd import kernel_distance
from vae_runner.evaluation.nearest import copying, nearest
from vae_runner.evaluation.precision_recall import precision_recall
from vae_runner.evaluation.sampling import sample_blocks, shown_as
from vae_runner.evaluation.sharpness import sharpness_ratio
from vae_runner.evaluation.standard_errors import Figures, Rows, beside, of_groups, of_share, partitions

TRAINING = 100_000  # training examples among which copies are looked for, at most
SHOWN, NEAREST = 5, 5  # samples that are nearest to a training example, and others, with how many of these for each
QUANTILE = 0.01  # of distances from held-out examples to training examples, below which a sample counts as a copy


def samples(subject: Subject) -> dict[str, Any]:
    return said(lambda: _compared(subject))


def _compared(subject: Subject) -> dict[str, Any]:
    examples = []
    for batch in subject.batches(most=subject.settings.samples):
        if batch.missing is not None and bool(batch.missing.any()):
            raise Inapplicable("values are missing from the examples and not from samples, which would tell them apart")
        examples.append((to_its_end(batch, subject.space).cpu(), batch.c))
    data = torch.cat([x for x, _ in examples])
    settings = subject.settings
    if len(data) <= settings.neighbours:
        needed = f"{settings.neighbours + 1} are needed for neighbours={settings.neighbours}, by limit=, generated="
        raise Inapplicable(f"{len(data)} examples are too few to compare: {needed}")
    conditions = None if examples[0][1] is None else torch.cat([c for _, c in examples if c is not None])
    with subject.preserved():
        blocks = sample_blocks(subject.model, len(data), conditions, draw=shown_as(subject.space))
        drawn = ended_alike(torch.cat([x for _, x in blocks]), data)
    features = subject.features
    of_samples, of_data = features.features(drawn).cpu(), features.features(data).cpu()
    of_train = _of_training(subject)
    subject.neighbours = _neighbours(subject, drawn, of_samples, of_train, of_data)
    kernel = kernel_distance(of_data, of_samples, blocks=min(10, max(len(data) // 100, 1)), seed=subject.seed)

    def distances(rows: Rows) -> Figures:
        found = precision_recall(of_data[rows], of_samples[rows], k=settings.neighbours)
        return {"frechet_distance": frechet_distance(of_data[rows], of_samples[rows]), **asdict(found)}

    return {
        **_with_errors(distances, subject, len(data), least=settings.neighbours + 1),
        "frechet_distance_of_training": _least_distance(of_train, of_data),
        "kernel_distance": kernel.mean,
        "kernel_distance_standard_error": kernel.standard_error,
        **_classes(subject, drawn, data),
        **_sharpness(subject, drawn, data),
        **_copies(of_samples, of_train, of_data),
        "features": features.name,
        "features_accuracy": features.accuracy,
        "feature_steps": None if features.accuracy is None else settings.feature_steps,
        "samples": len(drawn),
        "neighbours": settings.neighbours,
    }


def _with_errors(figures: Callable[[Rows], Figures], subject: Subject, n: int, least: int = 2) -> dict[str, Any]:
    """The figures of all n, with their standard errors; None where a half has fewer than the `least`."""
    found = figures(torch.arange(n))
    possible = n // 2 >= least
    errors = of_groups(figures, partitions(n, seed=subject.seed)) if possible else dict.fromkeys(found)
    return beside(found, errors)


def _sharpness(subject: Subject, drawn: Tensor, data: Tensor) -> dict[str, Any]:
    if not subject.space.image:
        return {}
    found = sharpness_ratio(drawn, data)
    ratio, error = (None, None) if found is None else (found.ratio, found.standard_error)
    return {"sharpness_ratio": ratio, "sharpness_ratio_standard_error": error}


def _of_training(subject: Subject) -> Tensor | None:
    """Features of training examples, (N, D); None where these are what samples are held against."""
    if subject.split is subject.data.train:
        return None
    batches = subject.batches(subject.data.train, TRAINING)
    return torch.cat([subject.features.features(to_its_end(batch, subject.space)).cpu() for batch in batches])


def _least_distance(of_train: Tensor | None, of_data: Tensor) -> float | None:
    """What the distance would be of samples as good as training examples: not 0, for it leans upwards with few.

    None where there are fewer of these, of which it would be larger.
    """
    if of_train is None or len(of_train) < len(of_data):
        return None
    return frechet_distance(of_data, of_train[: len(of_data)])


def _neighbours(
    subject: Subject, drawn: Tensor, of_samples: Tensor, of_train: Tensor | None, of_data: Tensor
) -> Neighbours | None:
    """Of the samples that are nearest to a training example, by features of all."""
    if of_train is None:
        return None
    found = nearest(of_samples, of_train, k=min(NEAREST, len(of_train)))
    order = found.distances[:, 0].argsort(stable=True)
    chosen = torch.cat([order[:SHOWN], order[SHOWN:].sort().values[:SHOWN]])  # the others as they were drawn
    train = subject.data.train
    places = torch.cat(subject.indices(train, TRAINING)).cpu()[found.indices[chosen]]
    batch = subject.data.batch(train, places.flatten().to(subject.device))
    examples = to_its_end(batch, subject.space).cpu().unflatten(0, places.shape)
    of_held_out = float(nearest(of_data, of_train).distances.median())
    return Neighbours(drawn[chosen], examples, found.distances[chosen, 0], of_held_out)


def _copies(of_samples: Tensor, of_train: Tensor | None, of_data: Tensor) -> dict[str, Any]:
    """How many samples lie near a training example, beside held-out examples, from features of both."""
    if of_train is None:
        why = "these are the training examples: none are held out to tell copies by"
        return {"copies_share": None, "copies_share_of_held_out": None, "copies_not_taken": why}
    quantile = max(QUANTILE, 1 / len(of_data))
    copies = copying(of_samples, of_train, of_data, quantile=quantile)
    return {
        "copies_share": copies.share,
        "copies_share_standard_error": copies.standard_error,
        "copies_share_of_held_out": copies.heldout_share,
        "copies_quantile": quantile,
        "copies_looked_for_in": len(of_train),
    }


def _classes(subject: Subject, drawn: Tensor, data: Tensor) -> dict[str, Any]:
    """Whether samples are of all classes, where the features know them."""
    probabilities, expected = (subject.features.probabilities(x) for x in (drawn, data))
    if probabilities is None or expected is None:
        return {}
    of_samples, of_data, classes = probabilities.cpu(), expected.cpu().argmax(1), expected.shape[1]
    found = class_coverage(of_samples, of_data.bincount(minlength=classes))

    def kl(rows: Rows) -> Figures:
        return {"classes_kl": class_coverage(of_samples[rows], of_data[rows].bincount(minlength=classes)).kl}

    return {
        "classes_present": found.present,
        "classes": found.classes,
        **_with_errors(kl, subject, len(drawn)),
        "confident_share": found.confident,
        "confident_share_standard_error": of_share(found.confident, len(drawn)),
        "class_shares": found.shares.tolist(),
    }
