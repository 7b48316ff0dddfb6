"""How far figures of so many examples may be from those of all there could be.

All are over independent examples, of a model, and of whatever was fitted to others, as they are. The error of a figure
that is no mean is that of random groups (Wolter 2007, chapter 2): the examples are parted into G groups, at random, and

    SE^2 = variance of the figure over the groups / G,     mean over several such partitions

Groups share no example, so that they are independent: this is without bias 1 / G of the variance of the figure of N / G
examples, which is the variance of that of N where the variance is as 1 / N. No example counts twice, which is why it
will do for nearest neighbours, where the bootstrap will not. An error from R partitions into G groups is itself
uncertain by about a share of 1 / sqrt(2 R (G - 1)). It is too large, by up to a half, for distances of distributions
that are equal, or nearly: their variance is as 1 / N^2. Where all groups agree, as on a share of 0 or 1, it is 0.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

PARTITIONS = 20  # into halves: the error of an error is then a sixth of it

Rows = Tensor  # of some examples, whole numbers, on the CPU
Figures = Mapping[str, float | None]


def of_mean(values: Tensor) -> float | None:
    """The standard error of the mean of independent values (N,); None of one alone, or where some are not finite."""
    return _finite(float(values.std() / math.sqrt(len(values)))) if len(values) > 1 else None


def of_share(share: float, n: int) -> float:
    """That of a share of n independent examples, such as an accuracy: sqrt(p (1 - p) / n)."""
    return math.sqrt(share * (1 - share) / n)


def of_ratio(values: Tensor, others: Tensor) -> float | None:
    """That of mean(values) / mean(others), (N,) and (M,), to first order; of the same N examples where N = M."""
    mean, ratio = others.mean(), values.mean() / others.mean()
    if len(values) == len(others):
        return of_mean((values - ratio * others) / mean)
    variance = values.var() / len(values) + ratio.square() * others.var() / len(others)
    return _finite(float(variance.sqrt() / mean.abs()))


def partitions(*sizes: int, groups: int = 2, times: int = PARTITIONS, seed: int = 0) -> Iterator[Sequence[Rows]]:
    """The rows of a set of so many examples in groups of equal size, but for one example; so many times, at random.

    Of several sets, one after the other, each is parted by itself: every group has its share of each.
    """
    generator = torch.Generator().manual_seed(seed)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    for _ in range(times):
        parts = [
            (start + torch.randperm(n, generator=generator)).tensor_split(groups)
            for start, n in zip(starts, sizes, strict=True)
        ]
        yield [torch.cat(group) for group in zip(*parts, strict=True)]


def of_groups(figures: Callable[[Rows], Figures], parted: Iterable[Sequence[Rows]]) -> dict[str, float | None]:
    """The standard errors of figures under their names. figures: those of some rows.

    None for a figure that some group does not have, or not a finite one.
    """
    squares: dict[str, list[float]] = {}
    for groups in parted:
        found = [figures(rows) for rows in groups]
        for name in found[0]:
            values = torch.tensor([math.nan if of[name] is None else of[name] for of in found], dtype=torch.float64)
            squares.setdefault(name, []).append(float(values.var()) / len(groups))
    return {name: _finite(math.sqrt(sum(of_name) / len(of_name))) for name, of_name in squares.items()}


def beside(figures: Figures, errors: Figures) -> dict[str, float | None]:
    """The figures, each followed by its standard error where there is one of its name."""
    found: dict[str, float | None] = {}
    for name, value in figures.items():
        found[name] = value
        if name in errors:
            found[f"{name}_standard_error"] = errors[name]
    return found


def _finite(error: float) -> float | None:
    return error if math.isfinite(error) else None
