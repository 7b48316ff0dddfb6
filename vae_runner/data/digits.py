"""The handwritten digits that come with scikit-learn: 1,797 real images of 8x8 pixels, no download.

Alpaydin and Kaynak (1998), UCI "Optical Recognition of Handwritten Digits": each pixel counts, 0 to 16, the dark
points of a 4x4 block.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from vae_runner.data.source import Source, Stored
from vae_runner.data.splits import TensorSplit

TEST = 297
FILE = "datasets/data/digits.csv.gz"


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """The pixels (1797, 64), 0 to 16, and the labels (1797,)."""
    package = find_spec("sklearn")
    if package is not None and package.origin is not None:
        file = Path(package.origin).parent / FILE
        if file.is_file():  # importing scikit-learn takes seconds, the file in it a moment
            table = np.loadtxt(file, delimiter=",", dtype=np.float32)
            return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


class Digits(Source):
    """1,500 training and 297 test examples (1, 8, 8) in [0, 1], always the same ones, and 10 classes."""

    def load(self) -> Stored:
        pixels, labels = read_digits()
        x = torch.from_numpy(pixels.astype(np.float32) / 16).view(-1, 1, 8, 8)
        y = torch.from_numpy(labels.astype(np.int64))
        # the stored order goes writer by writer: a permutation that numpy guarantees never to change mixes them
        order = torch.from_numpy(np.random.RandomState(0).permutation(len(x)))
        test, train = order[:TEST].sort().values, order[TEST:].sort().values
        everything = TensorSplit(x, y)
        return Stored(
            train=everything.subset(train),
            test=everything.subset(test),
            classes=10,
            class_names=[str(digit) for digit in range(10)],
        )
