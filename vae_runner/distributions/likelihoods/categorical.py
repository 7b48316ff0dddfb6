"""One of V categories at each step, such as the characters of a text: log p(x|z) = sum_t log softmax(logits_t)[x_t]."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from vae_runner import noise
from vae_runner.data.space import Space
from vae_runner.distributions.likelihoods.likelihood import Likelihood
from vae_runner.distributions.numerics import at_least_float32, sum_event


class IndependentCategorical:
    """N examples of independent categories, `logits` (N, *shape, V)."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = at_least_float32(logits)

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x) in nats, (N,), of x (N, *shape), 0 to V - 1."""
        log_p = -F.cross_entropy(self.logits.flatten(0, -2), x.flatten().long(), reduction="none")
        return sum_event(log_p.view(x.shape), mask)

    @property
    def mean(self) -> Tensor:
        """The most probable categories: numbers that only name something have no mean."""
        return self.logits.argmax(-1)

    def sample(self, temperature: float = 1.0) -> Tensor:
        """One draw (N, *shape) from p(x)^(1 / temperature), normalised."""
        # the largest of the logits with Gumbel noise is such a draw, and no probability can round to zero
        exponential = noise.exponential_like(self.logits)
        return (self.logits / temperature - exponential.clamp_min_(1e-30).log_()).argmax(-1)


class Categorical(Likelihood):
    """One logit per category and step."""

    option: ClassVar[str] = "categorical"
    supports: ClassVar[set[str]] = {"categorical"}
    fixes: ClassVar[dict[str, str]] = {
        "binary": "likelihood=bernoulli",
        "unit": "likelihood=continuous_bernoulli",
        "real": "likelihood=gaussian",
    }
    discrete: ClassVar[bool] = True

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        assert space.categories is not None
        self.parameter_shape = (*space.shape, space.categories)

    def forward(self, parameters: Tensor) -> IndependentCategorical:
        return IndependentCategorical(parameters)
