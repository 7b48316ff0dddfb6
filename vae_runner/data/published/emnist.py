"""EMNIST: handwritten letters and digits, Cohen et al. (2017)."""

import gzip
import string
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from torch import Tensor

from vae_runner.data.published.idx import parse_idx, read_idx
from vae_runner.data.published.published import Download, Piece, Published
from vae_runner.data.source import Stored
from vae_runner.data.splits import TensorSplit

# lower-case letters that look like their capitals share one class
MERGED = "abdefghnqrt"
CLASSES = {
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "bymerge": string.digits + string.ascii_uppercase + MERGED,
    "balanced": string.digits + string.ascii_uppercase + MERGED,
    "letters": string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}


class EMNIST(Published):
    """Images (1, 28, 28), upright. Letters are counted from 0 (a), not from 1 as in the files.

    part: `balanced` 112,800 + 18,800 of 47 classes, `letters` 26, `digits` 10, `mnist` 10, `bymerge` 47 and `byclass`
        62, both 697,932 + 116,323.
    """

    folder_name = "EMNIST"
    page = "https://www.nist.gov/itl/products-and-services/emnist-dataset (gzip.zip)"

    def __init__(
        self,
        *,
        part: Literal["balanced", "letters", "digits", "mnist", "bymerge", "byclass"] = "balanced",
        **common,
    ) -> None:
        super().__init__(**common)
        self.part = part

    def pieces(self) -> dict[str, Piece]:
        pieces = {}
        for split in ("train", "test"):
            for kind in ("images-idx3", "labels-idx1"):
                file = f"emnist-{self.part}-{split}-{kind}-ubyte"
                forms = (f"raw/{file}", f"raw/{file}.gz", f"raw/gzip/{file}.gz", "raw/gzip.zip")
                pieces[file] = Piece(forms, "raw/gzip.zip")
        return pieces

    def downloads(self) -> dict[str, Download]:
        from torchvision import datasets

        return {"raw/gzip.zip": Download((datasets.EMNIST.url,), datasets.EMNIST.md5)}

    def assemble(self, found: dict[str, Path]) -> Stored:
        names = list(CLASSES[self.part])
        splits = {}
        for split in ("train", "test"):
            x = self._read(f"emnist-{self.part}-{split}-images-idx3-ubyte", found)
            y = self._read(f"emnist-{self.part}-{split}-labels-idx1-ubyte", found).long()
            if self.part == "letters":
                y -= 1
            file = found[f"emnist-{self.part}-{split}-labels-idx1-ubyte"]
            if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
                raise self.damaged(file, f"labels {tuple(y.shape)} for images {tuple(x.shape)}")
            if len(y) and (int(y.min()) < 0 or int(y.max()) >= len(names)):
                raise self.damaged(file, f"labels of other than {len(names)} classes")
            # the files hold each image mirrored along its diagonal
            splits[split] = TensorSplit(x.transpose(1, 2).contiguous().unsqueeze(1), y)
        return Stored(train=splits["train"], test=splits["test"], classes=len(names), class_names=names)

    def _read(self, name: str, found: dict[str, Path]) -> Tensor:
        file = found[name]
        try:
            if file.suffix == ".zip":
                with zipfile.ZipFile(file) as archive:
                    return parse_idx(gzip.decompress(archive.read(f"gzip/{name}.gz")))
            return read_idx(file)
        except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile) as error:
            raise self.damaged(file, error) from error
