"""A process of a sweep other than the one that was started by hand: a worker of joblib, a job of Slurm, a task of Ray.

Ctrl-C reaches every process of a terminal. joblib's workers ignore it and wait for the first process, which sends each
of them a SIGTERM: the job in hand ends as a run does, with everything written, and no other begins.
"""

import gc
import logging
import multiprocessing
import signal
import time
from types import FrameType

from omegaconf import DictConfig

log = logging.getLogger("vae_runner")


class _Worker:
    begun = False  # by `begin`, for the sweep that is locked as long as jobs may begin
    busy = False
    ended = False


def begin() -> None:
    """Makes a process of joblib ready for jobs. Where there are several GPUs, it takes the one that is its turn."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # whatever handler a run has for it
    signal.signal(signal.SIGTERM, _end)
    _Worker.begun = True

    import torch

    import vae_runner.execute  # noqa: F401 - most of what a job needs

    gc.freeze()  # it never becomes garbage, and joblib looks for garbage after each job
    if (gpus := torch.cuda.device_count()) > 1:
        _, _, number = multiprocessing.current_process().name.rpartition("-")
        torch.cuda.set_device(int(number) % gpus)


def _end(number: int, frame: FrameType | None) -> None:
    _Worker.ended = True
    if _Worker.busy:
        raise KeyboardInterrupt(signal.Signals(number).name)


def job(config: DictConfig) -> float | None:
    """One job of a sweep.

    Raises Interrupted where it was asked to stop or must not begin, RuntimeError where it failed: the exception itself
    may be one that cannot be sent to another process.
    """
    _Worker.busy = True
    try:
        return _job(config)
    finally:
        _Worker.busy = False


def _job(config: DictConfig) -> float | None:
    from hydra.core.hydra_config import HydraConfig

    from vae_runner.commands.sweeping.job import Job
    from vae_runner.execute import Interrupted
    from vae_runner.reporting.console import lines_of_job
    from vae_runner.reporting.formats import duration, number
    from vae_runner.run_directory import RunDirectory

    hydra = HydraConfig.get()
    try:
        if _Worker.ended or (_Worker.begun and not RunDirectory(hydra.sweep.dir).alive()):
            raise Interrupted("the sweep has ended")
        with lines_of_job(hydra.job.num):
            started = time.monotonic()
            job = Job.of(config)
            value = job.run()
            if not job.is_done:
                split = "validation" if job.directory.summary()["validation"] else "training"
                reached = "" if value is None else f", {split} {config.trainer.monitor} {number(value)}"
                log.info("done in %s%s", duration(time.monotonic() - started), reached)
            return value
    except (Interrupted, KeyboardInterrupt) as error:
        _Worker.ended = _Worker.begun
        raise Interrupted(str(error)) from None
    except Exception as error:
        raise RuntimeError(f"job {hydra.job.num}: {error!r}") from None
