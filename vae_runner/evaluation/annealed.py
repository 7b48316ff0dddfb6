"""log p(x) by annealed importance sampling, which never asks the encoder: a second opinion on importance sampling.

    f_t(z) = p(z) p(x|z)^b_t,   0 = b_0 < ... < b_T = 1
    log w = sum_t (b_t - b_t-1) log p(x|z_t-1),   z_t from z_t-1 by a transition that leaves f_t invariant

Neal 2001; for decoders, Wu et al. 2017. The transition is Hamiltonian Monte Carlo (Neal 2011, figure 2). E[w] = p(x):
the log of the mean of w over chains is below log p(x) on average, the less so the longer and the more the chains are.
The size of a chain's steps follows from which of its proposals were accepted, so this holds approximately. Steps along
each latent are in proportion to its deviation under the prior: in a ladder those may be a hundred times apart.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.models.class_latent import ClassLatent
from vae_runner.models.vae import repeated
from vae_runner.reporting.progress import watched

LEAPFROG_STEPS = 10
TARGET, FASTER, SLOWER = 0.65, 1.02, 0.98  # acceptance that the step size is led to (Neal 2011, section 4.4), and how
FROM_PRIOR = 1000  # latents by which deviations under the prior are told, at least
Latents = list[Tensor]


@dataclass(frozen=True)
class Annealed:
    """log_likelihood: the estimate for each example, (B,), in nats. acceptance: share of transitions accepted."""

    log_likelihood: Tensor
    acceptance: float


def annealed(model: Any, batch: Batch, *, temperatures: int = 1000, chains: int = 16) -> Annealed:
    """An estimate of log p(x), or log p(x|c), from `chains` chains of `temperatures` transitions for each example.

    Where the class is latent too, there are as many for each class, and p(x) = 1/K sum_y p(x|y).
    """
    if isinstance(model, ClassLatent):
        given = annealed(model.model, model.as_each_class(batch), temperatures=temperatures, chains=chains)
        joint = given.log_likelihood.view(model.classes, -1) - math.log(model.classes)
        return Annealed(joint.logsumexp(0), given.acceptance)
    with torch.no_grad():
        context = model.context(batch)
        context = repeated(context, chains)
        x, mask = repeated(batch.x, chains), repeated(batch.mask, chains)
        told = x if model.autoregressive else None
        z = model.sample_latents(len(batch) * chains, context)
        scales = _deviations(model, len(z[0]), context)

    def log_likelihood(z: Latents) -> Tensor:
        return model.decode(z, context, x=told).log_prob(x, mask)

    def log_prior(z: Latents) -> Tensor:
        return model.log_prior(z, context)

    log_w = torch.zeros(len(batch) * chains, dtype=torch.float64, device=batch.x.device)
    step_size = torch.full_like(log_w, 0.1, dtype=z[0].dtype)
    accepted = torch.zeros((), device=batch.x.device)
    with torch.no_grad():
        log_px = log_likelihood(z)
    schedule = _schedule(temperatures)
    for before, now in watched(itertools.pairwise(schedule), temperatures, "temperatures"):
        log_w += (now - before) * log_px.double()
        z, log_px, moved = _transition(z, log_likelihood, log_prior, now, step_size, scales)
        step_size = step_size * torch.where(moved, FASTER, SLOWER ** (TARGET / (1 - TARGET)))
        accepted += moved.float().mean()
    estimate = log_w.view(chains, -1).logsumexp(0) - math.log(chains)
    return Annealed(estimate, float(accepted) / temperatures)


def _deviations(model: Any, n: int, context: Any) -> Latents:
    """The standard deviation under the prior of each latent of each level, (1, *latent_shape)."""
    times = math.ceil(FROM_PRIOR / n)
    z = model.sample_latents(n * times, repeated(context, times))
    return [part.std(0, keepdim=True) for part in z]


def _schedule(temperatures: int) -> list[float]:
    """From 0 to 1 by a sigmoid, slow at both ends (Wu et al. 2017, section 5.1)."""
    points = torch.linspace(-4, 4, temperatures + 1, dtype=torch.float64).sigmoid()
    return ((points - points[0]) / (points[-1] - points[0])).tolist()


def _transition(
    z: Latents,
    log_likelihood: Callable[[Latents], Tensor],
    log_prior: Callable[[Latents], Tensor],
    power: float,
    step_size: Tensor,
    scales: Latents,
) -> tuple[Latents, Tensor, Tensor]:
    """One proposal of Hamiltonian dynamics for each chain: the new z, its log p(x|z), and which moved.

    scales: of the latents, in whose units the steps are; as masses of 1 / scale^2 would make them.
    """

    def potential(z: Latents) -> tuple[Tensor, Tensor, list[Tensor]]:
        with torch.enable_grad():
            z = [part.detach().requires_grad_() for part in z]
            log_px = log_likelihood(z)
            log_f = log_prior(z) + power * log_px
            gradient = torch.autograd.grad(log_f.sum(), z)
        return log_f.detach(), log_px.detach(), list(gradient)

    size = [step_size.view(-1, *[1] * (part.dim() - 1)) * scale for part, scale in zip(z, scales, strict=True)]
    start_f, start_px, gradient = potential(z)
    momentum = [torch.randn_like(part) for part in z]
    start = start_f - _kinetic(momentum)
    at = z
    for step in range(LEAPFROG_STEPS):
        momentum = [m + (0.5 if step == 0 else 1.0) * e * g for m, e, g in zip(momentum, size, gradient, strict=True)]
        at = [part + e * m for part, e, m in zip(at, size, momentum, strict=True)]
        end_f, end_px, gradient = potential(at)
    momentum = [m + 0.5 * e * g for m, e, g in zip(momentum, size, gradient, strict=True)]
    log_ratio = end_f - _kinetic(momentum) - start
    # a diverged proposal is not a number: it is refused
    moved = torch.rand_like(log_ratio).log() < log_ratio.nan_to_num(-math.inf)
    chosen = [torch.where(moved.view(-1, *[1] * (part.dim() - 1)), new, part) for part, new in zip(z, at, strict=True)]
    return chosen, torch.where(moved, end_px, start_px), moved


def _kinetic(momentum: Latents) -> Tensor:
    return 0.5 * torch.stack([part.flatten(1).square().sum(1) for part in momentum]).sum(0)
