"""One job of a sweep, in whichever process it runs."""

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
    """What a job is. what: its overrides, as typed. values: its resolved config. state: of its directory, before."""

    number: int
    what: str
    values: dict[str, Any]
    directory: RunDirectory
    state: str

    @classmethod
    def of(cls, config: DictConfig) -> "Job":
        """The one that Hydra is about to run."""
        hydra = HydraConfig.get()
        directory = RunDirectory(hydra.runtime.output_dir)
        values = {**resolved(config), "choices": choices_of(config)}
        return cls(hydra.job.num, " ".join(plain(hydra.overrides.task)), values, directory, directory.state())

    @property
    def is_done(self) -> bool:
        return self.state == "completed"

    def run(self, name: str = "") -> float | None:
        """Trains it, goes on with it, or passes over it where it is done; gives the figure that a sweeper optimises.

        name: what its messages begin with.

        Raises Interrupted where it was asked to stop, else whatever broke it.
        """
        if self.is_done:
            log.info("%s%s: completed before, skipped", name, self.what)
            return execute.monitored(self.directory.summary())
        log.info("%s%s", name, self.what)
        return execute.monitored(by_itself(self.training()))

    def training(self, experiment: Experiment | None = None, stopping: execute.Stopping = None) -> Training:
        """The same, for a caller that takes the steps. experiment: what was built of `values` before."""
        if self.state in ("interrupted", "killed", "failed") and self.directory.holds_a_run():
            resuming = execute.resuming(self.directory, config=self.values, experiment=experiment, stopping=stopping)
            return (yield from resuming)
        self.directory.lock()
        try:
            return (yield from execute.training(self.values, self.directory, experiment, stopping))
        finally:
            self.directory.unlock()


def job(config: DictConfig) -> float | None:
    """One job in the sweep's own process.

    Raises whatever broke it, and KeyboardInterrupt, which ends the sweep, where it was asked to stop.
    """
    return run_here(Job.of(config))


def run_here(job: Job) -> float | None:
    """As `job`."""
    try:
        return job.run(f"job {job.number}: ")
    except execute.Interrupted as error:
        raise KeyboardInterrupt from error


def train_job(config: DictConfig) -> float | None:
    """One job in another process. Raises as `Job.run` does."""
    return Job.of(config).run()
