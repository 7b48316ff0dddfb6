"""The processes of joblib that jobs of a sweep run in: how many, what they begin with, and how they end together."""

import functools
import glob
import logging
import multiprocessing
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vae_runner.commands.sweeping import worker
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.signals import interruptible

log = logging.getLogger("vae_runner")

POLL = 0.05  # seconds
SHARE, MOST = 8, 4  # jobs of each process that shares a GPU with others, and such processes of each GPU
VISIBLE_DEVICES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA, of AMD, of either under Windows
EACH_GPU = "/dev/nvidia[0-9]*"  # of NVIDIA; of the others one is expected


def processes_for(n_jobs: Any, jobs: int | None) -> int:
    """How many processes joblib is to have: `n_jobs`, a negative one counted back from the cores (-1: all of them).

    jobs: how many there are, where that is known; more processes would only wait.

    Raises UserError where `n_jobs` is no such number, or leaves no process.
    """
    from joblib import cpu_count, effective_n_jobs

    cores = cpu_count()
    if type(n_jobs) is not int or n_jobs == 0 or n_jobs < -cores:
        fewer = f", down to -{cores} for one alone" if cores > 1 else ""
        raise UserError(
            f"hydra.launcher.n_jobs={n_jobs}: must be a number of processes, or -1 for one on each core{fewer}"
        )
    processes = effective_n_jobs(n_jobs)
    return processes if jobs is None else min(processes, jobs)


def processes_of_stacks(settings: Mapping[str, Any], device: str, jobs: int | None) -> int:
    """How many processes jobs that are trained as one are divided among.

    As many as there are cores, where a process has two jobs at least. A GPU computes for one process at a time, and has
    four at most, of eight jobs at least: they are there for what is not a step.

    settings: of `hydra/launcher=vectorized`. jobs: how many there are, where that is known.

    Raises UserError where they cannot be.
    """
    at_once, n_jobs = settings["at_once"], settings["n_jobs"]
    if at_once is not None and (type(at_once) is not int or at_once < 2):
        raise UserError(f"hydra.launcher.at_once={at_once}: must be a number of jobs, from 2, or null")
    if n_jobs is not None:
        return processes_for(n_jobs, jobs)
    if jobs is None or jobs < 4:
        return 1
    return processes_for(-1, jobs // 2 if _is_cpu(device) else max(1, min(jobs // SHARE, MOST * _gpus())))


def _is_cpu(device: str) -> bool:
    """Of a name as in `trainer.device`, without importing torch, which takes seconds, where that is not needed."""
    if device == "cpu":
        return True
    if device == "auto" and sys.platform == "linux":
        return not _has_gpu()

    from vae_runner.training.device import choose_device

    return choose_device(device).type == "cpu"


def _has_gpu() -> bool:
    """Whether there is a GPU, and the torch that is installed was not built for the processor alone."""
    if not any(map(os.path.exists, GPU_DEVICES)) or not all(map(_shows_one, VISIBLE_DEVICES)):
        return False
    torch = find_spec("torch")
    lies = Path(torch.origin).parent / "lib" if torch and torch.origin else Path()
    built = {file.stem.removeprefix("libtorch_") for file in lies.glob("libtorch_*")}
    return "cpu" not in built or not built.isdisjoint({"cuda", "hip"})  # where none is, they lie elsewhere


def _gpus() -> int:
    """How many there are for this process, 1 at least."""
    there = [max(1, len(glob.glob(EACH_GPU)))]
    shown = [len(os.environ[variable].split(",")) for variable in VISIBLE_DEVICES if variable in os.environ]
    return min(there + shown)


def _shows_one(variable: str) -> bool:
    """Whether a variable that says which GPUs there are for this process names one, or is not set."""
    first = os.environ.get(variable, "0").partition(",")[0].strip()  # after one that is not there none is seen
    return first.isdecimal() or first.startswith(("GPU-", "MIG-"))


def threads_for(processes: int) -> int:
    """How many threads each of so many processes has: as many as OMP_NUM_THREADS says, else 1.

    All of them together have no more than there are cores: threads that wait for others do so at full speed, and a step
    of a few milliseconds takes a hundred of them where others wait for the same core.
    """
    from joblib import cpu_count

    asked = os.environ.get("OMP_NUM_THREADS", "1").partition(",")[0].strip()  # of the outermost level, where of several
    return min(int(asked) if asked.isdecimal() else 1, max(cpu_count() // processes, 1))


@contextmanager
def workers(processes: int, settings: Mapping[str, Any], device: str, begun: bool = True) -> Iterator[None]:
    """Inside, joblib's processes are workers, as many as `processes`; at its end they end, at once where it fails.

    settings: of the `joblib.Parallel` that will give them jobs; with others joblib would begin with new ones. device:
    of the jobs, as `trainer.device` says. begun: they start at once, beside whatever is done here until jobs come: a
    process imports for seconds.
    """
    from joblib import register_parallel_backend
    from joblib.externals.loky import get_reusable_executor
    from joblib.parallel import BACKENDS

    loky = BACKENDS["loky"]
    starting = threading.Thread(target=_start, args=(processes, settings))

    def ours(**arguments: Any) -> Any:
        if begun and threading.current_thread() is not starting:
            starting.join()  # else it would be given other processes
        begin = {"initializer": worker.begin, "initargs": (os.getpid(), device)}
        return loky(inner_max_num_threads=threads_for(processes), **begin, **arguments)

    register_parallel_backend("loky", ours)
    if begun:
        starting.start()
    try:
        yield
    except BaseException:
        _signal_all(signal.SIGKILL)
        while starting.is_alive():  # also those that it starts by now
            starting.join(POLL)
            _signal_all(signal.SIGKILL)
        raise
    finally:
        if begun:
            starting.join()
        register_parallel_backend("loky", loky)
        get_reusable_executor(reuse=True).shutdown(kill_workers=False)


def _start(processes: int, settings: Mapping[str, Any]) -> None:
    from joblib import Parallel, delayed
    from joblib.externals.loky.backend import resource_tracker

    # Python before 3.12 unblocks the signal where it starts these, which ignore it by themselves
    resource_tracker.ensure_running()
    multiprocessing.resource_tracker.ensure_running()
    # in this thread, and so in what it starts, which Ctrl-C reaches before it can ignore it
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    with suppress(Exception):  # what ends them here ends the jobs as well, and is told there
        Parallel(**settings)(delayed(worker.ready)() for _ in range(processes))


@contextmanager
def ending_together(sweep: RunDirectory) -> Iterator[None]:
    """Inside, Ctrl-C or SIGTERM ends the sweep when every run in hand has ended: KeyboardInterrupt."""
    with interruptible(functools.partial(_end, sweep)):  # upon which joblib kills the workers, none of which has a run
        yield


def _end(sweep: RunDirectory) -> None:
    sweep.unlock()  # a worker that was not yet ready for the signal sees this, and begins no job
    _signal_all(signal.SIGTERM)
    with suppress(RuntimeError):  # where it came while a line was written
        log.warning("ending; every run stops after the step in hand")
    while any(RunDirectory(path).alive() for path in sweep.path.iterdir() if path.name.isdigit()):
        time.sleep(POLL)


def _signal_all(number: signal.Signals) -> None:
    """Of joblib's processes; a program that calls us may have others."""
    for process in multiprocessing.active_children():
        if not process.name.startswith("LokyProcess"):
            continue
        assert process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
