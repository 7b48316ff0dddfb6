"""Plain, recorded and compiled steps, in turn in one process.

    python tests/benchmarks/recorded.py [overrides of a run]

Prints milliseconds a step of each, medians over rounds of a second or so, and how many times as fast as plain ones they
are; and how long it took to compile them, which is shorter where torch has done so before.
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
from vae_runner.training.recording import compiled
from vae_runner.training.recording.steps import RecordedSteps


def fitting_of(place: str, overrides: list[str]) -> Fitting:
    config = compose([*overrides, "trainer.device=cpu"])
    check(config)
    settings = {**resolved(config), "choices": choices_of(config)}
    return Fitting(build_trainer(settings), build_experiment(settings), RunDirectory(Path(place)))


WAYS = {"plain": ["trainer.record_steps=false"], "recorded": [], "compiled": ["trainer.compile=true"]}


def main(overrides: list[str], rounds: int = 12, seconds: float = 1.0) -> None:
    compiled.AFTER = 0  # of all kinds here
    with tempfile.TemporaryDirectory() as place:
        fittings = {way: fitting_of(place, [*overrides, *settings]) for way, settings in WAYS.items()}
        plain = fittings["plain"]
        coming = batches(plain.experiment, plain.budget, 0, ALONE, plain.trainer.length_buckets)
        chosen = [*islice(coming, min(plain.budget.steps_per_epoch, 200))]
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            plain.step(chosen[count % len(chosen)], 0)
            count += 1
        turn = [chosen[number % len(chosen)] for number in range(count)]
        slowest = 0.0
        for way, settings in WAYS.items():
            for _ in range(7):
                for block in chosen:
                    started = time.perf_counter()
                    fittings[way].step(block, 0)
                    slowest = max(slowest, time.perf_counter() - started)
            take = fittings[way].take
            assert isinstance(take, RecordedSteps) == (way != "plain"), settings
            assert not isinstance(take, RecordedSteps) or not take.failed
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, fitting in fittings.items():
                started = time.perf_counter()
                for block in turn:
                    fitting.step(block, 0)
                times[way].append((time.perf_counter() - started) / count * 1e3)
    print(
        f"{' '.join(overrides) or 'the default run'}, {torch.get_num_threads()} threads, compiled in {slowest:.1f} s:"
    )
    for way, milliseconds in times.items():
        ratios = [before / after for before, after in zip(times["plain"], milliseconds, strict=True)]
        print(
            f"  {way:<10}{statistics.median(milliseconds):8.2f} ms  {statistics.median(ratios):5.2f} times as fast "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
