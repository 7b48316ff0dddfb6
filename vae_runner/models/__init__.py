"""How latents are wired."""

from vae_runner.models.vae import VAE

__all__ = ["VAE"]
