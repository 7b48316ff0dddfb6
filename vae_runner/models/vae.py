"""One level of latents: p(x, z) = p(z) p(x|z) with q(z|x) (Kingma & Welling 2014; Rezende et al. 2014)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vae_runner.data.space import Batch, Space
from vae_runner.models.evidence import Evidence, Level
from vae_runner.models.heads import head


class VAE(nn.Module):
    """Wires an architecture, a posterior, a prior and a likelihood around one latent z.

    condition: a module Batch -> context (N, condition.size), or None. architecture: the factory of layers.
    posterior, prior: latent_shape -> module. likelihood: space -> module.
    """

    levels = 1

    def __init__(
        self,
        space: Space,
        condition: Callable[[Space], Any] | None,
        architecture: Any,
        posterior: Callable[[tuple[int, ...]], Any],
        prior: Callable[[tuple[int, ...]], Any],
        likelihood: Callable[[Space], Any],
        *,
        latent_dim: int,
    ):
        super().__init__()
        self.space = space
        self.likelihood = likelihood(space)
        self.condition = condition(space) if condition else None
        context = self.condition.size if self.condition else 0

        self.bottom_up = architecture.bottom_up(space, 1, context)
        features = self.bottom_up[-1].shape
        self.latent_shape = architecture.latent_shape(features, latent_dim)
        self.posterior = posterior(self.latent_shape)
        self.prior = prior(self.latent_shape)
        per_unit, (channels, *rest) = self.posterior.per_unit, self.latent_shape
        self.posterior_head = head(features, (per_unit * channels, *rest))

        self.top_down = architecture.top_down(self.latent_shape, space.shape, context)
        self.likelihood_head = head(self.top_down.shape, self.likelihood.parameter_shape)

    @property
    def inference_parameters(self) -> list[nn.Parameter]:
        """The parameters of q(z|x)."""
        return [*self.bottom_up.parameters(), *self.posterior_head.parameters(), *self.posterior.parameters()]

    @property
    def generative_parameters(self) -> list[nn.Parameter]:
        """The parameters of p(x, z): all others."""
        inference = {id(parameter) for parameter in self.inference_parameters}
        return [parameter for parameter in self.parameters() if id(parameter) not in inference]

    def context(self, batch: Batch) -> Tensor | None:
        """The embedded condition (B, C), or None for a model without one."""
        return self.condition(batch) if self.condition else None

    def infer(self, batch: Batch, samples: int = 1) -> list[Level]:
        """q(z|x) and `samples` draws from it per example, beside the prior."""
        context = self.context(batch)
        q = self.posterior(self.posterior_head(self.bottom_up[0](batch.input, context)))
        return [Level(z=q.sample(samples), q=q, p=self.prior(context))]

    def explain(self, levels: list[Level], batch: Batch) -> Evidence:
        """Decodes the latents of a batch, and holds the outcome against it."""
        level = levels[0]
        context = self.context(batch)
        if context is not None and len(level.z) > 1:
            context = context.repeat(len(level.z), 1)
        px = self.decode(level.z.flatten(0, 1), context)
        return Evidence(px, batch.x, batch.mask, levels)

    def forward(self, batch: Batch, samples: int = 1) -> Evidence:
        return self.explain(self.infer(batch, samples), batch)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Any:
        """p(x|z) of latents z (N, *latent_shape)."""
        return self.likelihood(self.likelihood_head(self.top_down(z, context)))

    def encode(self, batch: Batch) -> Tensor:
        """The codes of a batch (B, *latent_shape): means of q(z|x)."""
        return self.infer(batch)[0].code

    @property
    def fits_prior(self) -> bool:
        """Whether the prior waits for `fit_prior`: no divergence pulls the codes of a deterministic encoder to it."""
        return "deterministic" in self.posterior.provides

    def fit_prior(self, codes: Tensor) -> None:
        """Fits the prior to codes (N, *latent_shape) held fixed, after the fact (Ghosh et al. 2020, section 4)."""
        self.prior.fit(codes)

    def sample_latents(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """n latents from the prior (n, *latent_shape); `temperature` scales its standard deviation."""
        return self.prior(context).sample(n, temperature=temperature)

    @torch.no_grad()
    def reconstruct(self, batch: Batch) -> Tensor:
        """The means of p(x|z) at the codes of a batch, (B, *shape)."""
        return self.decode(self.encode(batch), self.context(batch)).mean

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """n examples (n, *shape): means of p(x|z), z from the prior."""
        return self.decode(self.sample_latents(n, context, temperature), context).mean
