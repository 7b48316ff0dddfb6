"""Where the time of a training step goes, on a CPU: `python tests/benchmarks/profile_step.py [overrides of a run]`.

Self time of operators by torch.profiler, in groups, and what is left between them: Python, and the profiler itself.
"""

import re
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from vae_runner.build import build_experiment, build_trainer
from vae_runner.config import check, choices_of, compose, resolved
from vae_runner.run_directory import RunDirectory
from vae_runner.training.budget import Block
from vae_runner.training.fitting import Fitting

STEPS = 100
GROUPS = {
    "matrix products, convolutions, recurrent layers": r"aten::(add|b)?mm$|conv|mkldnn|lstm|gru",
    "the optimizer's kernel": r"_fused_|Optimizer.step",
    "norm of the gradient: is it finite?": r"vector_norm|_foreach_norm",
    "taking the batch from the data": r"index_select",
    "random numbers": r"normal_|randn|rand|bernoulli",
    "all other operators": r"",
}


def main(overrides: list[str]) -> None:
    config = compose(overrides)
    check(config)
    settings = {**resolved(config), "choices": choices_of(config)}
    with tempfile.TemporaryDirectory() as place:
        fitting = Fitting(build_trainer(settings), build_experiment(settings), RunDirectory(Path(place)))
        order = fitting.budget.order(0, 0)
        size = fitting.trainer.batch_size
        batches = [order[i * size : (i + 1) * size] for i in range(min(STEPS, len(order) // size))]
        steps = [batches[i % len(batches)] for i in range(STEPS)]
        for number, indices in enumerate(steps):
            fitting.step(Block(indices), number)
        started = time.perf_counter()
        for number, indices in enumerate(steps):
            fitting.step(Block(indices), number)
        wall = (time.perf_counter() - started) / STEPS
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for number, indices in enumerate(steps):
                fitting.step(Block(indices), number)
    times: dict[str, float] = dict.fromkeys(GROUPS, 0.0)
    calls = dict.fromkeys(GROUPS, 0)
    for event in profiler.key_averages():
        group = next(name for name, pattern in GROUPS.items() if re.search(pattern, event.key))
        times[group] += event.self_cpu_time_total / 1e6 / STEPS
        calls[group] += event.count // STEPS
    print(
        f"{' '.join(overrides)}: {wall * 1e3:.2f} ms a step without the profiler, {torch.get_num_threads()} threads\n"
    )
    print("| | ms | share of the operators' time | calls |")
    print("| --- | ---: | ---: | ---: |")
    total = sum(times.values())
    for name, seconds in times.items():
        print(f"| {name} | {seconds * 1e3:.2f} | {seconds / total:.1%} | {calls[name]} |")
    print(f"| together | {total * 1e3:.2f} | | {sum(calls.values())} |")


if __name__ == "__main__":
    main(sys.argv[1:] or ["experiment=tutorial_mnist"])
