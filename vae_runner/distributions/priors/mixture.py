"""A mixture of K diagonal Gaussians, all of it learned: p(z) = sum_k w_k N(z; m_k, diag(v_k)).

Its density is learned by gradient with the rest of the model, or fitted to given codes by expectation-maximisation
(Dempster et al. 1977), which needs no learning rate.
"""

from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from vae_runner import noise
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, bounded
from vae_runner.distributions.priors.prior import Prior
from vae_runner.settings import Range

SMALLEST_SHARE_OF_VARIANCE = 1e-3


class GaussianMixture:
    """`components` with means (K, *latent_shape), `log_weights` (K,) that sum to one."""

    def __init__(self, components: DiagonalGaussian, log_weights: Tensor) -> None:
        self.components = components
        self.log_weights = log_weights

    def log_prob_with_component(self, z: Tensor) -> Tensor:
        """log p(z, k) in nats, (*batch, K), of z (*batch, *latent_shape)."""
        return self.components.log_prob(z.unsqueeze(-self.components.mean.ndim)) + self.log_weights

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (*batch,), of z (*batch, *latent_shape)."""
        return self.log_prob_with_component(z).logsumexp(-1)

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """Samples (n, *latent_shape); `temperature` multiplies the standard deviation within a component."""
        chances = self.log_weights.exp()
        chosen = noise.drawn(lambda shape: torch.multinomial(chances, shape[0], replacement=True), (n,))
        components = DiagonalGaussian(self.components.mean[chosen], self.components.log_variance[chosen])
        return components.sample(1, temperature).squeeze(0)


class Mixture(Prior):
    """K diagonal Gaussians with learned weights, means and variances; there is no closed-form KL against it."""

    provides: ClassVar[set[str]] = {"density", "sample", "fitted"}

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context: tuple[int, ...] = (),
        *,
        components: Annotated[int, Range(1, 10_000)] = 32,
    ) -> None:
        super().__init__(latent_shape, context)
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, *latent_shape))
        self.log_variances = nn.Parameter(torch.zeros(components, *latent_shape))

    def forward(self, context: Tensor | None = None) -> GaussianMixture:
        return GaussianMixture(DiagonalGaussian(self.means, bounded(self.log_variances)), self.logits.log_softmax(0))

    @torch.no_grad()
    def fit(self, codes: Tensor, iterations: int = 50) -> None:
        """Expectation-maximisation on codes (N, *latent_shape), from components at randomly chosen codes."""
        count, components = len(codes), len(self.logits)
        codes = codes.to(self.means.dtype)
        variance = codes.var(0, correction=0).clamp_min(1e-12)
        self.logits.zero_()
        self.means.copy_(codes[torch.randint(count, (components,), device=codes.device)])
        self.log_variances.copy_(variance.log().expand_as(self.log_variances))
        flat = codes.flatten(1)
        for _ in range(iterations):
            responsibility = self().log_prob_with_component(codes).softmax(-1)
            mass = responsibility.sum(0).clamp_min(1e-6)
            share = (responsibility / mass).T
            means = share @ flat
            variances = share @ flat.square() - means.square()
            smallest = SMALLEST_SHARE_OF_VARIANCE * variance.flatten()
            self.logits.copy_(mass.log())
            self.means.copy_(means.view_as(self.means))
            self.log_variances.copy_(variances.maximum(smallest).log().view_as(self.log_variances))
