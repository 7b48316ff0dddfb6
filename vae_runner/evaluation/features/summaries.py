"""Features of examples of different lengths: of a vector of numbers that sums each of them up.

Text is summed up by how many there are of each token, and of each two side by side. Other sequences are by means over
their steps: of each value, of the products of two values at one step, and of those at a step and at the one before. So
order tells where it is that of neighbours, and no further.
"""

import torch
from torch import Tensor

from vae_runner.data.space import Batch, Space
from vae_runner.data.tokens import END
from vae_runner.errors import UserError
from vae_runner.evaluation.features.networks import BLOCK, Components, Features, Network

PAIRS = 2048  # counts of pairs, at most: with more, pairs share them
PRODUCTS = 128  # values of a step, at most, of which all products are taken; with more, each with itself alone


def is_summed_up(space: Space) -> bool:
    return space.support == "categorical" or space.ragged


def to_its_end(batch: Batch, space: Space) -> Tensor:
    """x of a batch, of sequences (N, T, D) that differ in length with NaN beyond the end of each."""
    if not space.ragged or space.support == "categorical" or batch.mask is None:
        return batch.x
    return batch.x.masked_fill(batch.mask == 0, torch.nan)


def ended_alike(x: Tensor, others: Tensor) -> Tensor:
    """Sequences x (N, T, D), each to where the other one at its place, as `to_its_end` has it, ends."""
    return x.masked_fill(others.isnan(), torch.nan) if x.is_floating_point() else x


def summaries(x: Tensor, space: Space) -> Tensor:
    """Examples (N, *shape) -> (N, F)."""
    if tuple(x.shape[1:]) != space.shape:
        raise UserError(f"features: sequences of {tuple(x.shape[1:])}, and the features are of {space.shape}")
    return counts_of(x, space.categories) if space.categories else moments_of(x)


def counts_of(tokens: Tensor, categories: int) -> Tensor:
    """Tokens (N, T), whole numbers -> (N, F): how many there are of each, then of pairs of neighbours; one END counts.

    A pair counts in the place of its number, the rest of a division where these are too many.
    """
    tokens = tokens.long()
    pairs = min(categories**2, PAIRS)
    ended = (tokens == END).cumsum(1)
    present = (ended - (tokens == END).long() == 0).float()  # up to the first END, which counts
    neighbours = (tokens[:, :-1] * categories + tokens[:, 1:]) % pairs
    counts = torch.zeros(len(tokens), categories + pairs, device=tokens.device)
    counts.scatter_add_(1, tokens, present)
    counts.scatter_add_(1, categories + neighbours, present[:, 1:])
    return counts


def moments_of(x: Tensor) -> Tensor:
    """Sequences (N, T, D) with NaN from where they end -> (N, F): means over their steps, as said above."""
    there = (~x.isnan()).any(2, keepdim=True).float()
    x, steps = x.nan_to_num(0.0), there.sum(1)
    before, after, pairs = x[:, :-1], x[:, 1:], (steps - 1).clamp_min(1)
    if x.shape[2] > PRODUCTS:
        within, across = x.square().sum(1), (before * after).sum(1)
    else:
        rows, columns = torch.triu_indices(x.shape[2], x.shape[2], device=x.device)
        within, across = (x.mT @ x)[:, rows, columns], (before.mT @ after).flatten(1)
    return torch.cat([x.sum(1) / steps.clamp_min(1), within / steps.clamp_min(1), across / pairs], 1)


class Summaries(Features):
    """The `inner` features of the summaries of examples of that space."""

    def __init__(self, space: Space, inner: Network | Components) -> None:
        super().__init__()
        self.space, self.inner = space, inner
        self.dimensions, self.accuracy = inner.dimensions, inner.accuracy
        said = "counts of tokens and of neighbours" if space.categories else "moments of steps and of neighbours"
        self.name = f"{inner.name}, as {said}"

    def hidden(self, x: Tensor) -> Tensor:
        return self.inner.hidden(summaries(x, self.space))

    def probabilities(self, x: Tensor) -> Tensor | None:
        known = (self.inner.probabilities(summaries(part, self.space)) for part in x.split(BLOCK))
        parts = [part for part in known if part is not None]
        return torch.cat(parts) if parts else None
