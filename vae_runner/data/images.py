"""A user's folder of images."""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from vae_runner.data.decoder import Decoder, WrongSizeError, upright
from vae_runner.data.files import Files, open_files
from vae_runner.data.image_files import EXTENSIONS, ImageFiles
from vae_runner.data.source import Stored
from vae_runner.data.splits import Examples, Split
from vae_runner.data.streamable import Streamable
from vae_runner.errors import UserError

SPLITS = {"train": "train", "test": "test", "validation": "validation", "valid": "validation", "val": "validation"}


class Images(Streamable):
    """Image files below a folder (or in a .zip of one) -> (channels, height, width) uint8.

    Folders `train` (and `test`, `validation`) on the first level are splits; other folders are classes, whose images
    may lie deeper. Images that all lie in one folder have no label.

    size: (height, width); None takes them as they are, if all are of one size.
    fit: `crop` cuts the middle out, `stretch` changes the proportions.
    channels: 3 colour, 1 grey.
    c: a folder (or .zip) of conditions: for each image one of the same name, at the same place, the ending aside.
    skip_unreadable: leaves an unreadable image out, and says so, instead of stopping at it.
    """

    def __init__(
        self,
        *,
        path: str,
        size: tuple[int, int] | None = None,
        fit: Literal["crop", "stretch"] = "crop",
        channels: Literal[1, 3] = 3,
        c: str | None = None,
        skip_unreadable: bool = False,
        **common,
    ) -> None:
        super().__init__(**common)
        self.path = path
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.fit = fit
        self.channels = channels
        self.c = c
        self.skip_unreadable = skip_unreadable
        if self.size is not None and min(self.size) < 1:
            raise UserError(f"data.size={list(self.size)}: height and width must be 1 or more")

    @property
    def origin(self) -> str:
        return f"data.path={self.path}"

    def load(self) -> Stored:
        files, names = _open(self.path, self.origin)
        prefix, splits = self._splits(names)
        decoder = self._decoder(files, names)
        conditions = self._conditions()
        folders = {split: self._class_folders(split, inside) for split, inside in splits.items()}
        labelled = {split for split, classes in folders.items() if classes}
        if len(labelled) not in (0, len(splits)):
            raise UserError(
                f"{self.origin}: only {', '.join(sorted(labelled))} has class folders; give all splits them"
            )
        class_names = sorted(set().union(*folders.values()))
        if len(class_names) < 2:
            class_names = []
        parts = {}
        for split, inside in splits.items():
            y = _labels(list(inside.values()), class_names)
            parts[split] = ImageFiles(
                files,
                [prefix + name for name in inside],
                decoder,
                y,
                c=conditions(list(inside)) if conditions else None,
                skip_unreadable=self.skip_unreadable,
                explain=self._explain,
            )
        return Stored(
            parts["train"],
            parts.get("test"),
            parts.get("validation"),
            classes=len(class_names) or None,
            class_names=class_names or None,
        )

    def read(self, parts: Sequence[Examples]) -> list[Split]:
        files = [part for part in parts if isinstance(part, ImageFiles)]
        if self.streams(sum(part.size for part in files)):
            return [part.stream(self.workers) for part in files]
        return super().read(parts)

    def _decoder(self, files: Files, names: list[str]) -> Decoder:
        size = self.size or self._common_size(files, names)
        return Decoder(size, self.channels, self.fit if self.size else "exact")

    def _conditions(self) -> Callable[[list[str]], ImageFiles] | None:
        """The names of images below the folder that holds all of them -> their conditions."""
        if self.c is None:
            return None
        origin = f"data.c={self.c}"
        files, names = _open(self.c, origin)
        prefix = self._splits(names)[0]
        known = {os.path.splitext(name.removeprefix(prefix))[0]: name for name in names}
        decoder = self._decoder(files, names)

        def of(images: list[str]) -> ImageFiles:
            for image in images:
                if os.path.splitext(image)[0] not in known:
                    raise UserError(f"{origin}: has no picture for {image}; each image needs one of the same name")
            partners = [known[os.path.splitext(image)[0]] for image in images]
            return ImageFiles(
                files, partners, decoder, explain=lambda name, error: f"{origin}: {name} ({_line(error)}) is no picture"
            )

        return of

    def _splits(self, names: list[str]) -> tuple[str, dict[str, dict[str, str]]]:
        """The folder that holds everything, and split -> {name below that folder: name inside the split}."""
        prefix = ""
        while len({name.partition("/")[0] for name in names}) == 1 and "/" in names[0]:
            top = names[0].partition("/")[0] + "/"
            prefix += top
            names = [name.removeprefix(top) for name in names]
        tops = {name.partition("/")[0] for name in names}
        if "train" not in tops or not tops <= SPLITS.keys():
            return prefix, {"train": {name: name for name in names}}
        splits: dict[str, dict[str, str]] = {}
        for name in names:
            top, _, inside = name.partition("/")
            splits.setdefault(SPLITS[top], {})[name] = inside
        return prefix, splits

    def _class_folders(self, split: str, inside: dict[str, str]) -> set[str]:
        folders = {name.rpartition("/")[0].partition("/")[0] for name in inside.values()}
        if "" in folders and len(folders) > 1:
            where = f" ({split})" if split != "train" else ""
            raise UserError(
                f"{self.origin}{where}: some images lie directly in it and some in folders; "
                f"put each into the folder of its class, or all into one"
            )
        return folders - {""}

    def _common_size(self, files: Files, names: list[str]) -> tuple[int, int]:
        for name in names:
            try:
                with Image.open(io.BytesIO(files.read(name))) as image:
                    picture = upright(image, self.channels)
                    return picture.height, picture.width
            except Exception as error:  # each image library raises its own kinds for a broken file
                if not self.skip_unreadable:
                    raise UserError(self._explain(name, error)) from error
        raise UserError(f"{self.origin}: none of its {len(names)} images can be read")

    def _explain(self, name: str, error: Exception) -> str:
        file = Path(self.path) / name
        if isinstance(error, WrongSizeError):
            return f"{file} {error} and other images are not: set data.size=[height,width] to bring all to one size"
        return f"{file}: not a readable image ({_line(error)}); leave it out with data.skip_unreadable=true"


def _open(folder: str, origin: str) -> tuple[Files, list[str]]:
    """The files in a folder, and the names of the images among them."""
    path = Path(folder).expanduser()
    if not os.path.exists(path):
        raise UserError(f"{origin}: there is no such folder")
    if os.path.isfile(path) and path.suffix.lower() != ".zip":
        raise UserError(
            f"{origin}: not a folder (or a .zip of one); for .npz, .npy, .pt and .csv: data=arrays, or data=series for "
            "series; for text: data=text"
        )
    files = open_files(path)
    names = [name for name in files.names() if name.lower().endswith(EXTENSIONS)]
    if not names:
        raise UserError(f"{origin}: no images in it (looked for {', '.join(EXTENSIONS)})")
    return files, names


def _labels(inside: list[str], class_names: list[str]) -> Tensor | None:
    if not class_names:
        return None
    number = {name: i for i, name in enumerate(class_names)}
    return torch.tensor([number[name.partition("/")[0]] for name in inside])


def _line(error: Exception) -> str:
    if "cannot identify image file" in str(error):
        return "no known image format"
    return (str(error).strip() or type(error).__name__).splitlines()[0]
