"""MNIST (LeCun et al., 1998) and the sets made in its likeness.

Fashion-MNIST: Xiao et al. (2017). KMNIST: Clanuwat et al. (2018).
"""

import zlib
from pathlib import Path
from typing import Literal

from vae_runner.data.published.idx import read_idx
from vae_runner.data.published.published import Download, Piece, Published
from vae_runner.data.source import Stored
from vae_runner.data.splits import TensorSplit

CLASSES = {
    "MNIST": [str(digit) for digit in range(10)],
    "FashionMNIST": [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    "KMNIST": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
}
PAGES = {
    "MNIST": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "FashionMNIST": "https://github.com/zalandoresearch/fashion-mnist",
    "KMNIST": "https://codh.rois.ac.jp/kmnist/",
}
PARTS = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}


class MNIST(Published):
    """60,000 training and 10,000 test images (1, 28, 28) of 10 classes.

    name: which of the sets in this format; also the folder below `root`.
    """

    def __init__(self, *, name: Literal["MNIST", "FashionMNIST", "KMNIST"] = "MNIST", **common) -> None:
        super().__init__(**common)
        self.name = name
        self.folder_name = name
        self.page = PAGES[name]

    def pieces(self) -> dict[str, Piece]:
        return {file: Piece((f"raw/{file}", f"raw/{file}.gz"), f"raw/{file}.gz") for file in PARTS.values()}

    def downloads(self) -> dict[str, Download]:
        from torchvision import datasets

        known = getattr(datasets, self.name)
        return {
            f"raw/{file}": Download(tuple(mirror + file for mirror in known.mirrors), md5)
            for file, md5 in known.resources
        }

    def assemble(self, found: dict[str, Path]) -> Stored:
        return Stored(
            train=self._split("train", found),
            test=self._split("test", found),
            classes=10,
            class_names=CLASSES[self.name],
        )

    def _split(self, split: str, found: dict[str, Path]) -> TensorSplit:
        read = {}
        for part, axes in (("images", 3), ("labels", 1)):
            file = found[PARTS[split, part]]
            try:
                read[part] = read_idx(file)
            except (OSError, EOFError, ValueError, zlib.error) as error:
                raise self.damaged(file, error) from error
            if read[part].ndim != axes:
                raise self.damaged(file, f"{read[part].ndim} axes where {part} have {axes}")
        x, y = read["images"], read["labels"]
        if len(x) != len(y) or (len(y) and int(y.max()) >= 10):
            raise self.damaged(file, f"{len(y)} labels for {len(x)} images, or labels above 9")
        return TensorSplit(x.unsqueeze(1), y.long())
