"""A process of a sweep other than the one that was started by hand: a worker of joblib, a job of Slurm, a task of Ray.

Ctrl-C reaches every process of a terminal. joblib's workers ignore it and wait for the first process, which sends each
of them a SIGTERM: the job in hand ends as a run does, with everything written, and no other begins. So it does where
the first process is killed, and the workers go.
"""

import atexit
import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from vae_runner.commands.garbage import imports_stay

if TYPE_CHECKING:
    from vae_runner.commands.sweeping.job import Job
    from vae_runner.commands.sweeping.stacks import Group

log = logging.getLogger("vae_runner")

POLL = 0.5  # seconds


class _Worker:
    begun = False  # by `begin`, for the sweep that is locked as long as jobs may begin
    busy = False
    ended = False


def begin(first: int, device: str) -> None:
    """Makes a process of joblib ready for jobs. Where there are several GPUs, it takes the one that is its turn.

    first: the process that has the jobs, by its id. device: where they are to be trained, as `trainer.device` says.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # whatever handler a run has for it
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_without, args=(first,), daemon=True).start()
    _Worker.begun = True
    multiprocessing.set_start_method(None, force=True)  # joblib's own, which no process that helps this one knows
    gc.disable()

    import torch

    import vae_runner.execute  # noqa: F401 - most of what a job needs

    imports_stay()  # joblib looks for garbage after each job
    gc.enable()
    atexit.register(gc.freeze)  # nor need it be looked for at the end
    gpus = torch.cuda.device_count()
    if gpus > 1:
        _, _, number = multiprocessing.current_process().name.rpartition("-")
        torch.cuda.set_device(int(number) % gpus)
    if gpus and device != "cpu":
        with suppress(RuntimeError):  # of which the jobs will tell
            torch.ones(1, 1, device="cuda").mm(torch.ones(1, 1, device="cuda"))  # loads what the first job would


def ready() -> None:
    """Nothing but what a process began with."""


def _end(number: int, frame: FrameType | None) -> None:
    _Worker.ended = True
    if _Worker.busy:
        raise KeyboardInterrupt(signal.Signals(number).name)


def job(config: DictConfig) -> float | None:
    """One job of a sweep.

    Raises Interrupted where it was asked to stop or must not begin, RuntimeError where it failed: the exception itself
    may be one that cannot be sent to another process.
    """
    from hydra.core.hydra_config import HydraConfig

    from vae_runner.commands.sweeping.job import Job
    from vae_runner.reporting.console import lines_of_process

    hydra = HydraConfig.get()
    try:
        with _busy(Path(hydra.sweep.dir)), lines_of_process(f"job {hydra.job.num}: "):
            started = time.monotonic()
            job = Job.of(config)
            value = job.run()
            if not job.is_done:
                log.info(_done(job, value, started))
            return value
    except Exception as error:
        raise _sent(error, hydra.job.num) from None


def group(group: "Group", processes: int) -> dict[int, Any]:
    """Jobs that may be trained as one: what each came to, by its number, errors as those that `job` raises.

    processes: that there are, with this one.
    """
    from vae_runner.commands.sweeping.together import run_group
    from vae_runner.execute import Interrupted
    from vae_runner.reporting.console import lines_of_process

    started = time.monotonic()
    try:
        with _busy(group.jobs[0].directory.path.parent), lines_of_process():
            outcomes: dict[int, Any] = run_group(group, processes)
            for job in group.jobs:
                if isinstance(outcomes[job.number], Exception):
                    outcomes[job.number] = _sent(outcomes[job.number], job.number)
                else:
                    log.info("job %d: %s", job.number, _done(job, outcomes[job.number], started))
            return outcomes
    except Interrupted as error:
        return {job.number: error for job in group.jobs}


def _end_without(first: int) -> None:
    """Ends this process when the first one, which started it, is no more; joblib would have it wait for minutes."""
    while os.getppid() == first:
        time.sleep(POLL)
    os.kill(os.getpid(), signal.SIGTERM)
    while _Worker.busy:
        time.sleep(POLL)
    os._exit(1)


@contextmanager
def _busy(sweep: Path) -> Iterator[None]:
    """Inside, a job is in hand. Raises Interrupted where it was asked to stop or must not begin."""
    from vae_runner.execute import Interrupted
    from vae_runner.run_directory import RunDirectory

    _Worker.busy = True
    try:
        if _Worker.ended or (_Worker.begun and not RunDirectory(sweep).alive()):
            raise Interrupted("the sweep has ended")
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        _Worker.ended = _Worker.begun
        raise Interrupted(str(error)) from None
    finally:
        _Worker.busy = False


def _done(job: "Job", value: float | None, started: float) -> str:
    from vae_runner.execute import monitored_figure
    from vae_runner.reporting.formats import duration, number

    summary = job.directory.summary()
    split = "validation" if summary["validation"] else "training"
    figure = "" if value is None else f", {split} {monitored_figure(summary)} {number(value)}"
    return f"done in {duration(time.monotonic() - started)}{figure}"


def _sent(error: Exception, number: int) -> Exception:
    """The error as one that can be sent to another process."""
    from vae_runner.execute import Interrupted

    return error if isinstance(error, Interrupted) else RuntimeError(f"job {number}: {error!r}")
