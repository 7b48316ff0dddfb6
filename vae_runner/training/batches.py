"""What each step of a fit is of, in order."""

import contextlib
from collections.abc import Generator

from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.data.streamed import StreamedSplit
from vae_runner.training.budget import Budget
from vae_runner.training.distributed import ALONE, World
from vae_runner.training.experiment import Experiment


def batches(
    experiment: Experiment, budget: Budget, start: int, world: World = ALONE
) -> Generator[Tensor | Batch, None, None]:
    """For each step from `start` on the indices of its examples, on the device; where they lie on disk, the batch.

    A batch is this process's part of what is trained on, indices are those of the whole.
    """
    data = experiment.data
    if isinstance(data.train, StreamedSplit):
        blocks = budget.blocks(experiment.seed, start, "cpu")
        with contextlib.closing(data.batches(data.train, map(world.own, blocks))) as coming:
            for step in range(start, budget.steps):
                with world.part_of(budget.size(step)):  # its noise is of the whole batch
                    batch = next(coming)
                yield batch
    else:
        yield from budget.blocks(experiment.seed, start, experiment.device)
