"""CelebA: faces with 40 attributes, Liu et al. (2015); the aligned and cropped images."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from vae_runner.data.decoder import Decoder
from vae_runner.data.files import Archive, Folder
from vae_runner.data.image_files import ImageFiles
from vae_runner.data.published.published import Download, Piece, Published
from vae_runner.data.source import Stored
from vae_runner.errors import UserError
from vae_runner.settings import Range

IMAGES = "img_align_celeba"
ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
SPLITS = {"train": 0, "validation": 1, "test": 2}


class CelebA(Published):
    """162,770 training, 19,867 validation and 19,962 test images, y (N, 40) of attributes, 1 where it applies.

    size: (height, width). crop: side of the central square of the 218x178 originals that is kept.
    """

    folder_name = "celeba"
    page = "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"

    def __init__(
        self, *, size: tuple[int, int] = (64, 64), crop: Annotated[int, Range(1, 178)] = 148, **common
    ) -> None:
        super().__init__(**common)
        self.size = (int(size[0]), int(size[1]))
        self.crop = crop

    def pieces(self) -> dict[str, Piece]:
        return {
            IMAGES: Piece((IMAGES, f"{IMAGES}.zip"), f"{IMAGES}.zip"),
            ATTRIBUTES: Piece((ATTRIBUTES,), ATTRIBUTES),
            PARTITION: Piece((PARTITION,), PARTITION),
        }

    def downloads(self) -> dict[str, Download]:
        from torchvision import datasets

        return {file: Download((), md5, google_drive=drive) for drive, md5, file in datasets.CelebA.file_list}

    def assemble(self, found: dict[str, Path]) -> Stored:
        try:
            attribute_names, attributes = _attributes(found[ATTRIBUTES])
        except (ValueError, IndexError, UnicodeDecodeError) as error:
            raise self.damaged(found[ATTRIBUTES], error) from error
        try:
            rows = [line.split() for line in found[PARTITION].read_text().splitlines() if line.strip()]
            partition = {name: int(split) for name, split in rows}
        except (ValueError, UnicodeDecodeError) as error:
            raise self.damaged(found[PARTITION], error) from error
        if partition.keys() != attributes.keys():
            raise UserError(
                f"{found[ATTRIBUTES]} and {PARTITION} do not list the same images; get both from {self.page}"
            )
        images = found[IMAGES]
        files = Archive(images) if images.is_file() else Folder(images.parent)
        decoder = Decoder(self.size, channels=3, fit="crop", square=self.crop)
        splits = {}
        for split, number in SPLITS.items():
            names = [name for name, part in partition.items() if part == number]
            splits[split] = ImageFiles(
                files,
                [f"{IMAGES}/{name}" for name in names],
                decoder,
                torch.from_numpy(np.stack([attributes[name] for name in names])) if names else None,
                explain=lambda name, error: str(self.damaged(self.folder / name, error)),
            )
        return Stored(
            train=splits["train"],
            validation=splits["validation"],
            test=splits["test"],
            factor_names=attribute_names,
            categorical_factors=tuple(range(len(attribute_names))),
        )


def _attributes(file: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """The names of the attributes, and image -> attributes (F,), from -1 and 1 to 0 and 1."""
    lines = file.read_text().splitlines()
    names = lines[1].split()
    attributes = {}
    for line in lines[2:]:
        image, *values = line.split()
        if len(values) != len(names):
            raise ValueError(f"{len(values)} attributes for {image}, {len(names)} are named")
        attributes[image] = (np.array(values, dtype=np.int64) > 0).astype(np.int64)
    return names, attributes
