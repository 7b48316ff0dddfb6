"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 people. Lake et al. (2015)."""

from pathlib import Path

import torch

from vae_runner.data.decoder import Decoder
from vae_runner.data.files import Archive, Folder
from vae_runner.data.image_files import ImageFiles
from vae_runner.data.published.published import Download, Piece, Published
from vae_runner.data.source import Stored

PARTS = {"train": "images_background", "test": "images_evaluation"}


class Omniglot(Published):
    """19,280 training images (the background set) and 13,180 test images (the evaluation set), strokes bright.

    The characters of the two sets are different ones: a class is a character of either, in the order of their names.

    size: (height, width) to which the originals of 105x105 are brought.
    """

    folder_name = "omniglot-py"
    page = "https://github.com/brendenlake/omniglot/tree/master/python"

    def __init__(self, *, size: tuple[int, int] = (28, 28), **common) -> None:
        super().__init__(**common)
        self.size = (int(size[0]), int(size[1]))

    def pieces(self) -> dict[str, Piece]:
        return {part: Piece((f"{part}.zip", part), f"{part}.zip") for part in PARTS.values()}

    def downloads(self) -> dict[str, Download]:
        from torchvision import datasets

        return {
            f"{part}.zip": Download((f"{datasets.Omniglot.download_url_prefix}/{part}.zip",), md5)
            for part, md5 in datasets.Omniglot.zips_md5.items()
        }

    def assemble(self, found: dict[str, Path]) -> Stored:
        decoder = Decoder(self.size, channels=1, fit="stretch", inverted=True)
        splits = {}
        class_names: list[str] = []
        for split, part in PARTS.items():
            file = found[part]
            files = Archive(file) if file.is_file() else Folder(file)
            names = [name for name in files.names() if name.endswith(".png")]
            if not names:
                raise self.damaged(file, "no images in it")
            characters = ["/".join(name.split("/")[-3:-1]) for name in names]
            known = sorted(set(characters))
            number = {character: len(class_names) + i for i, character in enumerate(known)}
            class_names += known
            y = torch.tensor([number[character] for character in characters])
            splits[split] = ImageFiles(files, names, decoder, y, explain=self._explain)
        return Stored(train=splits["train"], test=splits["test"], classes=len(class_names), class_names=class_names)

    def _explain(self, name: str, error: Exception) -> str:
        return str(self.damaged(self.folder / name, error))
