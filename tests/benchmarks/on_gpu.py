"""On a GPU: `python tests/benchmarks/on_gpu.py [steps] [residual] [stacked] [commands]`.

Each that is not named is left out; where none is, all but `commands` are done. `profile` prints beside them which
kernels take the time, and with `compile` the steps of `residual` and `stacked` are compiled.

steps: the tutorial's step, by hand and replayed from a CUDA graph, and ours, replayed, compiled and plain. residual: a
residual network on 3x64x64 at batches of 1,024, against the rate of matrix products at the same precision. stacked: the
tutorial's job, many at once. These are steps, without what is between them. commands: the same job as it is typed, ten
epochs of one run and of many, from typing to the prompt.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from by_hand import by_hand
from jobs import JOBS
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from ways import VAE, scaled

from vae_runner.build import build_experiment, build_trainer
from vae_runner.config import check, choices_of, compose, resolved
from vae_runner.run_directory import RunDirectory
from vae_runner.training.budget import Block
from vae_runner.training.fitting import Fitting
from vae_runner.training.recording import compiled
from vae_runner.training.stacked.steps import StackedSteps

SWEEPS = ((1, None), (64, None), (1, None), (64, 2), (64, 8), (8, None))
TUTORIAL = ["architecture.depth=1", "latent_dim=20"]
PROFILE = "profile" in sys.argv
COMPILE = ["trainer.compile=true"] if "compile" in sys.argv else []
RATES = {"fp32": "highest", "tf32": "high", "bf16": "highest"}


def seconds(take: Callable[[int], None], steps: int, rounds: int = 3, warm_up: int = 12) -> float:
    """Of one step, the median of some rounds after a warm-up."""
    for step in range(warm_up):
        take(step)
    found = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for step in range(steps):
            take(step)
        torch.cuda.synchronize()
        found.append((time.perf_counter() - started) / steps)
    return sorted(found)[rounds // 2]


def fitting_of(place: Path, data: Any, *settings: str) -> Fitting:
    config = compose([f"data.path={place / 'both.npz'}", "data=arrays", "data.validation=0", *settings])
    check(config)
    values = {**resolved(config), "choices": choices_of(config)}
    experiment = build_experiment(values)
    experiment.data = data or experiment.data
    return Fitting(build_trainer(values), experiment, RunDirectory(Path(tempfile.mkdtemp())))


def of_fitting(fitting: Fitting) -> Callable[[int], None]:
    order, size = fitting.budget.order(0, 0).to(fitting.experiment.device), fitting.trainer.batch_size
    blocks = [block for block in order.split(size) if len(block) == size]
    return lambda step: fitting.step(Block(blocks[step % len(blocks)]), step)


def written(place: Path, x: np.ndarray) -> None:
    np.savez(place / "both.npz", x_train=x, x_test=x[:100])


def kernels(name: str, take: Callable[[int], None]) -> None:
    """Prints how many kernels a step is of, and those that take most of its time."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        for step in range(10):
            take(step)
        torch.cuda.synchronize()
    events = sorted(profiler.key_averages(), key=lambda event: -event.device_time_total)
    busy, count = (sum(getattr(event, what) for event in events) / 10 for what in ("device_time_total", "count"))
    print(f"\n{name}: {count:.0f} kernels, {busy:.0f} us of them", flush=True)
    for event in events[:25]:
        print(f"  {event.device_time_total / 10:7.1f} us {event.count / 10:5.1f} x {event.key[:110]}")


def steps(place: Path) -> None:
    job = JOBS["mlp"]
    job.make(place)
    x = scaled(torch.from_numpy(np.load(place / "train.npy")).cuda())
    blocks = torch.randperm(len(x), device="cuda").split(job.batch_size)[:-1]

    def bare() -> Callable[[int], None]:
        step, _ = by_hand(VAE(job).cuda(), job, x)
        return lambda i: step(blocks[i % len(blocks)])

    ways = {
        "by hand, replayed": bare(),
        "ours, replayed": of_fitting(fitting_of(place, None, *TUTORIAL)),
        "ours, compiled": of_fitting(fitting_of(place, None, *TUTORIAL, "trainer.compile=true")),
        "ours, plain": of_fitting(fitting_of(place, None, *TUTORIAL, "trainer.record_steps=false")),
    }
    first = 0.0
    for precision in ("fp32", "tf32"):
        if precision == "tf32":
            torch.set_float32_matmul_precision(RATES[precision])
            ways = {"by hand, tf32": bare()}
            for name, compiles in (("ours, tf32", "false"), ("ours, tf32, compiled", "true")):
                settings = ["trainer.precision=tf32", f"trainer.compile={compiles}"]
                ways[name] = of_fitting(fitting_of(place, None, *TUTORIAL, *settings))
        for name, take in ways.items():
            value = seconds(take, 1000 if "plain" not in name else 200)
            first = first or value
            rate = f"{value * 1e6:.0f} us a step | {128 / value:,.0f} examples/s"
            print(f"| {name} | {rate} | {first / value:.2f} |", flush=True)
        if PROFILE:
            for name, take in ways.items():
                kernels(name, take)


