"""A sweep of short runs: one after another with all cores, in parallel processes of one thread each, and as one.

    python tests/benchmarks/sweep.py [--jobs 16] [--steps 300] [--rounds 3] [key=value ...]

Alternates them, and prints the seconds of each, their ratios, and how long a process needs from the end of a job to
the first step of its next one. Words `key=value` are settings of the runs, the default ones on the digits.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

CORES = len(os.sched_getaffinity(0))
WAYS = {
    f"one after another, {CORES} threads": (["hydra/launcher=basic"], CORES),
    f"{CORES} processes, 1 thread each": (["hydra/launcher=joblib", f"hydra.launcher.n_jobs={CORES}"], 1),
    f"as one in each of {CORES} processes": (["hydra/launcher=vectorized", f"hydra.launcher.n_jobs={CORES}"], 1),
    f"as one, {CORES} threads": (["hydra/launcher=vectorized", "hydra.launcher.n_jobs=1"], CORES),
}


def sweep(settings: list[str], launcher: list[str], threads: int, place: Path) -> float:
    """Seconds from typing the command to its end."""
    command = [sys.executable, "-m", "vae_runner", "train", "-m", *settings, *launcher, f"hydra.sweep.dir={place}"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - started


def gaps(place: Path) -> Iterator[float]:
    """Seconds between a job and the first step of the next one in the same process."""
    jobs = defaultdict(list)
    for file in place.glob("*/status.json"):
        status = json.loads(file.read_text())
        begun, ended = first_step(file.parent), datetime.fromisoformat(status["ended"]).timestamp()
        jobs[status["pid"]].append((begun, ended))
    for of_process in jobs.values():
        of_process.sort()
        for (_, ended), (begun, _) in pairwise(of_process):
            yield begun - ended


def first_step(run: Path) -> float:
    """When the first step of a run was logged."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    (file,) = (run / "tensorboard").glob("events.out.*")
    events = EventFileLoader(str(file)).Load()
    return next(event.wall_time for event in events if event.step == 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    arguments, settings = parser.parse_known_args()
    settings = [f"seed=range({arguments.jobs})", f"trainer.steps={arguments.steps}", *settings]
    print(f"{arguments.jobs} jobs of {arguments.steps} steps on {CORES} cores: {' '.join(settings)}")
    seconds: dict[str, list[float]] = defaultdict(list)
    between: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        for turn in range(arguments.rounds):
            for number, (way, (launcher, threads)) in enumerate(WAYS.items()):
                place = Path(temporary) / f"{turn}_{number}"
                seconds[way].append(sweep(settings, launcher, threads, place))
                between[way] += gaps(place)
                print(f"  {way:<32}{seconds[way][-1]:8.1f} s", flush=True)
    first = statistics.median(next(iter(seconds.values())))
    print("\n| | seconds | least to most | to one after another | seconds between two jobs of a process |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for way, values in seconds.items():
        middle, gap = statistics.median(values), statistics.median(between[way])
        apart = f"{gap:.2f} ({min(between[way]):.2f} to {max(between[way]):.2f})" if gap > 0 else "they are one"
        print(f"| {way} | {middle:.1f} | {min(values):.1f} to {max(values):.1f} | {middle / first:.2f} | {apart} |")


if __name__ == "__main__":
    main()
