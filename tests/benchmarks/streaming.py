"""Image files that stay on disk: peak memory at two numbers of files, and the rate beside that of decoding alone.

    python tests/benchmarks/streaming.py [--files 20000 200000] [--workers 1] [--side 64]

For each number of files: (a) reads and decodes all of them in random order in as many processes as there are workers,
and does nothing else; (b) trains an epoch on them with `vae-run train data=images data.in_memory=false`, a small
network so that decoding is what takes the time. (a) is taken before and after (b); CPU is per file, and tells the same
where other programs take their share of the machine. Memory is the proportional set size
of the process and all its descendants together, which counts pages that several of them share once. Linux only.
"""

import argparse
import io
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

DISTINCT = 500  # pictures; the others are links to them, which the reader cannot tell from files
FOLDER = 1000  # files in one
SETTLED = 0.2  # of the epoch, after which rates are taken
BATCH = 128


def pictures(side: int) -> Iterator[bytes]:
    """Smooth colours with some noise, as JPEG."""
    random = np.random.default_rng(0)
    for _ in range(DISTINCT):
        colours = Image.fromarray(random.integers(0, 256, (side // 8, side // 8, 3), np.uint8))
        smooth = np.asarray(colours.resize((side, side), Image.Resampling.BICUBIC))
        pixels = smooth + random.normal(0, 8, smooth.shape)
        content = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(content, "JPEG", quality=85)
        yield content.getvalue()


def write(root: Path, files: int, side: int) -> None:
    """That many image files, in folders of 1,000."""
    originals = root / ".originals"
    originals.mkdir(parents=True)
    for i, content in enumerate(pictures(side)):
        (originals / f"{i}.jpg").write_bytes(content)
    for start in range(0, files, FOLDER):
        folder = root / "pictures" / f"{start // FOLDER:04}"
        folder.mkdir(parents=True)
        for i in range(start, min(start + FOLDER, files)):
            os.link(originals / f"{i % DISTINCT}.jpg", folder / f"photograph_{i:07}.jpg")


def decode(arguments: tuple[Path, list[str], int]) -> tuple[float, float]:
    """Reads and decodes these files; gives files per second, and seconds of CPU per file."""
    from vae_runner.data.decoder import Decoder

    root, names, side = arguments
    decoder = Decoder((side, side), fit="exact")
    started, used = time.perf_counter(), time.process_time()
    for name in names:
        decoder((root / name).read_bytes())
    return len(names) / (time.perf_counter() - started), (time.process_time() - used) / len(names)


def alone(root: Path, workers: int, side: int, most: int) -> tuple[float, float]:
    """Files per second of reading and decoding alone, in `workers` processes at once, and seconds of CPU per file."""
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*.jpg"))
    order = np.random.default_rng(0).permutation(len(names))[:most]
    parts = [[names[i] for i in order[k::workers]] for k in range(workers)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.map(decode, [(root, part[:200], side) for part in parts], chunksize=1)  # imports, and warms up
        found = pool.map(decode, [(root, part, side) for part in parts], chunksize=1)
    rates, used = zip(*found, strict=True)
    return sum(rates), statistics.mean(used)


def descendants(process: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [process]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found


def memory(process: int) -> int:
    """Megabytes."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) // 1024


def cpu(process: int) -> float:
    """Seconds so far."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Sample:
    """What is seen of a run at one moment: the steps done, the CPU of the trainer, that of its descendants, memory."""

    time: float
    step: int
    trainer: float
    readers: float
    megabytes: int


def sample(process: int, metrics: Path) -> Sample:
    every = descendants(process)
    lines = metrics.read_text().splitlines() if metrics.exists() else []
    step = json.loads(lines[-1])["step"] if lines else 0
    others = sum(cpu(each) for each in every[1:])
    return Sample(time.perf_counter(), step, cpu(process), others, sum(memory(each) for each in every))


def trained(root: Path, run: Path, workers: int, side: int, steps: int) -> dict[str, float]:
    """Trains an epoch. Gives files per second, CPU seconds per file of reading and of training, and peak memory."""
    command = [sys.executable, "-m", "vae_runner", "train", "data=images", f"data.path={root}", f"hydra.run.dir={run}"]
    command += ["data.in_memory=false", f"data.workers={workers}", f"data.size=[{side},{side}]", "data.fit=stretch"]
    command += ["architecture.width=8", "latent_dim=4", "likelihood=gaussian", "trainer.epochs=1"]
    command += ["trainer.evaluation_examples=2000", "trainer.log_steps=5", f"trainer.batch_size={BATCH}"]
    command += [f"trainer.steps={steps}"]
    samples = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            samples.append(sample(process.pid, run / "metrics.jsonl"))
            time.sleep(0.5)
    assert process.returncode == 0
    last = max(seen.step for seen in samples)
    steady = [seen for seen in samples if SETTLED * last < seen.step < last]
    first, last_one = steady[0], steady[-1]
    files = (last_one.step - first.step) * BATCH
    return {
        "rate": files / (last_one.time - first.time),
        "reading": (last_one.readers - first.readers) / files,
        "training": (last_one.trainer - first.trainer) / files,
        "peak": max(seen.megabytes for seen in samples),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10_000, help="of training, at most; an epoch ends it too")
    parser.add_argument("--decoded", type=int, default=40_000, help="files that are decoded alone, at most")
    arguments = parser.parse_args()
    print(
        "| files | workers | decoding alone | training | ratio | CPU of decoding alone | of reading | of training |",
        end="",
    )
    print(" peak memory |")
    print("| --- " * 9 + "|")
    for files in arguments.files:
        with tempfile.TemporaryDirectory() as temporary:
            write(Path(temporary), files, arguments.side)
            root = Path(temporary) / "pictures"
            for workers in arguments.workers:
                before = alone(root, workers, arguments.side, arguments.decoded)
                run = trained(root, Path(temporary) / f"run{workers}", workers, arguments.side, arguments.steps)
                after = alone(root, workers, arguments.side, arguments.decoded)
                rate, used = ((x + y) / 2 for x, y in zip(before, after, strict=True))
                print(
                    f"| {files:,} | {workers} | {before[0]:,.0f}, {after[0]:,.0f}/s | {run['rate']:,.0f}/s | "
                    f"{run['rate'] / rate:.2f} | {1e6 * used:.0f} us | {1e6 * run['reading']:.0f} us | "
                    f"{1e6 * run['training']:.0f} us | {run['peak']:,} MB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
