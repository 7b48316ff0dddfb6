"""One job of a sweep: what is to be done, and doing it."""

import logging
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vae_runner import execute
from vae_runner.config import choices_of, resolved
from vae_runner.config.composing import plain
from vae_runner.run_directory import RunDirectory
from vae_runner.training.experiment import Experiment
from vae_runner.training.trainer import Training, by_itself

log = logging.getLogger("vae_runner")


@dataclass
class Job:
    """what: its overrides, as a person reads them. values: its resolved config. state: of its directory, at first."""

    number: int
    what: str
    values: dict[str, Any]
    directory: RunDirectory
    state: str

    @classmethod
    def of(cls, config: DictConfig) -> "Job":
        """The job that Hydra is about to run."""
        hydra = HydraConfig.get()
        directory = RunDirectory(hydra.runtime.output_dir)
        values = {**resolved(config), "choices": choices_of(config)}
        return cls(hydra.job.num, " ".join(plain(hydra.overrides.task)), values, directory, directory.state())

    @property
    def is_done(self) -> bool:
        return self.state == "completed"

    def run(self) -> float | None:
        """Trains, or goes on; returns the figure that a sweeper optimises.

        Raises whatever broke it, and KeyboardInterrupt to end the sweep.
        """
        if self.is_done:
            log.info("job %s: %s: completed before, skipped", self.number, self.what)
            return execute.monitored(self.directory.summary())
        log.info("job %s: %s", self.number, self.what)
        try:
            return execute.monitored(by_itself(self.training()))
        except execute.Interrupted as error:
            raise KeyboardInterrupt from error

    def training(self, experiment: Experiment | None = None, stopping: execute.Stopping = None) -> Training:
        """The same, for a caller that takes the steps. experiment: what was built of `values` before."""
        if self.state in ("interrupted", "killed", "failed") and self.directory.holds_a_run():
            return (
                yield from execute.resuming(
                    self.directory, config=self.values, experiment=experiment, stopping=stopping
                )
            )
        try:
            self.directory.lock()
            return (yield from execute.training(self.values, self.directory, experiment, stopping))
        finally:
            self.directory.unlock()
