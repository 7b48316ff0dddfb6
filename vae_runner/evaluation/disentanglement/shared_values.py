"""Draws, from a fixed set of examples, of examples that share the value of one factor.

The papers call a generator for new examples with one factor fixed and all others free. Here they are drawn from the set
among those which share a value, so the others vary as they do in the set: where factors go together in it, fixing one
fixes part of another. The value fixed is as frequent as in the set, but values of one example alone are never fixed.
"""

import numpy as np
from numpy.typing import NDArray

from vae_runner.errors import UserError

Rows = NDArray[np.int64]
AT_A_TIME = 256  # mini-batches whose codes are in memory at once


class SharedValues:
    """The rows of some examples in order of their value of one factor, whose column is named in errors."""

    def __init__(self, values: NDArray[np.int64], column: int) -> None:
        self.order = np.argsort(values, kind="stable")
        _, first, count = np.unique(values[self.order], return_index=True, return_counts=True)
        self.first, self.count = np.repeat(first, count), np.repeat(count, count)
        self.shared = np.flatnonzero(self.count > 1)
        if not len(self.shared):
            raise UserError(
                f"factor {column}: no two of {len(values)} examples share a value; give more examples, "
                "or leave out the factor"
            )

    def batches(self, generator: np.random.Generator, batches: int, batch: int) -> Rows:
        """Rows (batches, batch), one value a mini-batch, drawn with replacement."""
        place = generator.choice(self.shared, (batches, 1))
        return self.order[self.first[place] + generator.integers(self.count[place], size=(batches, batch))]

    def pairs(self, generator: np.random.Generator, batches: int, batch: int) -> tuple[Rows, Rows]:
        """Rows (batches, batch) and their partners: another example of the same value, which varies between pairs."""
        place = generator.choice(self.shared, (batches, batch))
        first, count = self.first[place], self.count[place]
        partner = first + (place - first + generator.integers(1, count)) % count
        return self.order[place], self.order[partner]


def turns(batches: int, factors: int) -> list[int]:
    """How many mini-batches each factor is fixed in: the factors take turns."""
    return [len(range(k, batches, factors)) for k in range(factors)]
