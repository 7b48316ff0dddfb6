"""The loop, phases, optimizers, checkpoints."""

from vae_runner.training.trainer import Trainer

__all__ = ["Trainer"]
