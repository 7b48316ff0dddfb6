"""Features of text: of how often each token is in it, and each two side by side, whatever their order otherwise."""

import torch
from torch import Tensor

from vae_runner.data.tokens import END
from vae_runner.errors import UserError
from vae_runner.evaluation.features.networks import BLOCK, Components, Features, Network

PAIRS = 2048  # counts of pairs, at most: with more, pairs share them


def width(categories: int) -> int:
    """How many counts there are of texts in that many tokens."""
    return categories + min(categories**2, PAIRS)


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


class TokenCounts(Features):
    """The `inner` features of the counts of texts (N, T) in `categories` tokens."""

    def __init__(self, shape: tuple[int, ...], categories: int, inner: Network | Components) -> None:
        super().__init__()
        self.shape, self.categories, self.inner = tuple(shape), categories, inner
        self.dimensions, self.accuracy = inner.dimensions, inner.accuracy
        self.name = f"{inner.name}, as counts of tokens and of neighbours"

    def hidden(self, x: Tensor) -> Tensor:
        return self.inner.hidden(self._counts(x))

    def probabilities(self, x: Tensor) -> Tensor | None:
        counts = (self.inner.probabilities(self._counts(part)) for part in x.split(BLOCK))
        parts = [part for part in counts if part is not None]
        return torch.cat(parts) if parts else None

    def _counts(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape:
            raise UserError(f"features: texts of {tuple(x.shape[1:])} tokens, and the features are of {self.shape}")
        return counts_of(x, self.categories)
