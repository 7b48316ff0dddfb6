"""What each step of a fit is of, in order."""

from collections.abc import Generator

from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.data.streamed import StreamedSplit
from vae_runner.training.budget import Budget
from vae_runner.training.experiment import Experiment


def batches(experiment: Experiment, budget: Budget, start: int) -> Generator[Tensor | Batch, None, None]:
    """For each step from `start` on the indices of its examples, on the device; where they lie on disk, the batch."""
    data = experiment.data
    if isinstance(data.train, StreamedSplit):
        yield from data.batches(data.train, budget.blocks(experiment.seed, start, "cpu"))
    else:
        yield from budget.blocks(experiment.seed, start, experiment.device)
