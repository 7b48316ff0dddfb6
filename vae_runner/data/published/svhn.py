"""The Street View House Numbers: Netzer et al. (2011)."""

from pathlib import Path

import numpy as np
import torch

from vae_runner.data.published.published import Download, Piece, Published
from vae_runner.data.source import Stored
from vae_runner.data.splits import TensorSplit

FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


class SVHN(Published):
    """73,257 training and 26,032 test images (3, 32, 32) of 10 digits."""

    folder_name = ""
    page = "http://ufldl.stanford.edu/housenumbers/"

    def pieces(self) -> dict[str, Piece]:
        return {file: Piece((file, f"svhn/{file}", f"SVHN/{file}"), file) for file in FILES.values()}

    def downloads(self) -> dict[str, Download]:
        from torchvision import datasets

        return {
            datasets.SVHN.split_list[split][1]: Download(
                (datasets.SVHN.split_list[split][0],), datasets.SVHN.split_list[split][2]
            )
            for split in FILES
        }

    def assemble(self, found: dict[str, Path]) -> Stored:
        return Stored(
            train=self._split(found[FILES["train"]]),
            test=self._split(found[FILES["test"]]),
            classes=10,
            class_names=[str(digit) for digit in range(10)],
        )

    def _split(self, file: Path) -> TensorSplit:
        from scipy.io import loadmat

        try:
            content = loadmat(file)
            x, y = content["X"], content["y"].astype(np.int64).reshape(-1)
            if x.dtype != np.uint8 or x.shape != (32, 32, 3, len(y)) or not set(y.tolist()) <= set(range(1, 11)):
                raise ValueError("labels and images do not go together")
        except Exception as error:  # a damaged .mat raises almost anything
            raise self.damaged(file, error) from error
        # the file calls the digit 0 class 10
        return TensorSplit(torch.from_numpy(np.ascontiguousarray(x.transpose(3, 2, 0, 1))), torch.from_numpy(y % 10))
