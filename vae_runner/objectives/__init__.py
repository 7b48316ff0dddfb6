"""Losses, one short file each."""

from vae_runner.objectives.elbo import ELBO

__all__ = ["ELBO"]
