"""How the jobs of a sweep are run: what `hydra/launcher` means for them."""

import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vae_runner.commands.garbage import imports_stay
from vae_runner.commands.sweeping import worker
from vae_runner.commands.sweeping.processes import ending_together, processes_for, processes_of_stacks, workers
from vae_runner.config.composing import plain
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.signals import interruptible


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

    processes: of this machine, that joblib has, by the `parallel` settings of its `Parallel`; they train on `device`,
    as `trainer.device` says. prepare: what is to be done before Hydra launches.
    """

    job: Callable[[DictConfig], Any] = worker.job
    overrides: Sequence[str] = ()
    processes: int = 1
    parallel: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    said: str = ""
    interrupted: str = "interrupted"
    prepare: Callable[[], None] = lambda: None

    @classmethod
    def of(cls, config: DictConfig, jobs: int | None) -> "Launch":
        """As the config of a sweep says, without importing what trains. jobs: how many there are, where that is known.

        Raises UserError where it cannot be.
        """
        settings = plain(config.hydra.launcher)
        launcher = settings.pop("_target_").rpartition(".")[2]
        # a sweeper that chooses by what came of jobs is told of a failure, so that it does not choose by that one
        quiet = noted if jobs is not None else lambda job: job
        if launcher == "BasicLauncher":
            return cls(quiet(_run_here))
        if launcher == "JoblibLauncher":
            processes = processes_for(settings["n_jobs"], jobs)
            # each job by itself: joblib would hand several short ones to one process while others wait
            parallel = {"n_jobs": processes, "batch_size": 1}
            overrides = [f"hydra.launcher.{key}={value}" for key, value in parallel.items()]
            if processes == 1:
                return cls(quiet(_run_here), overrides)
            return cls(
                quiet(worker.job),
                overrides,
                processes,
                settings | parallel,
                device=config.trainer.device,
                said=f", {processes} at a time",
            )
        if launcher == "VectorizedLauncher":
            processes = processes_of_stacks(settings, config.trainer.device, jobs)
            return cls(
                _described,  # its launcher trains what the task says
                [f"hydra.launcher.n_jobs={processes}"],
                processes,
                {"n_jobs": processes, "batch_size": 1},
                device=config.trainer.device,
                said=f", in {processes} processes" if processes > 1 else "",
                prepare=_make_vectorized_known,
            )
        if launcher == "SlurmLauncher":
            if shutil.which("srun") is None:
                raise UserError("hydra/launcher: there is no Slurm here (no srun); type this on a node of the cluster")
            return cls(interrupted="interrupted, but Slurm has the jobs and goes on with them (scancel ends them)")
        return cls()

    def workers(self, begun: bool = True) -> AbstractContextManager[None]:
        """Within it joblib's processes are there; begun: from now on."""
        if self.processes == 1:
            return nullcontext()
        return workers(self.processes, self.parallel, self.device, begun)

    def around(self, sweep: RunDirectory) -> AbstractContextManager[None]:
        """Within it Hydra launches the jobs of `sweep`, which is locked."""
        self.prepare()
        return ending_together(sweep) if self.processes > 1 else interruptible()


def _run_here(config: DictConfig) -> float | None:
    from vae_runner.commands.sweeping.job import job

    imports_stay()
    with interruptible():
        return job(config)


def _described(config: DictConfig) -> Any:
    from vae_runner.commands.sweeping.job import Job

    imports_stay()
    with interruptible():
        return Job.of(config)


def _make_vectorized_known() -> None:
    from vae_runner.commands.sweeping.vectorized import make_known

    make_known()
