"""What each step of a fit is of, in order."""

import contextlib
from collections.abc import Generator

from vae_runner.data.splits import TensorSplit
from vae_runner.data.streamed import StreamedSplit
from vae_runner.training.buckets import Buckets
from vae_runner.training.budget import Budget
from vae_runner.training.distributed import ALONE, World
from vae_runner.training.experiment import Experiment
from vae_runner.training.recording.given import Given


def batches(
    experiment: Experiment, budget: Budget, start: int, world: World = ALONE, lengths: int = 1
) -> Generator[Given, None, None]:
    """For each step from `start` on the examples, on the device; where they lie on disk, the batch.

    A batch is this process's part of what is trained on, a block is the whole. lengths: how many lengths sequences are
    padded to.
    """
    data = experiment.data
    if isinstance(data.train, StreamedSplit):
        blocks = budget.blocks(experiment.seed, start, "cpu")
        own = (world.own(block.indices) for block in blocks)
        with contextlib.closing(data.batches(data.train, own)) as coming:
            for step in range(start, budget.steps):
                with world.part_of(budget.size(step)):  # its noise is of the whole batch
                    batch = next(coming)
                yield batch
    else:
        yield from budget.blocks(experiment.seed, start, experiment.device, _buckets(experiment, lengths))


def _buckets(experiment: Experiment, count: int) -> Buckets | None:
    """None where all batches have the length of the longest sequence."""
    train = experiment.data.train
    if count == 1 or not isinstance(train, TensorSplit) or train.lengths is None:
        return None
    if not (experiment.model.any_length and experiment.objective.any_length):
        return None
    return Buckets(train.lengths, train.shape[0], count)
