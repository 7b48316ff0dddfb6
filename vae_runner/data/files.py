"""A folder and a .zip of a folder, read the same way: nothing is ever unpacked beside it."""

import os
import zipfile
from pathlib import Path
from typing import Protocol

from vae_runner.errors import UserError


class Files(Protocol):
    def names(self) -> list[str]:
        """Paths below the root, with forward slashes, sorted; hidden files are left out."""
        ...

    def read(self, name: str) -> bytes: ...


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        found = []
        seen = set()
        for root, folders, files in os.walk(self.path, followlinks=True):
            # links are followed, but a link to a parent would be followed for ever
            seen.add(os.path.realpath(root))
            folders[:] = [folder for folder in folders if os.path.realpath(os.path.join(root, folder)) not in seen]
            found += [Path(root, file).relative_to(self.path).as_posix() for file in files]
        return sorted(name for name in found if not _hidden(name))

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


class Archive:
    def __init__(self, path: Path) -> None:
        try:
            self.zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: not a readable .zip file ({error})") from error

    def names(self) -> list[str]:
        return sorted(name for name in self.zip.namelist() if not name.endswith("/") and not _hidden(name))

    def read(self, name: str) -> bytes:
        return self.zip.read(name)


def open_files(path: Path) -> Files:
    """The files of a folder or of a .zip."""
    return Folder(path) if path.is_dir() else Archive(path)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
