"""CIFAR-10: Krizhevsky (2009)."""

import io
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vae_runner.data.published.published import Download, Piece, Published
from vae_runner.data.source import Stored
from vae_runner.data.splits import TensorSplit

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
# what a pickled numpy array is made of, under the names old and new versions of numpy give it
ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles dictionaries of arrays and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


class CIFAR10(Published):
    """50,000 training and 10,000 test images (3, 32, 32) of 10 classes."""

    folder_name = ""
    page = "https://www.cs.toronto.edu/~kriz/cifar.html"

    def pieces(self) -> dict[str, Piece]:
        return {
            batch: Piece((f"{FOLDER}/{batch}", ARCHIVE), ARCHIVE) for batches in BATCHES.values() for batch in batches
        }

    def downloads(self) -> dict[str, Download]:
        from torchvision import datasets

        return {ARCHIVE: Download((datasets.CIFAR10.url,), datasets.CIFAR10.tgz_md5)}

    def assemble(self, found: dict[str, Path]) -> Stored:
        contents = self._unpacked(self.folder / ARCHIVE) if self.folder / ARCHIVE in found.values() else {}
        splits = {}
        for split, batches in BATCHES.items():
            pixels, labels = [], []
            for batch in batches:
                content = contents.get(batch) if found[batch].name == ARCHIVE else found[batch].read_bytes()
                try:
                    entry = ArrayUnpickler(io.BytesIO(content or b""), encoding="latin1").load()
                    pixels.append(np.asarray(entry["data"]).reshape(-1, 3, 32, 32))
                    labels.append(np.asarray(entry["labels"], dtype=np.int64))
                    valid = pixels[-1].dtype == np.uint8 and labels[-1].shape == pixels[-1].shape[:1]
                    if not valid or not set(labels[-1].tolist()) <= set(range(10)):
                        raise ValueError("labels and images do not go together")
                except Exception as error:  # a damaged pickle raises almost anything
                    raise self.damaged(found[batch], f"{batch}: {error}") from error
            splits[split] = TensorSplit(
                torch.from_numpy(np.concatenate(pixels)), torch.from_numpy(np.concatenate(labels))
            )
        return Stored(train=splits["train"], test=splits["test"], classes=10, class_names=CLASSES)

    def _unpacked(self, file: Path) -> dict[str, bytes]:
        contents = {}
        try:
            with tarfile.open(file, "r|gz") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isfile() else None
                    if content is not None:
                        contents[Path(member.name).name] = content.read()
        except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
            raise self.damaged(file, error) from error
        return contents
