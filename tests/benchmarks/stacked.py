"""Steps of J runs: as one, one after another, and in parallel processes.

    python tests/benchmarks/stacked.py [--jobs 2,4,8,16] [--steps 200] [--rounds 3] [key=value ...]

Trains J runs that differ in their seeds for so many steps, three ways in turn: as one and one after another, with all
cores, and in as many processes as there are cores, with one thread each. Prints the milliseconds of one step of one run
(medians over the rounds) and by how much each way is faster than one run after another. Start-up, validation and
pictures, which are the same whichever way, do not count. Words `key=value` are settings of the runs.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

CORES = len(os.sched_getaffinity(0))
WARM_UP = 5


def worker(connection: Connection, threads: int, settings: list[str]) -> None:
    """Answers (way, seeds, steps) with `ready`, and whatever comes then with the seconds that the steps took."""
    import torch

    torch.set_num_threads(threads)
    ready: dict[tuple, Callable[[int], None]] = {}
    while (order := connection.recv()) is not None:
        way, seeds, steps = order
        if (way, seeds) not in ready:
            ready[way, seeds] = prepared(way, seeds, settings)
            ready[way, seeds](WARM_UP)
        connection.send("ready")
        connection.recv()
        synchronise()
        started = time.perf_counter()
        ready[way, seeds](steps)
        synchronise()
        connection.send(time.perf_counter() - started)


def synchronise() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def prepared(way: str, seeds: tuple[int, ...], settings: list[str]) -> Callable[[int], None]:
    """Takes so many steps more of every run."""
    from vae_runner.build import build_experiment, build_trainer
    from vae_runner.config import check, choices_of, compose, resolved
    from vae_runner.run_directory import RunDirectory
    from vae_runner.training.budget import Block
    from vae_runner.training.fitting import Fitting
    from vae_runner.training.stacked.steps import StackedSteps

    fittings = []
    for seed in seeds:
        config = compose([*settings, f"seed={seed}"])
        check(config)
        values = {**resolved(config), "choices": choices_of(config)}
        experiment = build_experiment(values)
        if fittings:
            experiment.data = fittings[0].experiment.data
        directory = RunDirectory(Path(tempfile.mkdtemp()))
        fittings.append(Fitting(build_trainer(values), experiment, directory))

    def indices(fitting, step):
        epoch, position = divmod(step, fitting.budget.steps_per_epoch)
        if position == 0 or epoch not in orders[id(fitting)]:
            orders[id(fitting)] = {epoch: fitting.budget.order(fitting.experiment.seed, epoch).to(device)}
        size = fitting.trainer.batch_size
        return orders[id(fitting)][epoch][position * size : (position + 1) * size]

    device = fittings[0].experiment.device
    orders: dict[int, dict] = {id(fitting): {} for fitting in fittings}

    taken = 0

    def next_steps(steps: int) -> range:
        nonlocal taken
        taken += steps
        return range(taken - steps, taken)

    if way == "as one":
        stacked = StackedSteps(fittings)

        def take(steps: int) -> None:
            for step in next_steps(steps):
                stacked.step([Block(indices(fitting, step)) for fitting in stacked.fittings], step)
    else:

        def take(steps: int) -> None:
            now = next_steps(steps)
            for fitting in fittings:
                for step in now:
                    fitting.step(Block(indices(fitting, step)), step)

    return take


def measured(workers: list, way: str, jobs: int, steps: int) -> float:
    """Seconds of `steps` steps of every job; the jobs are dealt out to the workers."""
    shares = [tuple(range(first, jobs, len(workers))) for first in range(len(workers))]
    busy = [(pipe, share) for pipe, share in zip(workers, shares, strict=True) if share]
    for pipe, share in busy:
        pipe.send((way, share, steps))
    for pipe, _ in busy:
        assert pipe.recv() == "ready"
    for pipe, _ in busy:
        pipe.send("go")
    return max(pipe.recv() for pipe, _ in busy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default="2,4,8,16")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments, settings = parser.parse_known_args()
    # a thread that has to wait sleeps, so that the threads of other programs do not count twice
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    context = multiprocessing.get_context("spawn")

    def start(threads: int) -> Connection:
        ours, theirs = context.Pipe()
        context.Process(target=worker, args=(theirs, threads, settings), daemon=True).start()
        return ours

    one, several = [start(CORES)], [start(1) for _ in range(CORES)]
    ways = {
        "one after another": (one, "plain"),
        f"{CORES} processes": (several, "plain"),
        "as one": (one, "as one"),
    }
    print(f"{' '.join(settings) or 'digits'}: {arguments.steps} steps, {arguments.rounds} rounds, {CORES} cores")
    print(f"{'jobs':>4}  " + "  ".join(f"{f'{way}, ms (ratio)':>30}" for way in ways), flush=True)
    for jobs in map(int, arguments.jobs.split(",")):
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, (workers, way) in ways.items():
                taken[name].append(measured(workers, way, jobs, arguments.steps))
        medians = {name: statistics.median(values) / arguments.steps / jobs * 1000 for name, values in taken.items()}
        first = medians["one after another"]
        cells = [f"{f'{value:.2f} ({first / value:.2f})':>30}" for value in medians.values()]
        print(f"{jobs:>4}  " + "  ".join(cells), flush=True)
    for pipe in one + several:
        pipe.send(None)


if __name__ == "__main__":
    main()
