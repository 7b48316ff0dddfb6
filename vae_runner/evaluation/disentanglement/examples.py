"""What every score is computed from: N examples with codes z (N, D) and factors v (N, F), checked and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vae_runner.errors import UserError
from vae_runner.settings import Range

LARGEST = 2**53  # whole numbers up to here are exact in double precision
FINITE = 1e30  # codes from here on would overflow in single precision, or in double when squared
QUANTILES = "numpy.digitize(values, numpy.quantile(values, [0.2, 0.4, 0.6, 0.8]))"


@dataclass(frozen=True)
class Examples:
    """codes: (N, D) float64. factors: (N, F) int64, those which vary. columns: (F,), where the caller has them."""

    codes: NDArray[np.float64]
    factors: NDArray[np.int64]
    columns: NDArray[np.int64]

    def take(self, rows: NDArray[Any]) -> Examples:
        """The examples of these rows, with the same factors."""
        return Examples(self.codes[rows], self.factors[rows], self.columns)


def examples_of(codes: ArrayLike, factors: ArrayLike) -> Examples:
    """Codes (N, D) of finite numbers and factors (N, F) of whole numbers, less the factors with a single value.

    Real-valued factors are refused and not cut into classes: how many, and where, is the caller's to decide and to
    report. A factor with more values than half the examples is taken for real-valued too.
    """
    z, v = table("codes", codes), table("factors", factors)
    if len(z) != len(v):
        raise UserError(f"codes of {len(z)} examples and factors of {len(v)}: must be of the same examples")
    if not z.shape[1]:
        raise UserError(f"codes of shape {z.shape}: must have a unit")
    whole = np.isfinite(v) & (v == np.round(v)) & (np.abs(v) <= LARGEST)
    for column in np.flatnonzero(~whole.all(0)):
        wrong = v[~whole[:, column], column][0]
        raise UserError(f"factor {column} has the value {wrong:g}: must be whole numbers; cut it with {QUANTILES}")
    values = np.array([len(np.unique(column)) for column in v.T], dtype=np.int64)
    columns = np.flatnonzero(values > 1)
    for column in columns[values[columns] > len(v) / 2]:
        raise UserError(
            f"factor {column} has {values[column]} values in {len(v)} examples: must be two examples a value or more; "
            f"cut it with {QUANTILES}"
        )
    if not len(columns):
        raise UserError(f"factors of shape {v.shape}: none has two values")
    return Examples(z, v[:, columns].astype(np.int64), columns)


def table(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """The values as a table of doubles, of which codes must be finite."""
    try:
        numbers = np.asarray(values).astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{name}: must be numbers in an array, or in a detached tensor on the CPU ({error})") from error
    if numbers.ndim != 2:
        raise UserError(f"{name} of shape {numbers.shape}: must be (examples, columns); flatten each example")
    finite = np.abs(numbers) < FINITE
    if name == "codes" and not finite.all():
        row, unit = np.argwhere(~finite)[0]
        raise UserError(
            f"codes: unit {unit} is {numbers[row, unit]:g} at example {row}; must be finite, below {FINITE:g}"
        )
    return numbers


def split(examples: Examples, held_out: float, generator: np.random.Generator) -> tuple[Examples, Examples]:
    """The examples to fit on and those to score on, a random share `held_out`.

    Every factor has two values or more that are met in both: fewer could not be told apart, or not be scored.
    """
    require("held_out", held_out, Range(0, 1, open_low=True, open_high=True))
    n = len(examples.codes)
    rows = generator.permutation(n)
    scored_on = int(np.clip(round(held_out * n), 1, n - 1))
    fitted, scored = examples.take(rows[scored_on:]), examples.take(rows[:scored_on])
    for known, answers, column in zip(fitted.factors.T, scored.factors.T, examples.columns, strict=True):
        if len(np.intersect1d(known, answers)) < 2:
            raise UserError(
                f"factor {column} has fewer than two values met both in the {len(known)} examples to fit on and in the "
                f"{len(answers)} held out: give more examples, or leave out the factor"
            )
    return fitted, scored


def with_silent_unit(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The codes; of one unit alone with a constant one beside it, so that a gap to the second best is defined."""
    return codes if codes.shape[1] > 1 else np.column_stack([codes, np.zeros(len(codes))])


def generator_of(seed: int) -> np.random.Generator:
    """The source of all that is random in a score."""
    require("seed", seed, Range(0))
    return np.random.default_rng(seed)


def state_of(generator: np.random.Generator) -> int:
    """A `random_state` for scikit-learn, which takes 32 bits."""
    return int(generator.integers(2**31))


def require(name: str, value: float, allowed: Range) -> None:
    """Refuses a setting outside its range."""
    if value not in allowed:
        raise UserError(f"{name}={value}: must be {allowed}")


def require_one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuses a setting that is none of its choices."""
    if value not in allowed:
        raise UserError(f"{name}={value}: must be one of {', '.join(allowed)}")