def products(precision: str) -> float:
    """Operations a second of matrix products of 8192 by 8192."""
    torch.set_float32_matmul_precision(RATES[precision])
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=kind) for _ in range(2))
    return 2 * 8192**3 / seconds(lambda _: torch.mm(a, b), 5)


def residual(place: Path) -> None:
    written(place, np.random.default_rng(0).integers(0, 256, (4096, 3, 64, 64), dtype=np.uint8))
    data = None
    for precision in reversed(RATES):
        rate = products(precision)
        print(f"| {precision} | matrix products | {rate / 1e12:.0f} TFLOP/s |", flush=True)
        for width in (32, 64, 128):
            settings = [f"architecture.width={width}", "architecture=resnet", "trainer.batch_size=1024", *COMPILE]
            fitting = fitting_of(place, data, *settings, f"trainer.precision={precision}")
            data = fitting.experiment.data
            torch.backends.cudnn.allow_tf32 = precision == "tf32"
            with FlopCounterMode(display=False) as counter:
                fitting._compute(Block(torch.arange(64, device="cuda")), fitting.players)
            count = counter.get_total_flops() / 64 * 1024
            value = seconds(of_fitting(fitting), 5, 1, warm_up=5)
            print(
                f"| {precision} | width {width} | {1e3 * value:.1f} ms | "
                f"{count / value / 1e12:.1f} TFLOP/s | {count / value / rate:.1%} |",
                flush=True,
            )
            torch.cuda.empty_cache()


def stacked(place: Path) -> None:
    JOBS["mlp"].make(place)
    data = None
    for precision, many in (("fp32", (1, 4, 16, 64)), ("tf32", (1, 64))):
        torch.set_float32_matmul_precision(RATES[precision])
        settings, first = [*TUTORIAL, f"trainer.precision={precision}", *COMPILE], 0.0
        for runs in many:
            fittings = [fitting_of(place, data, *settings, "seed=0")]
            data = data or fittings[0].experiment.data
            fittings += [fitting_of(place, data, *settings, f"seed={seed}") for seed in range(1, runs)]
            alone = fitting_of(place, data, *settings)
            first = first or seconds(of_fitting(alone), 300)
            as_one = StackedSteps(fittings)
            blocks: list[Tensor] = [*alone.budget.order(0, 0).to(alone.experiment.device)[: 128 * 400].split(128)]

            def take(step: int, as_one: Any = as_one, blocks: Any = blocks, runs: int = runs) -> None:
                as_one.step([Block(blocks[(step + i) % len(blocks)]) for i in range(runs)], step)

            value = seconds(take, 300)
            print(
                f"| {precision}, {runs} runs | {value * 1e6:.0f} us a step | {value / first:.2f} of one |", flush=True
            )
            assert as_one.take.recordings, "nothing was recorded"
            if PROFILE and runs > 16:
                kernels(f"{runs} runs as one, {precision}", take)


def commands(place: Path, epochs: int = 10, sweeps: Sequence[tuple[int, int | None]] = SWEEPS) -> None:
    """sweeps: how many runs, and in how many processes; None: as many as is good."""
    JOBS["mlp"].make(place)
    settings = [f"data.path={place / 'both.npz'}", "data=arrays", "data.validation=0", *TUTORIAL]
    settings += [f"trainer.epochs={epochs}"]
    first = 0.0
    for runs, processes in sweeps:
        where = tempfile.mkdtemp(dir=place)
        words = [f"hydra.run.dir={where}/run"]
        if runs > 1:
            words = ["-m", "hydra/launcher=vectorized", f"seed=range({runs})", f"hydra.sweep.dir={where}"]
            words += [f"hydra.launcher.n_jobs={processes}"] if processes else []
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "vae_runner", "train", *settings, *words], capture_output=True)
        value = time.perf_counter() - started
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        first = first or value
        how = f" in {processes} processes" if processes else ""
        print(f"| {runs} runs{how} | {value:.1f} s | {value / first:.2f} of the first |", flush=True)


def main(names: list[str]) -> None:
    print(torch.cuda.get_device_name(), torch.__version__)
    compiled.AFTER = 0  # in the warm-up
    chosen = [name for name in names if name not in ("profile", "compile")]
    for name in chosen or ["steps", "residual", "stacked"]:
        print(f"\n{name}")
        with tempfile.TemporaryDirectory() as place:
            {"steps": steps, "residual": residual, "stacked": stacked, "commands": commands}[name](Path(place))


if __name__ == "__main__":
    main(sys.argv[1:])
