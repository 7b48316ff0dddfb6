"""What is evaluated: a model, its data, and how many of which examples."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.data import Data
from vae_runner.data.space import Batch, Space
from vae_runner.data.splits import Split, mixed
from vae_runner.errors import UserError
from vae_runner.evaluation.blocks import blocks
from vae_runner.evaluation.evaluate import Preserved
from vae_runner.evaluation.features import Features
from vae_runner.reporting.progress import watched


class Inapplicable(Exception):
    """Why a group of figures has nothing to say of this model or this data."""


@dataclass(frozen=True)
class Settings:
    """weights: K of the importance-weighted likelihood, None for as many as take about a minute, 5,000 at most, or as
    did when the same was evaluated before: affordable.

    temperatures: of annealed importance sampling, 0 for none, on `annealed_examples` with `chains` each.
    samples: drawn from the model, and as many examples they are held against, at most, by `neighbours` of each.
    feature_steps: that the features they are compared in were trained for. codes: of examples whose aggregate posterior
    is taken apart. probes: training codes that readers of codes are fitted to, at most. scored: codes that are held
    against factors, at most, in `bins`.
    """

    weights: int | None = None
    affordable: int | None = None
    temperatures: int = 0
    annealed_examples: int = 100
    chains: int = 16
    samples: int = 2000
    neighbours: int = 5
    feature_steps: int = 500
    codes: int = 2000
    probes: int = 5000
    scored: int = 10_000
    bins: int = 20


@dataclass
class Neighbours:
    """Samples (n, *shape), and of each the training examples (n, k, *shape) whose features are nearest to its own.

    distances: to the nearest, (n,). of_held_out: the median of those of held-out examples.
    """

    samples: Tensor
    nearest: Tensor
    distances: Tensor
    of_held_out: float


@dataclass
class Subject:
    """split: the examples that figures are of; limit: how many of them, the first, None for all.

    make_features: gives the features that samples are compared in, when they are first needed. neighbours: of the
    samples that may be copies, once samples were compared.
    """

    model: Any
    data: Data
    split: Split
    device: torch.device
    make_features: Callable[[], Features]
    limit: int | None = None
    seed: int = 0
    settings: Settings = field(default_factory=Settings)
    neighbours: Neighbours | None = None

    @property
    def space(self) -> Space:
        return self.model.space

    @functools.cached_property
    def features(self) -> Features:
        return self.make_features()

    def preserved(self) -> Preserved:
        """A block of code in which the model is evaluated and all that is drawn comes from the seed."""
        return Preserved(self.model, self.device, self.seed)

    def batches(self, split: Split | None = None, most: int | None = None) -> Iterator[Batch]:
        """The examples of a split, by default the one that is evaluated: at most `most`, block by block, as `blocks`.

        Binarised examples come out the same for every model.
        """
        chosen = self.split if split is None else split
        generator = torch.Generator(self.device).manual_seed(self.seed)
        indices = self.indices(split, most)
        return watched(self.data.batches(chosen, indices, generator), len(indices))

    def indices(self, split: Split | None = None, most: int | None = None) -> list[Tensor]:
        """Which examples these are, block by block."""
        chosen = self.split if split is None else split
        limits = [limit for limit in (most, self.limit if split is None else None) if limit is not None]
        return [block.indices for block in blocks(chosen, self.device, min(limits, default=None))]

    def codes(self, split: Split | None = None, most: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Codes (N, D), means of q(z|x) of all levels side by side, and the labels of their examples, on the CPU."""
        codes, labels = [], []
        with self.preserved():
            for batch in self.batches(split, most):
                codes.append(torch.cat([z.flatten(1) for z in self.model.encode(batch)], 1).float().cpu())
                if batch.y is not None:
                    labels.append(batch.y.cpu())
        return torch.cat(codes), torch.cat(labels) if labels else None

    def coded(self, probes: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Codes and labels of train, validation and test examples whose label is told, for readers of codes.

        Of train and validation there are `probes` at most, of test as many as are evaluated. Raises Inapplicable where
        one of these splits has no examples, or examples no labels.
        """
        for name, most in (("train", probes), ("validation", probes), ("test", self.limit)):
            split = getattr(self.data, name)
            if not len(split):
                raise Inapplicable(f"there are no {name} examples")
            y = split.targets(torch.arange(len(split), device=self.device))
            if y is None:
                raise Inapplicable("the data has no labels")
            if y.dim() == 1 and bool((y < 0).any()):
                told = (y >= 0).nonzero()[:, 0]
                if not len(told):
                    raise Inapplicable(f"the labels of all {name} examples are hidden")
                split = split.subset(told[mixed(len(told))[:most].to(told.device)])
            codes, labels = self.codes(split, most)
            assert labels is not None
            yield codes, labels


def said(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` returns; what data does not allow becomes the reason for no figures."""
    try:
        return make()
    except UserError as error:
        raise Inapplicable(str(error)) from error
