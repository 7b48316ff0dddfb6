"""Distributions of steps, as one over the path that they make."""

from typing import Any

from torch import Tensor

from vae_runner.errors import UserError


class Path:
    """N paths of T steps: `steps` is over (N*T, D), step after step, the path over (N, D, T).

    there: 1 for the steps (N, T) that a sequence has; whatever lies beyond its end counts for nothing.
    """

    def __init__(self, steps: Any, there: Tensor) -> None:
        self.steps, self.there = steps, there

    @property
    def mean(self) -> Tensor:
        mean = self.steps.mean.unflatten(0, self.there.shape) * self.there[:, :, None]
        return mean.transpose(1, 2)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats, (S, N), of z (S, N, D, T)."""
        terms = self.steps.log_prob(z.transpose(2, 3).flatten(1, 2))
        return (terms.unflatten(1, self.there.shape) * self.there).sum(2)

    def kl_units(self, p: "Path") -> Tensor | None:
        """KL(self || p) in nats of each of the D units, (N, D), or None where the steps have no closed form."""
        units = self.steps.kl_units(p.steps)
        return None if units is None else (units.unflatten(0, self.there.shape) * self.there[:, :, None]).sum(1)

    def detach(self) -> "Path":
        """Raises UserError: the q of a step hangs on the draws before it, a path that would be cut with the score."""
        raise UserError(
            "objective.gradient=doubly_reparameterised: with a latent for each step q is no fixed density of z; "
            "type objective.gradient=standard"
        )
