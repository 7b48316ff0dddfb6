"""Factors and codes of which every score is known."""

import itertools

import numpy as np


def grid(*values, copies=1):
    """Every combination of factors of so many values, equally often, in random order: exactly independent factors."""
    rows = np.array(list(itertools.product(*map(range, values))) * copies)
    return np.random.default_rng(0).permutation(rows)


def noise(examples, units, seed=1):
    return np.random.default_rng(seed).normal(size=(examples, units))


def mixed(factors, units=4, seed=2):
    """Factors seen through a random matrix and noise: no score of it is at an end of its range."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(factors.shape[1], units))
    return factors @ mixing + 0.5 * generator.normal(size=(len(factors), units))


def changed(codes):
    """The codes with their units in another order, and half of them with the other sign."""
    return codes[:, ::-1] * np.resize([-1, 1], codes.shape[1])
