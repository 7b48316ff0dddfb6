"""Gaussians with independent dimensions, in the log-variance form that networks produce.

    log N(z; m, v) = -1/2 sum_d [ (z_d - m_d)^2 / v_d + log v_d + log 2 pi ]
    KL(q || p)     =  1/2 sum_d [ v_q / v_p - 1 - log(v_q / v_p) + (m_q - m_p)^2 / v_p ]

The KL is Kingma and Welling 2014, appendix B. It is computed with expm1(r) - r, r = log(v_q / v_p), which neither loses
its digits when q is close to p nor rounds below zero.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner import noise
from vae_runner.distributions.numerics import LOG_TWO_PI, at_least_float32

LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE = -30.0, 20.0


def bounded(log_variance: Tensor) -> Tensor:
    """Keeps a variance, its inverse and their gradients finite, whatever a network says: from e^-30 to e^20."""
    # clamp, whose backward pass is one operator and not four
    return F.hardtanh(log_variance, LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE)


class DiagonalGaussian:
    """N Gaussians over latents, `mean` and `log_variance` of shape (N, *latent_shape)."""

    def __init__(self, mean: Tensor, log_variance: Tensor) -> None:
        self.mean = at_least_float32(mean)
        self.log_variance = at_least_float32(log_variance)
        self.event = tuple(range(1 - mean.ndim, 0))

    def __getitem__(self, examples: slice | Tensor) -> "DiagonalGaussian":
        """Those of some of the N examples."""
        return DiagonalGaussian(self.mean[examples], self.log_variance[examples])

    def detach(self) -> "DiagonalGaussian":
        """The same Gaussians, whose parameters no gradient reaches."""
        return DiagonalGaussian(self.mean.detach(), self.log_variance.detach())

    def sample(self, samples: int = 1, temperature: float = 1.0) -> Tensor:
        """Reparameterised samples (samples, N, *latent_shape); `temperature` multiplies the standard deviation."""
        deviation = (0.5 * self.log_variance).exp()
        drawn = noise.normal((samples, *self.mean.shape), 1, dtype=self.mean.dtype, device=self.mean.device)
        return torch.addcmul(self.mean, deviation, drawn, value=temperature)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, (..., N), of z (..., N, *latent_shape)."""
        terms = (z - self.mean).square() * (-self.log_variance).exp() + (self.log_variance + LOG_TWO_PI)
        return -0.5 * terms.sum(self.event)

    def kl_units(self, p: object) -> Tensor | None:
        """KL(self || p) in nats of each unit, (N, units), where p is a diagonal Gaussian; else None: no closed form.

        A unit is a channel: dimension 0 of latent_shape, with its spatial positions summed.
        """
        if not isinstance(p, DiagonalGaussian):
            return None
        if isinstance(p, StandardNormal):
            mean, log_ratio = self.mean, self.log_variance
        else:
            mean, log_ratio = (self.mean - p.mean) * (-0.5 * p.log_variance).exp(), self.log_variance - p.log_variance
        terms = 0.5 * torch.addcmul(log_ratio.expm1() - log_ratio, mean, mean)
        return terms.flatten(2).sum(2) if terms.ndim > 2 else terms

    def merge(self, other: "DiagonalGaussian") -> "DiagonalGaussian":
        """The normalised product of two Gaussians: precisions add and weigh the means (Sønderby et al. 2016)."""
        log_variance_ratio = other.log_variance - self.log_variance
        mean = torch.lerp(other.mean.expand_as(self.mean), self.mean, log_variance_ratio.sigmoid())
        return DiagonalGaussian(mean, self.log_variance + F.logsigmoid(log_variance_ratio))


class StandardNormal(DiagonalGaussian):
    """N(0, I) over latents; `zeros` of shape (*latent_shape) says their shape, precision and device."""

    def __init__(self, zeros: Tensor) -> None:
        zeros = zeros.unsqueeze(0)
        super().__init__(zeros, zeros)

    def sample(self, samples: int = 1, temperature: float = 1.0) -> Tensor:
        """Samples (samples, *latent_shape); `temperature` is their standard deviation."""
        drawn = noise.normal((samples, *self.mean.shape[1:]), dtype=self.mean.dtype, device=self.mean.device)
        return temperature * drawn

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (...), of z (..., *latent_shape)."""
        return -0.5 * (at_least_float32(z).square().sum(self.event) + self.mean.numel() * LOG_TWO_PI)
