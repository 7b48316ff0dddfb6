"""Latents in one level or in a ladder of levels.

    one level: p(x, z) = p(z) p(x|z), q(z|x)                             (Kingma & Welling 2014; Rezende et al. 2014)
    a ladder:  p(x, z) = p(z_L) p(z_L-1|z_L) ... p(x|z_1), q(z_L|x) q(z_L-1|z_L, x) ...   (Sønderby et al. 2016)

Inference goes up from x to the top level, and down again: below the top, q(z_l|z_>l, x) is what the way up proposes,
merged with what the way down expects, each weighted by its precision. One level is the ladder without rungs.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn

from vae_runner.data.space import Batch, Space
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, bounded
from vae_runner.errors import UserError
from vae_runner.models.evidence import Evidence, Level
from vae_runner.models.free_running import free_run
from vae_runner.models.heads import head
from vae_runner.settings import Range


class Ladder(nn.Module):
    """Wires an architecture, a posterior, a prior and a likelihood around `levels` of latents, z_1 next to x.

    condition: a module that embeds c, or None. architecture: the factory of layers.
    posterior, prior: latent_shape -> module; the prior is that of the top level. likelihood: space -> module.
    latent_dims: of each level, the one next to x first; None: latent_dim there, halved at each level up.
    carry: whether the way down goes on from what it knew when z was drawn, beside z (Child 2021), not from z alone
    (Sønderby et al. 2016). None: where latents are maps. Beside a vector there is noise in it that drowns z at first.
    """

    provides: ClassVar[set[str]] = {"levels"}
    requires: ClassVar[dict[str, str]] = {
        "posterior.merge": "below the top of a ladder the posterior is merged with the prior, which only Gaussians can "
        "be: type posterior=gaussian, or model=vae",
    }

    def __init__(
        self,
        space: Space,
        condition: Callable[[Space], Any] | None,
        architecture: Any,
        posterior: Callable[..., Any],
        prior: Callable[..., Any],
        likelihood: Callable[[Space], Any],
        *,
        latent_dim: int,
        levels: Annotated[int, Range(1, 100)] = 2,
        latent_dims: list[Annotated[int, Range(1, 65536)]] | None = None,
        carry: bool | None = None,
    ):
        super().__init__()
        dims = latent_dims or [max(latent_dim >> level, 1) for level in range(levels)]
        if len(dims) != levels:
            raise UserError(f"model.latent_dims={dims}: {len(dims)} numbers for model.levels={levels}")
        self.space, self.levels = space, levels
        self.likelihood = likelihood(space)
        self.condition = condition(space) if condition else None
        context = self.condition.shape if self.condition else ()

        self.bottom_up = architecture.bottom_up(space, levels, context)
        features = [tuple(stage.shape) for stage in self.bottom_up]
        self.latent_shapes = [
            architecture.latent_shape(shape, dim, top=level == levels - 1)
            for level, (shape, dim) in enumerate(zip(features, dims, strict=True))
        ]
        self.carry = len(self.latent_shapes[0]) == 3 if carry is None else carry
        self.posterior = posterior(self.latent_shapes[-1])
        self.posterior_heads = nn.ModuleList(
            head(shape, _times(self.posterior.per_unit, latent))
            for shape, latent in zip(features, self.latent_shapes, strict=True)
        )
        self.prior = prior(self.latent_shapes[-1], context)
        # the way down: from each level to the next, and the prior that is expected there
        self.top_down, self.prior_heads = nn.ModuleList(), nn.ModuleList()
        shape = self.latent_shapes[-1]
        for level in reversed(range(1, levels)):
            stage = architecture.top_down(shape, features[level], features[level - 1], context)
            below = self.latent_shapes[level - 1]
            self.top_down.append(stage)
            self.prior_heads.append(head(stage.shape, _times(2, below)))
            shape = (below[0] + stage.shape[0], *below[1:]) if self.carry else below
        self.decoder = architecture.decoder(shape, features[0], space, context)
        self.likelihood_head = head(self.decoder.shape, self.likelihood.parameter_shape)
        self.prior.attach(space, self.posterior, self.top_posterior)

    @property
    def inference_parameters(self) -> list[nn.Parameter]:
        """The parameters of q(z|x) that p(x, z) does not share."""
        return [
            *self.bottom_up.parameters(),
            *self.posterior_heads.parameters(),
            *self.posterior.parameters(),
        ]

    @property
    def generative_parameters(self) -> list[nn.Parameter]:
        """All others: the parameters of p(x, z)."""
        inference = {id(parameter) for parameter in self.inference_parameters}
        return [parameter for parameter in self.parameters() if id(parameter) not in inference]

    @property
    def autoregressive(self) -> bool:
        """Whether an example is written step by step, each step being told those before."""
        return getattr(self.decoder, "autoregressive", False)

    @property
    def any_length(self) -> bool:
        """Whether a batch may leave out the steps that none of its sequences has, and comes to the same."""
        return self.space.sequence and self.autoregressive and getattr(self.bottom_up[0], "any_length", False)

    @property
    def takes_prompt(self) -> bool:
        """Whether it can go on from the first steps of an example."""
        return self.autoregressive

    def context(self, batch: Batch) -> Tensor | None:
        """The embedded condition (B, *condition.shape), or None for a model without one."""
        return self.condition(batch.c) if self.condition else None

    def top_posterior(self, x: Tensor, context: Tensor | None = None) -> Any:
        """q(z|x) at the top level, for x (N, *shape)."""
        return self.posterior(self.posterior_heads[-1](self._up(x, context, None)[-1]))

    def _up(self, x: Tensor, context: Tensor | None, mask: Tensor | None) -> list[Tensor]:
        features = [self.bottom_up[0](x, context, mask)]
        for stage in self.bottom_up[1:]:
            features.append(stage(features[-1]))
        return features

    def infer(self, batch: Batch, samples: int = 1) -> list[Level]:
        """q(z|x) and `samples` draws from it per example, beside the prior; the level next to x first."""
        context = self.context(batch)
        return self._infer(batch, context, lambda q, first: q.sample(samples if first else 1), samples)

    def _infer(
        self, batch: Batch, context: Tensor | None, draw: Callable[[Any, bool], Tensor], samples: int
    ) -> list[Level]:
        up = self._up(batch.input, context, batch.mask if self.space.sequence else None)
        q = self.posterior(self.posterior_heads[-1](up[-1]))
        levels = [Level(z=draw(q, True), q=q, p=self.prior(context))]
        context = repeated(context, samples)
        for rung, (stage, prior_head) in enumerate(zip(self.top_down, self.prior_heads, strict=True)):
            level = self.levels - 2 - rung
            features = stage(self._from(levels[0].z.flatten(0, 1), levels[0].features), context)
            p = _gaussian(prior_head(features))
            proposed = self.posterior(self.posterior_heads[level](up[level]))
            q = repeated_gaussian(proposed, samples).merge(p)
            z = draw(q, False).view(samples, -1, *self.latent_shapes[level])
            levels.insert(0, Level(z, q, p, features, proposed))
        return levels

    def _from(self, z: Tensor, features: Tensor | None) -> Tensor:
        """What the way down goes on from: z, and what was known besides."""
        if features is None or not self.carry:
            return z
        return torch.cat([z, features], 1)

    def explain(self, levels: list[Level], batch: Batch) -> Evidence:
        """Decodes the latents of a batch, and holds the outcome against it."""
        bottom, top = levels[0], levels[-1]
        context = self.context(batch)
        h = self._from(bottom.z.flatten(0, 1), bottom.features)
        # only a decoder that writes step by step looks at x
        x = repeated(batch.x, bottom.samples) if self.autoregressive else None
        px = self._decoded(h, repeated(context, bottom.samples), x)
        evidence = Evidence(px, batch.x, batch.mask, levels, context)
        evidence.penalties |= getattr(top.q, "penalties", {})
        evidence.figures |= getattr(top.q, "figures", {})
        return evidence

    def forward(self, batch: Batch, samples: int = 1) -> Evidence:
        return self.explain(self.infer(batch, samples), batch)

    def decode(
        self,
        latents: Sequence[Tensor],
        context: Tensor | None = None,
        x: Tensor | None = None,
        prompt: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Any:
        """p(x|z) of latents (N, *latent_shape) of every level, the one next to x first.

        A decoder that writes step by step is told the steps before, where x is given; else it goes on from `prompt`
        with what it has written itself, drawn at `temperature`.
        """
        features = None
        for z, stage in zip(reversed(latents[1:]), self.top_down, strict=True):
            features = stage(self._from(z, features), context)
        return self._decoded(self._from(latents[0], features), context, x, prompt, temperature)

    def _decoded(
        self,
        h: Tensor,
        context: Tensor | None,
        x: Tensor | None = None,
        prompt: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Any:
        if not self.autoregressive:
            return self.likelihood(self.likelihood_head(self.decoder(h, context)))
        if x is not None:
            return self.likelihood(self.likelihood_head(self.decoder(h, context, x)))
        return free_run(
            self.decoder, self.likelihood_head, self.likelihood, self.space, h, context, prompt, temperature
        )

    def encode(self, batch: Batch) -> list[Tensor]:
        """The codes of a batch, (B, *latent_shape) of every level: means of q, each given the means above it."""
        context = self.context(batch)
        return [level.z[0] for level in self._infer(batch, context, lambda q, first: q.mean[None], 1)]

    def sample_latents(
        self, n: int, context: Tensor | None = None, temperature: float = 1.0, given: Sequence[Tensor] = ()
    ) -> list[Tensor]:
        """Latents from the prior, (n, *latent_shape) of every level; `temperature` scales its standard deviation.

        given: latents of the top levels, in the order of levels, that are held fixed while those below are drawn.
        """
        latents = list(given) or [self.prior.sample(n, context, temperature)]
        features = None
        for rung, (stage, prior_head) in enumerate(zip(self.top_down, self.prior_heads, strict=True)):
            features = stage(self._from(latents[-1 - rung], features), context)
            if len(latents) < rung + 2:
                latents.insert(0, _gaussian(prior_head(features)).sample(1, temperature)[0])
        return latents

    def log_prior(self, latents: Sequence[Tensor], context: Tensor | None = None) -> Tensor:
        """log p(z) in nats, (N,), of latents (N, *latent_shape) of every level, the one next to x first."""
        total = self.prior(context).log_prob(latents[-1][None])[0]
        features = None
        for rung, (stage, prior_head) in enumerate(zip(self.top_down, self.prior_heads, strict=True)):
            features = stage(self._from(latents[-1 - rung], features), context)
            total = total + _gaussian(prior_head(features)).log_prob(latents[-2 - rung][None])[0]
        return total

    @torch.no_grad()
    def reconstruct(self, batch: Batch) -> Tensor:
        """The means of p(x|z) at the codes of a batch, (B, *shape)."""
        return self.decode(self.encode(batch), self.context(batch), temperature=0.0).mean

    def generate(
        self,
        n: int,
        context: Tensor | None = None,
        temperature: float = 1.0,
        given: Sequence[Tensor] = (),
        prompt: Tensor | None = None,
    ) -> tuple[list[Tensor], Any]:
        """n latents of every level, and p(x|z) of them; arguments as of `sample_latents` and `decode`."""
        latents = self.sample_latents(n, context, temperature, given)
        return latents, self.decode(latents, context, prompt=prompt, temperature=temperature)

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """n examples (n, *shape): means of p(x|z), z from the prior."""
        return self.generate(n, context, temperature)[1].mean

    @property
    def fits_prior(self) -> bool:
        """Whether codes are deterministic and the prior can wait for `fit_prior`, for nothing pulls them to it."""
        return "deterministic" in self.posterior.provides and hasattr(self.prior, "fit")

    def fit_prior(self, codes: Tensor) -> None:
        """Fits the prior to codes (N, *latent_shape) held fixed, after the fact (Ghosh et al. 2020, section 4)."""
        self.prior.fit(codes)


class VAE(Ladder):
    """One level of latents."""

    provides: ClassVar[set[str]] = {"one_level"}
    requires: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        space: Space,
        condition: Callable[[Space], Any] | None,
        architecture: Any,
        posterior: Callable[..., Any],
        prior: Callable[..., Any],
        likelihood: Callable[[Space], Any],
        *,
        latent_dim: int,
    ):
        super().__init__(space, condition, architecture, posterior, prior, likelihood, latent_dim=latent_dim, levels=1)


def repeated(tensor: Tensor | None, samples: int) -> Tensor | None:
    """(B, ...) as (S*B, ...), sample by sample."""
    return tensor if tensor is None or samples == 1 else tensor.repeat(samples, *[1] * (tensor.dim() - 1))


def repeated_gaussian(q: DiagonalGaussian, samples: int) -> DiagonalGaussian:
    if samples == 1:
        return q
    axes = [1] * (q.mean.dim() - 1)
    return DiagonalGaussian(q.mean.repeat(samples, *axes), q.log_variance.repeat(samples, *axes))


def _gaussian(parameters: Tensor) -> DiagonalGaussian:
    mean, log_variance = parameters.chunk(2, dim=1)
    return DiagonalGaussian(mean, bounded(log_variance))


def _times(factor: int, latent_shape: tuple[int, ...]) -> tuple[int, ...]:
    return (factor * latent_shape[0], *latent_shape[1:])
