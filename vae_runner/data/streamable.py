"""A source whose examples may stay on disk."""

import logging
from typing import Annotated

from vae_runner import launched
from vae_runner.data.memory import room
from vae_runner.data.source import Source
from vae_runner.forked import cores
from vae_runner.settings import Range

logger = logging.getLogger("vae_runner")

PROCESSES = 8  # that read ahead, at most, where their number is not given


class Streamable(Source):
    """Reads its examples into memory, or leaves them on disk and reads batches ahead of their use: results are equal.

    in_memory: None reads them where they take at most half of the memory that is available (see `memory.room`).
    workers: processes that read ahead; None one per core but the one that trains, 8 at most; 0 reads each in its turn.
    """

    def __init__(
        self, *, in_memory: bool | None = None, workers: Annotated[int, Range(0, 1024)] | None = None, **common
    ) -> None:
        super().__init__(**common)
        self.in_memory = in_memory
        own = cores() // launched.local_processes()  # of this process, where several train together
        self.workers = min(max(own - 1, 1), PROCESSES) if workers is None else workers

    def streams(self, size: int) -> bool:
        """Whether examples that would take `size` bytes stay on disk."""
        if self.in_memory is not None:
            return not self.in_memory
        if size <= (most := room(self.device)):
            return False
        logger.info(
            "%s: %.1f GB are read from disk as they are needed, for memory has room for %.1f GB (data.in_memory=true "
            "reads them all the same)",
            self.origin,
            size / 2**30,
            most / 2**30,
        )
        return True
