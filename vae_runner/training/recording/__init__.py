"""Training steps that are recorded once and replayed: their operators on a CPU, their kernels on a GPU."""

from vae_runner.training.recording.steps import Step, steps_on

__all__ = ["Step", "steps_on"]
