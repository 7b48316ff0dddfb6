"""How the jobs of a sweep are run: what `hydra/launcher` means for them."""

import functools
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vae_runner.commands.sweeping import worker
from vae_runner.commands.sweeping.processes import parallel_processes, processes_for
from vae_runner.config.composing import plain
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory


def noted(job: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """The same job, which gives None where it failed and that is in its directory: Hydra would say so once more."""

    @functools.wraps(job)
    def run(config: DictConfig) -> Any:
        try:
            return job(config)
        except Exception:
            if RunDirectory(HydraConfig.get().runtime.output_dir).state() == "failed":
                return None
            raise

    return run


@dataclass(frozen=True)
class Launch:
    """What runs a job; `overrides` of Hydra's own settings; `said` of it before, and `interrupted` after Ctrl-C.

    processes: of this machine, that joblib has.
    """

    job: Callable[[DictConfig], Any] = worker.job
    overrides: Sequence[str] = ()
    processes: int = 1
    said: str = ""
    interrupted: str = "interrupted"

    @classmethod
    def of(cls, config: DictConfig, jobs: int | None) -> "Launch":
        """As the config of a sweep says. jobs: how many there are, where that is known.

        Raises UserError where it cannot be.
        """
        from vae_runner.commands.sweeping import job as sweep_job

        launcher = plain(config.hydra.launcher)["_target_"].rpartition(".")[2]
        # a sweeper that chooses by what came of jobs is told of a failure, so that it does not choose by that one
        quiet = noted if jobs is not None else lambda job: job
        if launcher == "BasicLauncher":
            return cls(quiet(sweep_job.job))
        if launcher == "JoblibLauncher":
            processes = processes_for(config.hydra.launcher.n_jobs, jobs)
            # each job by itself: joblib would hand several short ones to one process while others wait
            overrides = [f"hydra.launcher.n_jobs={processes}", "hydra.launcher.batch_size=1"]
            if processes == 1:
                return cls(quiet(sweep_job.job), overrides)
            return cls(quiet(worker.job), overrides, processes, f", {processes} at a time")
        if launcher == "VectorizedLauncher":
            from vae_runner.commands.sweeping.vectorized import prepare

            processes = prepare(config, jobs)
            said = f", in {processes} processes" if processes > 1 else ""
            # its launcher trains what the task says
            return cls(sweep_job.Job.of, [f"hydra.launcher.n_jobs={processes}"], processes, said)
        if launcher == "SlurmLauncher":
            if shutil.which("srun") is None:
                raise UserError("hydra/launcher: there is no Slurm here (no srun); type this on a node of the cluster")
            return cls(interrupted="interrupted, but Slurm has the jobs and goes on with them (scancel ends them)")
        return cls()

    def around(self, sweep: RunDirectory) -> AbstractContextManager[None]:
        """Within it Hydra launches the jobs of `sweep`, which is locked."""
        return parallel_processes(sweep, self.processes) if self.processes > 1 else nullcontext()
