"""The same job side by side: the tutorial's way, pythae's, a bare loop, and `vae-run train`.

    python tests/benchmarks/benchmark.py [--jobs mlp,conv32,conv64,resnet32,recurrent] [--rounds 3]

All take turns in one go, on a CPU of a second at first and then of a thirtieth of what each took, so that a machine
that slows down slows all of them. Each is trained as many times as there are rounds, or more; the table has the median
of its rates, and what all its examples in all its time come to beside the tutorial's way. Each is a process of its own,
on the GPU if there is one, where a turn is all of its training. MNIST is used where VAE_RUNNER_DATA has it, else images
made up, with which the losses mean nothing; pythae where it is installed (`vae-runner[benchmark]`).
"""

import argparse
import functools
import itertools
import json
import math
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from jobs import JOBS, Job
from turns import Ended, taking_turns

HERE = Path(__file__).parent
WAYS = {"tutorial": "the tutorial's way", "pythae": "pythae", "bare": "a bare loop"}
OURS = {
    "fp32": [],
    "bf16": ["trainer.precision=bf16"],
    "compiled": ["trainer.compile=true"],
    "compiled bf16": ["trainer.compile=true", "trainer.precision=bf16"],
}


@dataclass
class Timing:
    """rate: examples per second. loss: -ELBO of the test examples in nats. memory: the largest resident set in MB."""

    rate: float
    loss: float
    memory: float
    parameters: int


def command(way: str, job: Job, root: Path, epochs: int, number: int) -> list[str]:
    if way in WAYS:
        return [str(HERE / "ways.py"), way, job.name, str(root), str(epochs)]
    return ["-m", "vae_runner", "train", *job.command(root, place(root, way, number), epochs, len_of(root)), *OURS[way]]


def place(root: Path, way: str, number: int) -> Path:
    return root / f"run{number}_{way}"


def other(ended: Ended, examples: int) -> dict[str, Timing]:
    figures = json.loads(ended.output.splitlines()[-1])
    timing = Timing(examples / figures["seconds"], figures["loss"], ended.memory, figures["parameters"])
    return {WAYS[ended.name]: timing}


def ours(ended: Ended, job: Job, root: Path) -> dict[str, Timing]:
    """The whole fit, with validation, pictures, logs and checkpoints; and the windows that have only steps in them."""
    run = place(root, ended.name, ended.number)
    summary = json.loads((run / "summary.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    windows = [
        now["examples_per_second"]
        for before, now in itertools.pairwise(lines)
        if before["split"] == now["split"] == "train" and before["step"] > 1
    ]
    loss, parameters = summary["test"]["loss"], summary["parameters"]
    if not job.bernoulli:  # without the constant of the density, which the others leave out
        loss -= 0.5 * 1.8378770664093453 * job.shape[0] * job.shape[1]
    name = "vae-run train" + (f", {ended.name}" if ended.name != "fp32" else "")
    return {
        f"{name}: its steps": Timing(statistics.harmonic_mean(windows), loss, ended.memory, parameters),
        f"{name}: the whole fit": Timing(summary["examples_per_second"], loss, ended.memory, parameters),
    }


def len_of(root: Path) -> int:
    import numpy as np

    return len(np.load(root / "train.npy", mmap_mode="r"))


def multiplies_bf16() -> bool:
    """Has this machine instructions for it? Others would take longer than with fp32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    about = Path("/proc/cpuinfo")
    return about.is_file() and not {"avx512_bf16", "amx_bf16"}.isdisjoint(about.read_text().split())


def machine() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = (names or [platform.processor()])[0]
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}"


def compare(job: Job, rounds: int, epochs: int, most: int | None, own: Sequence[str]) -> None:
    ways = [way for way in WAYS if way != "pythae" or find_spec("pythae")] + [*own]
    of_way: dict[str, dict[str, list[Timing]]] = {way: {} for way in ways}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        job.make(root, most)
        examples = len_of(root)
        commands = {way: functools.partial(command, way, job, root, epochs) for way in ways}
        for ended in taking_turns(commands, rounds, math.inf if torch.cuda.is_available() else None):
            timings = other(ended, examples * epochs) if ended.name in WAYS else ours(ended, job, root)
            for name, timing in timings.items():
                of_way[ended.name].setdefault(name, []).append(timing)
                print(f"{job.name}, {name}: {timing.rate:,.0f} examples/s", file=sys.stderr, flush=True)
    print(f"\n{job.name}: {examples} examples of {job.shape}, {epochs} epochs, batches of {job.batch_size}\n")
    print("| | examples/s, median | least to most | to the tutorial's way | to a bare loop | test loss | peak MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    found = {name: timings for named in of_way.values() for name, timings in named.items()}
    overall = {name: statistics.harmonic_mean(timing.rate for timing in timings) for name, timings in found.items()}
    for name, timings in found.items():
        rates = [timing.rate for timing in timings]
        ratios = [overall[name] / overall[WAYS[way]] for way in ("tutorial", "bare")]
        loss = statistics.median(timing.loss for timing in timings)
        memory = max(timing.memory for timing in timings)
        print(
            f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to {max(rates):,.0f} | {ratios[0]:.2f} | "
            f"{ratios[1]:.2f} | {loss:.2f} | {memory:,.0f} |",
            flush=True,
        )
    counts = {timings[0].parameters for timings in found.values()}
    assert len(counts) == 1, f"the networks differ: {counts} parameters"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="instead of the job's own")
    parser.add_argument("--examples", type=int, help="train on so many at most")
    parser.add_argument("--ours", help=f"of {', '.join(OURS)}; else fp32, and bf16 where the machine multiplies it")
    arguments = parser.parse_args()
    own = (arguments.ours or ("fp32,bf16" if multiplies_bf16() else "fp32")).split(",")
    print(machine())
    if not find_spec("pythae"):
        print("without pythae, which is not installed: pip install 'vae-runner[benchmark]'")
    for name in arguments.jobs.split(","):
        job = JOBS[name]
        compare(job, arguments.rounds, arguments.epochs or job.epochs, arguments.examples, own)


if __name__ == "__main__":
    main()
