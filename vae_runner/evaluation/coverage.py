"""Which classes, or modes, samples cover, as a classifier sees them (as in Srivastava et al. 2017, VEEGAN).

Each sample counts for its most probable class. With s_c the shares of the samples and d_c those of the data:

    KL(s || d) = sum_c s_c log(s_c / d_c)     in nats: 0 for equal shares, log C for one of C equal classes alone

For N samples of the data's own distribution it is not 0 but about (C - 1) / (2 N). Take d from the same classifier on
held-out data (`class_shares`) rather than from labels, so that its mistakes are on both sides.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, vectors


@dataclass
class Coverage:
    """shares: of the samples in each class, (C,), in double precision, on the CPU.

    present: classes whose share is at least the stated part of the data's. classes: that the data has.
    kl: of the shares from the data's, in nats; infinite where samples lie in a class that the data lacks.
    confident: share of samples whose class has a probability above the stated one.
    """

    shares: Tensor
    present: int
    classes: int
    kl: float
    confident: float


def class_shares(probabilities: Tensor) -> Tensor:
    """The share of examples whose most probable class is c, (C,), from their probabilities (N, C), N >= 1."""
    probabilities = vectors(probabilities, "class probabilities")
    if float(probabilities.min()) < 0 or float(probabilities.max()) > 1 + 1e-4:
        raise UserError("class probabilities: they lie in [0, 1]")
    counts = probabilities.argmax(1).bincount(minlength=probabilities.shape[1])
    return exact(counts) / len(probabilities)


def class_coverage(probabilities: Tensor, data: Tensor, *, least: float = 0.1, confidence: float = 0.9) -> Coverage:
    """The classes of samples, from their class probabilities (N, C).

    data: shares or counts of the classes in the data, (C,). least: the part of the data's share from which on a class
    counts as present. confidence: the probability above which a sample counts as confident.
    """
    shares = class_shares(probabilities).cpu()
    expected = exact(data).cpu()
    if expected.shape != shares.shape:
        raise UserError(f"probabilities of {len(shares)} classes and shares of shape {tuple(data.shape)} do not fit")
    if not bool(expected.isfinite().all()) or bool((expected < 0).any()) or float(expected.sum()) <= 0:
        raise UserError("shares of the data: none may be negative or NaN, and one must be above 0")
    expected = expected / expected.sum()
    exists = expected > 0
    return Coverage(
        shares=shares,
        # against rounding: a share that is exactly the least counts
        present=int((exists & (shares > 0) & (shares >= least * expected * (1 - 1e-9))).sum()),
        classes=int(exists.sum()),
        kl=math.inf if bool((shares[~exists] > 0).any()) else _kl(shares[exists], expected[exists]),
        confident=float((probabilities.max(1).values > confidence).double().mean()),
    )


def _kl(shares: Tensor, expected: Tensor) -> float:
    return max(float((torch.xlogy(shares, shares) - torch.xlogy(shares, expected)).sum()), 0.0)
