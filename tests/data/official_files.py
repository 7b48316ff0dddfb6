"""Tiny files in the formats of the published data sets."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

GENERATOR = np.random.default_rng(0)


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def mnist(root: Path, name: str, packed: bool = True) -> dict[str, np.ndarray]:
    arrays = {
        "train-images-idx3-ubyte": GENERATOR.integers(0, 256, (40, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": np.arange(40) % 10,
        "t10k-images-idx3-ubyte": GENERATOR.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": np.arange(20) % 10,
    }
    for file, array in arrays.items():
        content = idx(array)
        write(root / name / "raw" / (f"{file}.gz" if packed else file), gzip.compress(content) if packed else content)
    return arrays


def emnist(root: Path, part: str, first: int, classes: int, form: str) -> dict[str, np.ndarray]:
    arrays = {}
    for split, n in (("train", 2 * classes), ("test", classes)):
        arrays[f"emnist-{part}-{split}-images-idx3-ubyte"] = GENERATOR.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"emnist-{part}-{split}-labels-idx1-ubyte"] = np.arange(n) % classes + first
    raw = root / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    if form == "zip":
        with zipfile.ZipFile(raw / "gzip.zip", "w") as archive:
            for file, array in arrays.items():
                archive.writestr(f"gzip/{file}.gz", gzip.compress(idx(array)))
        return arrays
    for file, array in arrays.items():
        if form == "idx":
            write(raw / file, idx(array))
        else:
            write(raw / f"{file}.gz", gzip.compress(idx(array)))
    return arrays


def omniglot(root: Path, packed: bool = True) -> None:
    """Two alphabets of two characters to train and one of one to test, each drawn four times: a black bar on white."""
    characters = {
        "images_background": ["Greek/character01", "Greek/character02", "Latin/character01", "Latin/character02"],
        "images_evaluation": ["Angelic/character01"],
    }
    for part, names in characters.items():
        files = {}
        for i, name in enumerate(names):
            for drawer in range(4):
                pixels = np.ones((105, 105), bool)
                pixels[20 * i : 20 * i + 20] = False
                files[f"{part}/{name}/{i:04d}_{drawer:02d}.png"] = png(pixels)
        if packed:
            (root / "omniglot-py").mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(root / "omniglot-py" / f"{part}.zip", "w") as archive:
                for file, content in files.items():
                    archive.writestr(file, content)
        else:
            for file, content in files.items():
                write(root / "omniglot-py" / file, content)


def cifar10(root: Path, packed: bool = True) -> dict[str, np.ndarray]:
    batches = {}
    files = {}
    for batch in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batches[batch] = GENERATOR.integers(0, 256, (10, 3072), dtype=np.uint8)
        files[batch] = pickle.dumps({"data": batches[batch], "labels": list(range(10))}, protocol=2)
    if not packed:
        for batch, content in files.items():
            write(root / "cifar-10-batches-py" / batch, content)
        return batches
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        for batch, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{batch}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return batches


def svhn(root: Path) -> dict[str, np.ndarray]:
    from scipy.io import savemat

    arrays = {}
    for split, n in (("train", 30), ("test", 10)):
        arrays[split] = GENERATOR.integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
        savemat(
            root / f"{split}_32x32.mat", {"X": arrays[split], "y": (np.arange(n) % 10 + 1)[:, None].astype(np.uint8)}
        )
    return arrays


def celeba(root: Path, packed: bool = True) -> None:
    """Twelve images with two attributes: eight to train, two each to validate and test. Image i is grey, 10 * i."""
    folder = root / "celeba"
    names = [f"{i + 1:06d}.jpg" for i in range(12)]
    images = {name: jpeg(np.full((218, 178, 3), 10 * i, np.uint8)) for i, name in enumerate(names)}
    attributes = [
        "12",
        "Bald Smiling ",
        *(f"{name} {'1' if i % 2 else '-1'}  {'1' if i < 3 else '-1'}" for i, name in enumerate(names)),
    ]
    partition = [f"{name} {0 if i < 8 else 1 if i < 10 else 2}" for i, name in enumerate(names)]
    write(folder / "list_attr_celeba.txt", "\n".join(attributes).encode() + b"\n")
    write(folder / "list_eval_partition.txt", "\n".join(partition).encode() + b"\n")
    if not packed:
        for name, content in images.items():
            write(folder / "img_align_celeba" / name, content)
        return
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for name, content in images.items():
            archive.writestr(f"img_align_celeba/{name}", content)
