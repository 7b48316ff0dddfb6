"""Recorded steps beside plain ones, in turn in one process: `python tests/benchmarks/recorded.py [overrides of a run]`.

Prints milliseconds a step of each, medians over rounds of a second or so, and how many times as fast recorded ones are.
"""

import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import torch

from vae_runner.build import build_experiment, build_trainer
from vae_runner.config import check, choices_of, compose, resolved
from vae_runner.run_directory import RunDirectory
from vae_runner.training.batches import batches
from vae_runner.training.distributed import ALONE
from vae_runner.training.fitting import Fitting
from vae_runner.training.recorded import RecordedSteps


def fitting_of(place: str, overrides: list[str]) -> Fitting:
    config = compose([*overrides, "trainer.device=cpu"])
    check(config)
    settings = {**resolved(config), "choices": choices_of(config)}
    return Fitting(build_trainer(settings), build_experiment(settings), RunDirectory(Path(place)))


def main(overrides: list[str], rounds: int = 12, seconds: float = 1.0) -> None:
    with tempfile.TemporaryDirectory() as place:
        plain = fitting_of(place, [*overrides, "trainer.record_steps=false"])
        recorded = fitting_of(place, overrides)
        coming = batches(plain.experiment, plain.budget, 0, ALONE, plain.trainer.length_buckets)
        chosen = [*islice(coming, min(plain.budget.steps_per_epoch, 200))]
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            plain.step(chosen[count % len(chosen)], 0)
            count += 1
        turn = [chosen[number % len(chosen)] for number in range(count)]
        for _ in range(6):
            for block in chosen:
                recorded.step(block, 0)
        assert isinstance(recorded.take, RecordedSteps)
        assert not recorded.take.failed
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(rounds):
            for fitting in (plain, recorded):
                started = time.perf_counter()
                for block in turn:
                    fitting.step(block, 0)
                times[fitting is recorded].append((time.perf_counter() - started) / count * 1e3)
    ratios = [before / after for before, after in zip(times[False], times[True], strict=True)]
    print(
        f"{' '.join(overrides) or 'the default run'}, {torch.get_num_threads()} threads: "
        f"plain {statistics.median(times[False]):.2f} ms, recorded {statistics.median(times[True]):.2f} ms, "
        f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
