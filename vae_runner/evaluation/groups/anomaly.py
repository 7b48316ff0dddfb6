"""Whether examples of the classes that training was not shown stand out: anomaly detection.

Four scores, each the higher the less an example is like those of training; z from q(z|x), means over draws:

    negative_elbo             KL(q(z|x) || p(z)) - E_q log p(x|z)
    negative_log_likelihood   -log p(x), importance-weighted with as many draws
    distortion                -E_q log p(x|z): the reconstruction probability of An and Cho 2015, with its sign turned
    reconstruction_error      mean squared error, or share of wrong tokens, at the mean of q(z|x), without draws
"""

import math
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.data.splits import mixed
from vae_runner.evaluation.detection import auc, average_precision
from vae_runner.evaluation.groups.subject import Inapplicable, Subject, said
from vae_runner.evaluation.likelihood import draws_at_once
from vae_runner.evaluation.reconstructions import reconstruct

DRAWS = 50  # of z for each example, where their number is not given


def anomaly(subject: Subject) -> dict[str, Any]:
    """The area under the ROC curve and the average precision of each score, with their standard errors."""
    left_out = subject.data.left_out
    if not left_out:
        raise Inapplicable("training left no class out; data.leave_out=[CLASS] trains a run that does")
    condition = subject.model.condition
    if condition is not None and "one_hot" in condition.provides and "inferred" not in condition.provides:
        raise Inapplicable("the model is told the class, which is what would be found out")
    draws = subject.settings.weights or DRAWS
    found, labels = [], []
    with subject.preserved():
        for batch in subject.batches():
            assert batch.y is not None
            found.append(_scores(subject.model, batch, draws))
            labels.append(batch.y.cpu())
    y = torch.cat(labels)
    told = y >= 0
    positive = torch.isin(y, torch.tensor(left_out))[told]
    if not bool(positive.any()):
        raise Inapplicable(f"none of these examples is of a class that was left out; {_elsewhere(subject)}")
    scores = {name: torch.cat([part[name] for part in found])[told] for name in found[0]}
    names = subject.space.class_names or [str(label) for label in range(subject.space.classes or 0)]
    return {
        **said(lambda: _told_apart(scores, positive)),
        "left_out": ", ".join(names[label] for label in left_out),
        "anomalies": int(positive.sum()),
        "examples": len(positive),
        "draws": draws,
    }


def _elsewhere(subject: Subject) -> str:
    """Where such examples are: in the test split alone."""
    if subject.split is not subject.data.test:
        return "those are in split=test"
    y = subject.split.targets(mixed(len(subject.split)).to(subject.device))
    assert y is not None
    found = torch.isin(y.cpu(), torch.tensor(subject.data.left_out)).nonzero()
    # two are the fewest that an area is taken of
    return f"for two of them, type limit={int(found[1]) + 1} or more" if len(found) > 1 else "there are no two of them"


def _told_apart(scores: dict[str, Tensor], positive: Tensor) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, values in scores.items():
        for figure, area in (
            ("auc", auc(values, positive)),
            ("average_precision", average_precision(values, positive)),
        ):
            figures |= {f"{figure}_{name}": area.value, f"{figure}_{name}_standard_error": area.standard_error}
    return figures


def _scores(model: Any, batch: Batch, draws: int) -> dict[str, Tensor]:
    """Each score of a batch, (B,), in double precision, on the CPU; a code without noise has no density."""
    log_px = kl = torch.zeros(len(batch), dtype=torch.float64)
    log_w = torch.full((len(batch),), -math.inf, dtype=torch.float64)
    has_density, left, part = True, draws, draws_at_once(batch)
    while left:
        drawn = min(part, left)
        evidence = model(batch, drawn)
        log_px = log_px + evidence.log_px.double().cpu().sum(0)
        has_density = evidence.has_density
        if has_density:
            kl = kl + evidence.kl.double().cpu() * drawn
            log_w = torch.logaddexp(log_w, evidence.log_w.double().cpu().logsumexp(0))
        left -= drawn
    distortion = -log_px / draws
    densities = {"negative_elbo": kl / draws + distortion, "negative_log_likelihood": math.log(draws) - log_w}
    return {
        **(densities if has_density else {}),
        "distortion": distortion,
        "reconstruction_error": reconstruct(model, batch).squared_error.double().cpu(),
    }
