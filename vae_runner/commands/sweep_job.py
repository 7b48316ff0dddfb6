"""One job of a sweep, in whichever process it runs."""

import logging

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vae_runner import execute
from vae_runner.config import choices_of, resolved
from vae_runner.config.composing import plain
from vae_runner.run_directory import RunDirectory

log = logging.getLogger("vae_runner")


def job(config: DictConfig) -> float | None:
    """One job in the sweep's own process.

    Raises whatever broke it, and KeyboardInterrupt, which ends the sweep, where it was asked to stop.
    """
    try:
        return train_job(config, f"job {HydraConfig.get().job.num}: ")
    except execute.Interrupted as error:
        raise KeyboardInterrupt from error


def train_job(config: DictConfig, name: str = "") -> float | None:
    """Trains a job, goes on with it, or passes over it where it is done. Returns the figure that a sweeper optimises.

    name: what its messages begin with.

    Raises Interrupted where it was asked to stop, else whatever broke it.
    """
    directory = RunDirectory(HydraConfig.get().runtime.output_dir)
    what = " ".join(plain(HydraConfig.get().overrides.task))
    state = directory.state()
    if state == "completed":
        log.info("%s%s: completed before, skipped", name, what)
        return execute.monitored(directory.summary())
    log.info("%s%s", name, what)
    values = {**resolved(config), "choices": choices_of(config)}
    if state in ("interrupted", "killed", "failed") and directory.holds_a_run():
        return execute.monitored(execute.resume(directory, config=values))
    directory.lock()
    try:
        return execute.monitored(execute.train(values, directory))
    finally:
        directory.unlock()
