"""Whether a standard error is the spread of its figure over data sets that are drawn anew."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from vae_runner.evaluation.standard_errors import of_groups, partitions


def against_spread(draw: Callable[[int], Any], figures: Callable[[Any], tuple[float, float]], sets: int) -> float:
    """The root mean square of the errors over the spread of the values of data sets `draw(seed)`: 1 where honest."""
    values, errors = np.array([figures(draw(seed)) for seed in range(sets)]).T
    return float(np.sqrt(np.square(errors).mean()) / values.std(ddof=1))


def groups_against_spread(
    draw: Callable[[int], tuple[Any, ...]],
    figures: Callable[..., Mapping[str, float | None]],
    sets: int,
    with_errors: int,
    **parted: int,
) -> dict[str, float]:
    """The same of several figures, whose errors are those of groups; taken of the first `with_errors` of the sets.

    A set is some arrays, with the same examples as rows.
    """
    values: dict[str, list[float]] = {}
    squares: dict[str, list[float]] = {}
    for seed in range(sets):
        arrays = draw(seed)
        for name, value in figures(*arrays).items():
            assert value is not None
            values.setdefault(name, []).append(value)
        if seed < with_errors:
            n = len(arrays[0])
            errors = of_groups(lambda rows, of=arrays: figures(*(x[rows] for x in of)), partitions(n, **parted))
            for name, error in errors.items():
                assert error is not None
                squares.setdefault(name, []).append(error**2)
    return {name: float(np.sqrt(np.mean(squares[name])) / np.std(values[name], ddof=1)) for name in values}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
