"""The von Mises-Fisher distribution on the unit sphere of R^D, and its uniform case.

    q(z) = exp(kappa m . z) / (area E[exp(kappa t)]),   t = m . u,  u uniform on the sphere

E[exp(kappa t)] is the modified Bessel function I_{D/2-1}(kappa) but for elementary factors (Poisson's integral). With
t = tanh s it is an integral over the line, of exp(kappa tanh s) cosh(s)^(1-D), analytic and with one peak: there the
trapezoidal rule converges exponentially, for every D and kappa, and autograd differentiates it.

Samples are Wood's (1994): t by rejection, the rest uniform around m. The gradient of t is that of its quantile at a
fixed level, (dF/dkappa) / (dF/dt) (Figurnov et al. 2018): that of the accepted proposal would need a correction.
"""

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Beta

from vae_runner import noise
from vae_runner.distributions.numerics import at_least_float32

NODES, SPAN = 201, 30.0  # of a quadrature: how many, and how many widths of the peak they reach to a side
PROPOSALS = 20  # each is accepted with a chance of 0.65 or more, so that one sample in 1e9 is of the proposal instead


def log_area(dimensions: int) -> float:
    """The logarithm of the area of the unit sphere in so many dimensions."""
    return math.log(2) + 0.5 * dimensions * math.log(math.pi) - math.lgamma(0.5 * dimensions)


