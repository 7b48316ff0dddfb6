"""One job of a sweep, in whichever process it runs."""

import logging
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vae_runner import execute
from vae_runner.config import choices_of, resolved
from vae_runner.config.composing import plain
from vae_runner.config.values import write
from vae_runner.errors import RunFailed, UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.signals import GracefulStop
from vae_runner.training.experiment import Experiment
from vae_runner.training.trainer import Training, by_itself

log = logging.getLogger("vae_runner")


@dataclass
class Job:
    """What a job is. what: its overrides, as typed. values: its resolved config. state: of its directory, before.

    otherwise: what it was completed with, where this sweep gives it more or fewer steps.
    """

    number: int
    what: str
    values: dict[str, Any]
    directory: RunDirectory
    state: str
    otherwise: dict[str, Any]

    @classmethod
    def of(cls, config: DictConfig) -> "Job":
        """The one that Hydra is about to run."""
        hydra = HydraConfig.get()
        directory = RunDirectory(hydra.runtime.output_dir)
        values = {**resolved(config), "choices": choices_of(config)}
        state = directory.state()
        otherwise = execute.other_budget(values, directory) if state == "completed" else {}
        return cls(hydra.job.num, " ".join(plain(hydra.overrides.task)), values, directory, state, otherwise)

    @property
    def is_done(self) -> bool:
        return self.state == "completed" and not self.otherwise

    def run(self, name: str = "") -> float | None:
        """Trains it, goes on with it, or passes over it where it is done; gives the figure that a sweeper optimises.

        name: what its messages begin with.

        Raises Interrupted where it was asked to stop, else whatever broke it.
        """
        if self.is_done:
            log.info("%s%s: completed before, skipped", name, self.what)
            return execute.monitored(self.directory.summary())
        log.info("%s%s", name, self.what)
        stop = GracefulStop()
        value = execute.monitored(by_itself(self.training(stopping=stop)))
        stop.check()  # it may have come too late for this job, but no other begins
        return value

    def training(self, experiment: Experiment | None = None, stopping: execute.Stopping = None) -> Training:
        """The same, for a caller that takes the steps. experiment: what was built of `values` before."""
        if self.state in ("completed", "interrupted", "killed", "failed") and self.directory.holds_a_run():
            resuming = execute.resuming(self.directory, config=self.values, experiment=experiment, stopping=stopping)
            try:
                return (yield from resuming)
            except UserError as error:
                if self.directory.state() != "completed":
                    raise
                log.warning("%s; left as it was completed, %s", error, self._what_to_do())
                return self.directory.summary()
        self.directory.lock()
        try:
            return (yield from execute.training(self.values, self.directory, experiment, stopping))
        except RunFailed as error:
            log.error("%s", error)
            raise
        finally:
            self.directory.unlock()

    def _what_to_do(self) -> str:
        before = " ".join(f"{key}={write(value)}" for key, value in self.otherwise.items())
        return f"with {before}; to train job {self.number} as this sweep has it, remove {self.directory.path}"


def job(config: DictConfig) -> float | None:
    """One job in the sweep's own process.

    Raises whatever broke it, and KeyboardInterrupt, which ends the sweep, where it was asked to stop.
    """
    this = Job.of(config)
    return run_here(this, f"job {this.number}: ")


def run_here(job: Job, name: str = "") -> float | None:
    """As `job`. name: what its messages begin with."""
    try:
        return job.run(name)
    except execute.Interrupted as error:
        raise KeyboardInterrupt from error
