"""A model of which everything is known: p(z) = N(0, I), p(x|z) = N(W z + b, s^2), q(z|x) = N(A x + c, diag(v))."""

from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from vae_runner.data.space import Batch
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.kl import Constant
from vae_runner.models.evidence import Evidence, Level


def likelihood(mean: Tensor, scale: float) -> SimpleNamespace:
    """p(x|z) as a model gives it, by torch.distributions."""
    return SimpleNamespace(log_prob=lambda x, mask=None: Independent(Normal(mean, scale), 1).log_prob(x))


def full_weight(weight: float | list[float] = 1.0) -> Constant:
    return Constant(1, 1, weight=weight).double()


class LinearGaussian(nn.Module):
    """From 2 latents to 3 observed numbers, in double precision."""

    latent_shapes = ((2,),)
    condition = None
    scale = 0.7

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(3, 2).double(), nn.Linear(2, 3).double()
        self.log_variance = nn.Parameter(torch.full((2,), -0.5, dtype=torch.double))
        self.inference_parameters = [*self.encoder.parameters(), self.log_variance]
        self.generative_parameters = [*self.decoder.parameters()]

    def forward(self, batch: Batch, samples: int = 1) -> Evidence:
        mean = self.encoder(batch.x)
        q = DiagonalGaussian(mean, self.log_variance.expand_as(mean))
        z = q.sample(samples)
        px = likelihood(self.decoder(z).flatten(0, 1), self.scale)
        return Evidence(px, batch.x, None, [Level(z=z, q=q, p=StandardNormal(torch.zeros(2, dtype=torch.double)))])

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x), (N,)."""
        weight = self.decoder.weight.detach()
        covariance = weight @ weight.T + self.scale**2 * torch.eye(3, dtype=torch.double)
        return MultivariateNormal(self.decoder.bias.detach(), covariance).log_prob(x)


def examples(n: int) -> Batch:
    x = torch.randn(n, 3, dtype=torch.double)
    return Batch(x=x, input=x)
