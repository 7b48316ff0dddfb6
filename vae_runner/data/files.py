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

    def place(self, name: str) -> str:
        """Where that is, for a message."""
        ...


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
            inside = os.path.relpath(root, self.path).replace(os.sep, "/")
            prefix = "" if inside == "." else f"{inside}/"
            found += [name for file in files if not _hidden(name := prefix + file)]
        found.sort()
        return found

    def read(self, name: str) -> bytes:
        with open(os.path.join(self.path, name), "rb") as file:
            return file.read()

    def place(self, name: str) -> str:
        return os.path.join(self.path, name)


class Archive:
    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: not a readable .zip file ({error})") from error

    def names(self) -> list[str]:
        return sorted(name for name in self.zip.namelist() if not name.endswith("/") and not _hidden(name))

    def read(self, name: str) -> bytes:
        return self.zip.read(name)

    def place(self, name: str) -> str:
        return f"{self.path}: {name}"

    def __reduce__(self) -> tuple[type["Archive"], tuple[Path]]:
        return Archive, (self.path,)  # another process opens the file anew


def open_files(path: Path) -> Files:
    """The files of a folder or of a .zip."""
    return Folder(path) if path.is_dir() else Archive(path)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
