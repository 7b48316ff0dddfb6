"""The tutorial's job side by side: the tutorial's way, a bare loop, and `vae-run train`.

    python tests/benchmarks/benchmark.py [--epochs 1] [--rounds 3]

Alternates the three so that a machine that slows down slows all of them, and prints medians and ratios. Uses MNIST
where VAE_RUNNER_DATA has it, else random images of the same size, with which losses mean nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent


def mnist() -> tuple[torch.Tensor, torch.Tensor, str]:
    """Training and test images, and what they are."""
    from vae_runner.data.published.mnist import MNIST

    root = os.environ.get("VAE_RUNNER_DATA", "data")
    if not (Path(root) / "MNIST" / "raw").is_dir():
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (70_000, 1, 28, 28), dtype=torch.uint8, generator=generator)
        return images[:60_000], images[60_000:], "random images"
    data = MNIST(name="MNIST", root=root, download=False, validation=0).open()
    every = [split.take(torch.arange(len(split)))[0] for split in (data.train, data.test)]
    return every[0], every[1], "MNIST"


def write_idx(folder: Path, train: torch.Tensor, test: torch.Tensor) -> None:
    """The images as the idx files that torchvision and vae_runner read."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, images in (("train", train), ("t10k", test)):
        n = len(images).to_bytes(4, "big")
        side = (28).to_bytes(4, "big")
        (raw / f"{name}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + n + side + side + images.numpy().tobytes())
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + n + bytes(len(images)))


def tutorial(root: Path, epochs: int) -> tuple[float, float]:
    """Seconds of training and the last running loss."""
    command = [sys.executable, str(HERE / "tutorial.py"), str(root), str(epochs)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in printed.splitlines()]
    return sum(line["seconds"] for line in lines), lines[-1]["train"]


def bare(images: torch.Tensor, epochs: int) -> tuple[float, float]:
    sys.path.insert(0, str(HERE))
    from bare import train

    started = time.perf_counter()
    loss = train(images, epochs)
    return time.perf_counter() - started, loss


def runner(root: Path, epochs: int, place: Path) -> tuple[float, float]:
    """The whole fit, with its validation, pictures, logs and checkpoints, as a process of its own."""
    settings = ["experiment=tutorial_mnist", f"data.root={root}", f"trainer.epochs={epochs}", f"hydra.run.dir={place}"]
    command = [sys.executable, "-m", "vae_runner", "train", *settings]
    subprocess.run(command, check=True, capture_output=True)
    summary = json.loads((place / "summary.json").read_text())
    return summary["seconds"], summary["train_running"]["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    train, test, what = mnist()
    print(f"{what}, {arguments.epochs} epochs of {len(train)}, {torch.get_num_threads()} threads")
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_idx(root, train, test)
        for turn in range(arguments.rounds):
            for name, run in (
                ("tutorial", lambda: tutorial(root, arguments.epochs)),
                ("bare loop", lambda: bare(train, arguments.epochs)),
                ("vae-run train, whole fit", lambda turn=turn: runner(root, arguments.epochs, root / f"run{turn}")),
            ):
                seconds, loss = run()
                rates.setdefault(name, []).append(len(train) * arguments.epochs / seconds)
                print(f"  {name:<26}{seconds:8.1f} s  last running loss {loss:8.2f}", flush=True)
    first = statistics.median(rates["tutorial"])
    for name, values in rates.items():
        middle = statistics.median(values)
        print(f"{name:<26}{middle:10,.0f} examples/s ({min(values):,.0f} to {max(values):,.0f})  {middle / first:.2f}x")


if __name__ == "__main__":
    main()
