"""`hydra/launcher=vectorized`: jobs of a sweep that differ only in numbers are trained as one."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from vae_runner.commands.sweeping import worker
from vae_runner.commands.sweeping.job import Job, run_here
from vae_runner.commands.sweeping.jobs import are_listed
from vae_runner.commands.sweeping.stacks import groups
from vae_runner.commands.sweeping.together import Outcome, run_group

TARGET = "hydra_plugins.vae_runner.VectorizedLauncher"


def make_known() -> None:
    """Tells Hydra of the launcher.

    It takes launchers from the package hydra_plugins alone, which is there where some other plugin is installed.
    """
    Plugins.instance().register(VectorizedLauncher)
    package = sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    vars(package)["vae_runner"] = sys.modules[__name__]


class VectorizedLauncher(Launcher):
    """Its task, `Job.of`, says what a job is and does nothing.

    at_once: jobs that are trained as one, at most; None: as many as is good. n_jobs: processes that they are divided
    among.
    """

    __module__ = TARGET.rpartition(".")[0]

    def __init__(self, at_once: int | None, n_jobs: int) -> None:
        self.at_once, self.n_jobs = at_once, n_jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        returns = [
            self._prepared(number, overrides) for number, overrides in enumerate(job_overrides, start=initial_job_idx)
        ]
        prepared = [done for done in returns if done.status is JobStatus.COMPLETED]
        outcomes = run_jobs([done.return_value for done in prepared], self.at_once, self.n_jobs)
        for done in prepared:
            job, outcome = done.return_value, outcomes[done.return_value.number]
            if isinstance(outcome, Exception) and are_listed(self.config) and job.directory.state() == "failed":
                outcome = None  # it is in its directory, and Hydra would say so once more
            done.status = JobStatus.FAILED if isinstance(outcome, BaseException) else JobStatus.COMPLETED
            done.return_value = outcome
        return returns

    def _prepared(self, number: int, overrides: Sequence[str]) -> JobReturn:
        """What Hydra makes of a job, with its files, and a Job where its value will be."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return run_job(
            hydra_context=self.hydra_context,
            task_function=self.task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


def run_jobs(jobs: Sequence[Job], at_once: int | None, processes: int) -> dict[int, Outcome]:
    """Trains all jobs, as one those that can be. Returns by number what each came to.

    Raises KeyboardInterrupt where it was asked to stop.
    """
    outcomes: dict[int, Outcome] = {job.number: run_here(job, f"job {job.number}: ") for job in jobs if job.is_done}
    left = [job for job in jobs if not job.is_done]
    if processes > 1:
        from joblib import Parallel, delayed

        parts = groups(left, at_once, processes)
        found = Parallel(n_jobs=processes, batch_size=1)(delayed(worker.group)(part, processes) for part in parts)
    else:
        found = map(run_group, groups(left, at_once))
    for of_group in found:
        outcomes |= of_group
    return outcomes
