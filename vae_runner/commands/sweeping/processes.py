"""The processes of `hydra/launcher=joblib`: how many, what they begin with, and how they end together."""

import functools
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from vae_runner.commands.sweeping import worker
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory

log = logging.getLogger("vae_runner")

POLL = 0.05  # seconds


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


def threads_for(processes: int) -> int:
    """How many threads each of so many processes has: as many as OMP_NUM_THREADS says, else 1.

    All of them together have no more than there are cores: threads that wait for others do so at full speed, and a step
    of a few milliseconds takes a hundred of them where others wait for the same core.
    """
    from joblib import cpu_count

    asked = os.environ.get("OMP_NUM_THREADS", "1").partition(",")[0].strip()  # of the outermost level, where of several
    return min(int(asked) if asked.isdecimal() else 1, max(cpu_count() // processes, 1))


@contextmanager
def parallel_processes(sweep: RunDirectory, processes: int) -> Iterator[None]:
    """Inside, joblib's processes are workers of this sweep, as many as `processes`.

    Ctrl-C or SIGTERM ends the sweep when every run in hand has ended: KeyboardInterrupt.
    """
    from joblib import register_parallel_backend
    from joblib.externals.loky import get_reusable_executor
    from joblib.parallel import BACKENDS

    loky = BACKENDS["loky"]
    ours = functools.partial(loky, inner_max_num_threads=threads_for(processes), initializer=worker.begin)
    register_parallel_backend("loky", ours)
    handlers = _handle(functools.partial(_end, sweep))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        register_parallel_backend("loky", loky)
        get_reusable_executor(reuse=True).shutdown(kill_workers=False)


@contextmanager
def starting(processes: int) -> Iterator[None]:
    """Inside, as many processes of joblib start, beside whatever is done here; after it they are there."""
    if processes == 1:
        yield
        return
    thread = threading.Thread(target=_start, args=(processes,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _start(processes: int) -> None:
    from joblib import Parallel, delayed

    # in this thread, and so in what it starts, which Ctrl-C reaches before it can ignore it
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    with suppress(Exception):  # what ends them here ends the jobs as well, and is told there
        Parallel(n_jobs=processes, batch_size=1)(delayed(worker.ready)() for _ in range(processes))


def _handle(handler: Any) -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():  # elsewhere Python forbids handlers
        return {}
    return {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}


def _end(sweep: RunDirectory, number: int, frame: FrameType | None) -> None:
    sweep.unlock()  # a worker that was not yet ready for the signal sees this, and begins no job
    log.warning("ending; every run stops after the step in hand")
    for process in multiprocessing.active_children():
        assert process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
    while any(RunDirectory(path).alive() for path in sweep.path.iterdir() if path.name.isdigit()):
        time.sleep(POLL)
    raise KeyboardInterrupt  # joblib kills the workers, none of which holds a run