class UniformOnSphere:
    """Unit vectors of any direction; `zeros` of shape (*latent_shape) says their shape, precision and device."""

    def __init__(self, zeros: Tensor) -> None:
        self.zeros = zeros

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (*batch,), of z (*batch, *latent_shape)."""
        return z.new_full(z.shape[: z.ndim - self.zeros.ndim], -log_area(self.zeros.numel()))

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """Samples (n, *latent_shape); what is uniform is so at every temperature."""
        drawn = noise.normal((n, self.zeros.numel()), dtype=self.zeros.dtype, device=self.zeros.device)
        return F.normalize(drawn, dim=-1).view(n, *self.zeros.shape)


class VonMisesFisher:
    """N distributions: directions `mean` (N, *latent_shape), of length one, and concentrations kappa (N,)."""

    def __init__(self, mean: Tensor, kappa: Tensor) -> None:
        self.mean, self.kappa = at_least_float32(mean), at_least_float32(kappa)
        self.dimensions = self.mean[0].numel()
        self.power = self.dimensions - 1
        # the peak of the integrand over s = artanh t, and its width by the second derivative there
        kappa = self.kappa.detach()
        root = (self.power**2 + 4 * kappa.square()).sqrt()
        peak, sech_squared = 2 * kappa / (self.power + root), 2 * self.power / (self.power + root)
        self.peak = peak.log1p() - 0.5 * sech_squared.log()
        self.width = (sech_squared * (2 * kappa * peak + self.power)).rsqrt()

    def __getitem__(self, examples: slice) -> "VonMisesFisher":
        """Those of some of the N examples."""
        return VonMisesFisher(self.mean[examples], self.kappa[examples])

    def detach(self) -> "VonMisesFisher":
        """The same, without gradient."""
        return VonMisesFisher(self.mean.detach(), self.kappa.detach())

    @cached_property
    def quadrature(self) -> tuple[Tensor, Tensor]:
        """1 - t and its log-weight, for u uniform on the sphere, (N, NODES) each. Near t = 1 only 1 - t has digits."""
        nodes = torch.linspace(-SPAN, SPAN, NODES, dtype=self.kappa.dtype, device=self.kappa.device)
        s = self.peak[:, None] + self.width[:, None] * nodes
        log_beta = math.lgamma(0.5) + math.lgamma(0.5 * self.power) - math.lgamma(0.5 * self.dimensions)
        step = (self.width * (2 * SPAN / (NODES - 1))).log()
        return 2 * (-2 * s).sigmoid(), step[:, None] - log_beta - self.power * log_cosh(s)

    @cached_property
    def log_expectation(self) -> Tensor:
        """log E[exp(kappa (t - 1))], u uniform on the sphere, (N,)."""
        gap, log_weight = self.quadrature
        return (log_weight - self.kappa[:, None] * gap).logsumexp(-1)

    @cached_property
    def mean_gap(self) -> Tensor:
        """E[1 - t] under q, (N,): one minus the mean resultant length."""
        gap, log_weight = self.quadrature
        return ((log_weight - self.kappa[:, None] * gap).softmax(-1) * gap).sum(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, (..., N), of unit vectors z (..., N, *latent_shape)."""
        distance = (z - self.mean).square().sum(tuple(range(1 - self.mean.ndim, 0)))
        return -0.5 * self.kappa * distance - self.log_expectation - log_area(self.dimensions)

    def kl_units(self, p: object) -> Tensor | None:
        """KL(self || p) in nats, (N, 1), the sphere being one unit, where p is uniform on it; else None."""
        if not isinstance(p, UniformOnSphere):
            return None
        return (-self.kappa * self.mean_gap - self.log_expectation)[:, None]

    def sample(self, samples: int = 1) -> Tensor:
        """Reparameterised samples (samples, N, *latent_shape)."""
        gap = self._draw_gap(samples)
        gap = gap - self._speed(gap, self.mean_gap.detach()) * (self.kappa - self.kappa.detach())
        mean = self.mean.flatten(1)
        drawn = noise.normal((samples, *mean.shape), 1, dtype=mean.dtype, device=mean.device)
        around = F.normalize(drawn - (drawn * mean).sum(-1, keepdim=True) * mean, dim=-1)
        gap = gap.unsqueeze(-1)
        return ((1 - gap) * mean + (gap * (2 - gap)).sqrt() * around).view(samples, *self.mean.shape)

    @torch.no_grad()
    def _draw_gap(self, samples: int) -> Tensor:
        """1 - t (samples, N): the first accepted of a fixed number of proposals (Wood 1994, algorithm VM*)."""
        kappa, power = self.kappa, self.power
        b = power / (2 * kappa + (4 * kappa.square() + power**2).sqrt())
        half = kappa.new_full((), 0.5 * power)
        beta = noise.drawn(Beta(half, half, validate_args=False).sample, (PROPOSALS, samples, len(kappa)), 2)
        gap = 2 * b * beta / (1 - (1 - b) * beta)
        log_ratio = kappa * (2 * b / (1 + b) - gap) + power * ((1 + b) / 2 * (1 + (1 - b) * gap / (2 * b))).log()
        accepted = (noise.uniform_like(gap, 2).log() <= log_ratio).byte().argmax(0, keepdim=True)
        return gap.gather(0, accepted)[0].clamp(1e-30, 2 - 1e-6)

    @torch.no_grad()
    def _speed(self, gap: Tensor, mean_gap: Tensor) -> Tensor:
        """dt/dkappa (samples, N) at a fixed level of t's distribution, by Simpson's rule over the tail beyond t."""
        to_the_right = gap < mean_gap
        steps = torch.linspace(0, SPAN, NODES, dtype=gap.dtype, device=gap.device)
        weights = torch.full_like(steps, 2 * SPAN / (NODES - 1) / 3)
        # not `weights[1::2] *= 2`, which copies the view onto itself as well: such a step is not compiled
        weights[1::2].mul_(2)
        weights[0].div_(2)
        width = torch.where(to_the_right, self.width, -self.width)[..., None]
        s = 0.5 * ((2 - gap) / gap).log()[..., None] + width * steps
        gaps = 2 * (-2 * s).sigmoid()
        log_density = -self.kappa[:, None] * gaps - self.power * log_cosh(s)
        tail = (log_density - log_density[..., :1]).exp() * (mean_gap[:, None] - gaps) * width
        return (tail * weights).sum(-1) * gap * (2 - gap)


def log_cosh(s: Tensor) -> Tensor:
    return F.softplus(2 * s) - s - math.log(2)
