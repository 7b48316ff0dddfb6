"""A class that is known of some examples and inferred for the others, around any conditional model: M2.

    known:   log p(x, y) >= L(x, y) + log p(y)
    hidden:  log p(x)    >= sum_y q(y|x) [L(x, y) + log p(y) - log q(y|x)]

Kingma et al. 2014, equations 6 and 7; L(x, y) is the bound of the wrapped model with the condition y, p(y) is uniform.
The sum over y is exact: the wrapped model sees each example once as each class. The loss has -log q(y|x) besides, for
the known classes (equation 9), which is no part of the bound.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_runner import noise, parts
from vae_runner.data.data import Data
from vae_runner.data.space import Batch
from vae_runner.errors import UserError
from vae_runner.models.evidence import Evidence, Level
from vae_runner.models.heads import head
from vae_runner.models.vae import repeated

BLOCK = 1000  # examples read at a time


class ClassLevel(Level):
    """The latents of one level for the likeliest class of each example, with the KL expected over all classes.

    every: of K*B examples, one class after the other. weights: what each class counts for, (K, B).
    class_kl: KL(q(y|x) || p(y)) (B,), at the top, whose unit beside those of z is the class.
    """

    def __init__(self, likeliest: Callable[[], Level], every: Level, weights: Tensor, class_kl: Tensor | None) -> None:
        self.likeliest, self.every, self.weights, self.class_kl = likeliest, every, weights, class_kl

    def __getattr__(self, name: str) -> Any:
        """z, q and p, which take a pass of their own that few objectives need."""
        return getattr(self.likeliest(), name)

    @property
    def has_density(self) -> bool:
        return self.every.has_density

    @property
    def kl_is_estimate(self) -> bool:
        return self.every.kl_is_estimate

    @cached_property
    def kl_units(self) -> Tensor:
        units = (self.weights.unsqueeze(2) * self.every.kl_units.unflatten(0, self.weights.shape)).sum(0)
        return units if self.class_kl is None else torch.cat([units, self.class_kl[:, None]], 1)


class ClassEvidence(Evidence):
    """What is said of all classes; px, context and the latents are those of the likeliest class.

    every: of K*B examples, one class after the other. log_q: log q(y|x), (K, B). weights: the classes' probabilities,
    q(y|x) where the class is hidden, (K, B). known: where it is not, (B,).
    """

    def __init__(
        self,
        batch: Batch,
        context: Tensor,
        likeliest: Callable[[], Evidence],
        every: Evidence,
        log_q: Tensor,
        weights: Tensor,
        known: Tensor,
    ) -> None:
        self.x, self.mask, self.context = batch.x, batch.mask, context
        self.penalties, self.figures = dict(every.penalties), dict(every.figures)
        self.likeliest, self.every, self.log_q, self.weights, self.known = likeliest, every, log_q, weights, known
        negative_entropy = (log_q.exp() * log_q).sum(0).masked_fill(known, 0)
        class_kl = [None] * (len(every.levels) - 1) + [negative_entropy + math.log(len(log_q))]
        self.levels = [
            ClassLevel(functools.partial(self._level, i), level, weights, kl)
            for i, (level, kl) in enumerate(zip(every.levels, class_kl, strict=True))
        ]

    def _level(self, i: int) -> Level:
        return self.likeliest().levels[i]

    @property
    def px(self) -> Any:
        return self.likeliest().px

    @property
    def samples(self) -> int:
        return self.every.samples

    @cached_property
    def log_px(self) -> Tensor:
        """log p(x|z, y), expected over y, (S, B)."""
        return (self.weights * self.every.log_px.unflatten(1, self.weights.shape)).sum(1)

    @cached_property
    def enumerated(self) -> Evidence:
        """Of K*B examples, impossible where the class is known to be another."""
        enumerated = dataclasses.replace(self.every)
        impossible = (self.known & (self.weights == 0)).flatten()
        enumerated.log_px = self.every.log_px.masked_fill(impossible, -math.inf)
        return enumerated

    @cached_property
    def log_w(self) -> Tensor:
        """The log importance weight of (x, z), or of (x, y, z) where y is known, (S, B)."""
        return self.summed(self.enumerated.log_w)

    def summed(self, log_w: Tensor) -> Tensor:
        """log sum_y p(y) w(y), (S, B), of log weights (S, K*B).

        q(y|x) has no part in it, and would learn from known labels alone. So it is given the gradient, not the value,
        that it has in the bound above: that of -KL(q(y|x) || p(y|x)), p(y|x) being what these weights make of it.
        """
        joint = log_w.unflatten(1, self.weights.shape) - math.log(len(self.weights))
        total = joint.logsumexp(1)
        excess = (self.log_q - (joint - total.unsqueeze(1))).detach()
        kl = (self.weights * excess.masked_fill(self.known, 0)).sum(1)
        return total - (kl - kl.detach())


class ClassLatent(nn.Module):
    """Wraps a model whose condition is an inferred label, and adds q(y|x), from the same architecture.

    In training a known class counts for itself. In evaluation all are hidden, so that a bound is of x alone.
    """

    def __init__(self, model: Any, architecture: Any) -> None:
        super().__init__()
        self.model = model
        self.classes = model.condition.classes
        self.classifier = architecture.bottom_up(model.space, 1, ())
        self.classifier_head = head(tuple(self.classifier[0].shape), (self.classes,))
        self.data: Data | None = None

    def __getattr__(self, name: str) -> Any:
        """What has nothing to do with the class is the wrapped model's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    @property
    def inference_parameters(self) -> list[nn.Parameter]:
        classifier = [*self.classifier.parameters(), *self.classifier_head.parameters()]
        return [*classifier, *self.model.inference_parameters]

    def prepare(self, data: Data) -> None:
        """Finds the training examples whose class is known. Raises UserError where there is none."""
        blocks = torch.arange(len(data.train), device=next(self.parameters()).device).split(BLOCK)
        told = [y for block in blocks if (y := data.train.targets(block)) is not None]
        labels = torch.cat(told) if told else torch.empty(0)
        if not bool((labels >= 0).any()):
            raise UserError("condition=inferred_label: no training example has a label; type variant=vae")
        self.data, self.labelled = data, data.train.subset((labels >= 0).nonzero()[:, 0]).read()

    def log_q(self, batch: Batch) -> Tensor:
        """log q(y|x), (B, K)."""
        mask = batch.mask if self.space.sequence else None
        return self.classifier_head(self.classifier[0](batch.input, None, mask)).log_softmax(1)

    def forward(self, batch: Batch, samples: int = 1) -> ClassEvidence:
        log_q, y = self.log_q(batch), batch.y
        assert y is not None
        known = (y >= 0) & self.training
        weights = torch.where(known[:, None], self.condition.one_hot(y), log_q.exp()).T
        chosen = weights.argmax(0)
        likeliest = functools.cache(lambda: self.model(dataclasses.replace(batch, c=chosen), samples))
        every = self.model(self.as_each_class(batch), samples)
        evidence = ClassEvidence(batch, self.condition(chosen), likeliest, every, log_q.T, weights, known)
        if self.training:
            classification = self._classification(log_q, y)
            evidence.penalties["classification"] = self.condition.classification_weight * classification
        elif bool((y >= 0).all()):
            evidence.figures["accuracy"] = (log_q.argmax(1) == y).float().mean()
        return evidence

    def as_each_class(self, batch: Batch) -> Batch:
        """K*B examples, one class after the other."""
        x, given, mask = (repeated(part, self.classes) for part in (batch.x, batch.input, batch.mask))
        c = torch.arange(self.classes, device=batch.x.device).repeat_interleave(len(batch))
        assert x is not None
        assert given is not None
        return Batch(x, given, c=c, mask=mask)

    def _classification(self, log_q: Tensor, y: Tensor) -> Tensor:
        """The mean of -log q(y|x) over the known classes of a batch and of some more labelled examples."""
        loss, known = (parts.total(of_batch) for of_batch in _of_known(log_q, y))
        if self.data is not None:
            chosen = torch.randint(len(self.labelled), (self.condition.labelled,), device=y.device)
            with parts.computing(None):  # they are the same to every process
                more = self.data.batch(self.labelled, chosen)
                assert more.y is not None
                loss_of_more, more_known = _of_known(self.log_q(more), more.y)
            loss, known = loss + loss_of_more, known + more_known
        return loss / known.clamp_min(1)

    # as the likeliest class
    def _likeliest(self, batch: Batch) -> Batch:
        return dataclasses.replace(batch, c=self.log_q(batch).argmax(1))

    def context(self, batch: Batch) -> Tensor:
        """The likeliest classes of a batch, (B, K)."""
        return self.model.context(self._likeliest(batch))

    def infer(self, batch: Batch, samples: int = 1) -> list[Level]:
        return self.model.infer(self._likeliest(batch), samples)

    def encode(self, batch: Batch) -> list[Tensor]:
        return self.model.encode(self._likeliest(batch))

    def reconstruct(self, batch: Batch) -> Tensor:
        return self.model.reconstruct(self._likeliest(batch))

    # as the class that is given, else as any: for latents or examples that were drawn before, give theirs
    def _any(self, n: int) -> Tensor:
        return self.condition(noise.integers(self.classes, (n,), device=next(self.parameters()).device))

    def decode(self, latents: Sequence[Tensor], context: Tensor | None = None, **how: Any) -> Any:
        return self.model.decode(latents, self._any(len(latents[0])) if context is None else context, **how)

    def sample_latents(
        self, n: int, context: Tensor | None = None, temperature: float = 1.0, given: Sequence[Tensor] = ()
    ) -> list[Tensor]:
        return self.model.sample_latents(n, self._any(n) if context is None else context, temperature, given)

    def generate(self, n: int, context: Tensor | None = None, *how: Any, **more: Any) -> tuple[list[Tensor], Any]:
        return self.model.generate(n, self._any(n) if context is None else context, *how, **more)

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return self.model.sample(n, self._any(n) if context is None else context, temperature)


def _of_known(log_q: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of -log q(y|x) over the classes that are known, and how many these are."""
    return F.nll_loss(log_q, y, ignore_index=-1, reduction="sum"), (y >= 0).sum()
