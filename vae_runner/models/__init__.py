"""How latents are wired."""

from vae_runner.models.vae import VAE, Ladder

__all__ = ["VAE", "Ladder"]
