"""The variational mixture of posteriors (Tomczak & Welling 2018, equation 9): p(z) = 1/K sum_k q(z|u_k, c_k).

The pseudo-inputs u_k are learned, from training examples on; so are the contexts c_k of a conditional model, from zeros
on, which say nothing. In a ladder q is the posterior of the top level.
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn

from vae_runner import noise, parts
from vae_runner.data.data import Data
from vae_runner.data.space import Space
from vae_runner.distributions.priors.prior import Prior
from vae_runner.errors import UserError
from vae_runner.settings import Range

SPREAD = 0.01  # of the noise on the examples that pseudo-inputs start from: copies of one example would stay copies


class MixtureOfPosteriors:
    """p(z): `inputs` (K, *shape) and `contexts` (K, ...) or None, and the encoder, their way to q."""

    def __init__(self, encode: Callable[..., Any], inputs: Tensor, contexts: Tensor | None) -> None:
        self.encode, self.inputs, self.contexts = encode, inputs, contexts

    @cached_property
    def components(self) -> Any:
        with parts.computing(None):  # they are no examples of a batch, and the same to every process
            return self.encode(self.inputs, self.contexts)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (*batch,), of z (*batch, *latent_shape)."""
        log_q = self.components.log_prob(z.unsqueeze(-self.components.mean.ndim))
        return log_q.logsumexp(-1) - math.log(len(self.inputs))

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """Samples (n, *latent_shape); `temperature` multiplies their distance from the mean of their component."""
        chosen = noise.integers(len(self.inputs), (n,), device=self.inputs.device)
        q = self.encode(self.inputs[chosen], None if self.contexts is None else self.contexts[chosen])
        return torch.lerp(q.mean, q.sample(1)[0], temperature)


class Vamp(Prior):
    """A mixture of the posteriors of `components` learned pseudo-inputs, each within the data's support."""

    provides: ClassVar[set[str]] = {"density", "sample"}
    requires: ClassVar[dict[str, str]] = {
        "posterior.pointwise": "the prior is a mixture of posteriors, whose density must be known at any z: type "
        "posterior=gaussian",
    }

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context: tuple[int, ...] = (),
        *,
        components: Annotated[int, Range(1, 10_000)] = 100,
    ) -> None:
        super().__init__(latent_shape, context)
        self.count = components
        self.contexts = nn.Parameter(torch.zeros(components, *context)) if context else None

    def attach(self, space: Space, posterior: Any, encode: Callable[..., Any]) -> None:
        """Makes room for the pseudo-inputs. Raises UserError for data that cannot be learned by gradient."""
        if space.support == "categorical":
            raise UserError(
                "prior=vamp: pseudo-inputs are learned by gradient, text is not numbers: type prior=mixture"
            )
        self.encode = encode
        self.bounded = space.support != "real"
        self.inputs = nn.Parameter(torch.rand(self.count, *space.shape))

    @torch.no_grad()
    def prepare(self, data: Data) -> None:
        """Starts from what the encoder sees of training examples chosen at random."""
        rows = torch.arange(self.count, device=self.inputs.device) % len(data.train)
        examples = torch.randperm(len(data.train), device=self.inputs.device)[rows]
        shown = data.batch(data.train, examples).input
        self.inputs.copy_(torch.randn_like(self.inputs).mul_(SPREAD).add_(shown))

    def forward(self, context: Tensor | None = None) -> MixtureOfPosteriors:
        inputs: Tensor = self.inputs
        if self.bounded:
            # the gradient goes on past the bound: a value that has met it can come back
            inputs = inputs.clamp(0, 1).detach() + (inputs - inputs.detach())
        return MixtureOfPosteriors(self.encode, inputs, self.contexts)
