"""Discretised logistic mixtures over images, the colours of a pixel depending on each other (Salimans et al. 2017).

Values x are levels 0 to L - 1, here scaled to [-1, 1]; h is half the distance between two of them. Per pixel:

    p(x) = sum_k pi_k prod_c [ s((x_c + h - m_kc) / s_kc) - s((x_c - h - m_kc) / s_kc) ],   s the logistic function,
    m_kc = mean_kc + sum_{b < c} coefficient_kcb x_b,

where the lowest level takes all that lies below it and the highest all above: a mass, which sums to one over levels.
"""

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner import noise
from vae_runner.data.space import Space
from vae_runner.distributions.likelihoods.likelihood import Likelihood
from vae_runner.distributions.numerics import at_least_float32, softplus
from vae_runner.errors import UserError
from vae_runner.settings import Range

LOWEST_LOG_SCALE, HIGHEST_LOG_SCALE = -7.0, 5.0


class LogisticMixture:
    """N images of C channels, per pixel K components.

    weights: logits (N, K, H, W). means, log_scales: (N, K, C, H, W), in a range of x from -1 to 1.
    coefficients: (N, K, C (C - 1) / 2, H, W), row by row of the lower triangle. levels: of each value.
    """

    def __init__(self, weights: Tensor, means: Tensor, log_scales: Tensor, coefficients: Tensor, levels: int) -> None:
        self.weights, self.means, self.log_scales = weights, means, log_scales
        self.coefficients, self.levels = coefficients, levels

    def log_prob(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """log p(x) in nats, (N,), of x (N, C, H, W) in [0, 1], rounded to levels; colours that are hidden still count
        as given to those after them."""
        level = (x * (self.levels - 1)).round()
        x = self._scaled(level).unsqueeze(1)
        inverse_scales, half = (-self.log_scales).exp(), 1 / (self.levels - 1)
        centred = x - torch.stack([self._mean_of(channel, x) for channel in range(x.shape[2])], 2)
        above, below = (centred + half) * inverse_scales, (centred - half) * inverse_scales
        # s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)): no difference of near numbers, however far in the tails
        log_below, log_above = -softplus(-above), -softplus(below)
        within = log_below + log_above + torch.log(-torch.expm1(-2 * half * inverse_scales))
        level = level.unsqueeze(1)
        log_mass = torch.where(level == 0, log_below, torch.where(level == self.levels - 1, log_above, within))
        if mask is not None:
            log_mass = log_mass * mask.expand(x.squeeze(1).shape).unsqueeze(1)
        pixels = (self.weights.log_softmax(1) + log_mass.sum(2)).logsumexp(1)
        return pixels.flatten(1).sum(1)

    @property
    def mean(self) -> Tensor:
        """(N, C, H, W), to within half a level for one channel; a colour's is taken at the means of those before it."""
        channels: list[Tensor] = []
        for channel in range(self.means.shape[2]):
            mean = self._mean_of(channel, torch.stack(channels, 2) if channels else self.means)
            # of a logistic variable whose tails are moved to the ends: 1 - integral of the distribution function
            scale = self.log_scales[:, :, channel].exp()
            channels.append(1 - scale * (F.softplus((1 - mean) / scale) - F.softplus((-1 - mean) / scale)))
        mean = (self.weights.softmax(1).unsqueeze(2) * torch.stack(channels, 2)).sum(1)
        return ((mean + 1) / 2).clamp(0, 1)

    def sample(self) -> Tensor:
        """(N, C, H, W): a component per pixel, then colour by colour."""
        noisy = self.weights - noise.exponential_like(self.weights).log()
        chosen = torch.zeros_like(noisy).scatter_(1, noisy.argmax(1, keepdim=True), 1.0)
        channels: list[Tensor] = []
        for channel in range(self.means.shape[2]):
            given = torch.stack(channels, 1).unsqueeze(1) if channels else self.means
            mean = (chosen * self._mean_of(channel, given)).sum(1)
            scale = (chosen * self.log_scales[:, :, channel]).sum(1).exp()
            uniform = noise.uniform_like(mean).clamp(1e-7, 1 - 1e-7)
            level = ((mean + scale * uniform.logit() + 1) / 2 * (self.levels - 1)).round().clamp(0, self.levels - 1)
            channels.append(self._scaled(level))
        return (torch.stack(channels, 1) + 1) / 2

    def _scaled(self, level: Tensor) -> Tensor:
        """Levels in [-1, 1]."""
        return level * (2 / (self.levels - 1)) - 1

    def _mean_of(self, channel: int, x: Tensor) -> Tensor:
        """The components' means of a channel (N, K, H, W), given the channels of x (N, 1 or K, C, H, W) before it."""
        first = channel * (channel - 1) // 2
        coefficients = self.coefficients[:, :, first : first + channel]
        return self.means[:, :, channel] + (coefficients * x[:, :, :channel]).sum(2)


class LogisticMixtures(Likelihood):
    """`components` logistic distributions per pixel over `levels` values of each colour."""

    option: ClassVar[str] = "logistic_mixture"
    supports: ClassVar[set[str]] = {"unit"}
    fixes: ClassVar[dict[str, str]] = {"binary": "likelihood=bernoulli", "real": "likelihood=gaussian"}
    discrete: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        *,
        components: Annotated[int, Range(1, 1000)] = 5,
        levels: Annotated[int, Range(2, 65536)] = 256,
    ) -> None:
        super().__init__(space)
        if not space.image:
            raise UserError(
                f"likelihood=logistic_mixture is for images (channels, height, width); this data has examples of shape "
                f"{tuple(space.shape)}: type likelihood=gaussian"
            )
        channels, *size = space.shape
        self.components, self.levels = components, levels
        self.sizes = [1, channels, channels, channels * (channels - 1) // 2]
        self.parameter_shape = (components * sum(self.sizes), *size)

    def is_mass(self, support: str) -> bool:
        return True

    def forward(self, parameters: Tensor) -> LogisticMixture:
        """px for parameters (N, components * P, H, W): the weight, means, scales and coefficients of each in a row."""
        of_components = at_least_float32(parameters).unflatten(1, (self.components, -1))
        weights, means, log_scales, coefficients = of_components.split(self.sizes, 2)
        log_scales = log_scales.clamp(LOWEST_LOG_SCALE, HIGHEST_LOG_SCALE)
        return LogisticMixture(weights.squeeze(2), means, log_scales, coefficients.tanh(), self.levels)
