"""Files that a command writes: where they may go, and what the file system says of them in one line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

from vae_runner.errors import UserError

Overwrite: TypeAlias = Annotated[bool, "replace files of the names given"]


def new_npz(out: str, overwrite: bool) -> Path:
    """The .npz that `out=` names.

    Raises UserError, before anything is computed, where it cannot or must not be written.
    """
    file = Path(out).expanduser()
    if file.is_dir():
        raise UserError(f"out={file}: is a directory; type out={file / 'samples.npz'}")
    if file.suffix != ".npz":
        raise UserError(f"out={file}: must end in .npz; type out={file}.npz")
    if file.exists() and not overwrite:
        raise UserError(f"out={file}: is there already; type another name, or overwrite=true")
    refuse_directory(file.parent, f"out={file}")
    return file


def new_png(key: str, out: str, overwrite: bool) -> Path:
    """The .png that `key=` names.

    Raises UserError, before anything is computed, where it cannot or must not be written.
    """
    file = Path(out).expanduser()
    if file.suffix != ".png" or file.is_dir():
        instead = file / "runs.png" if file.is_dir() else file.with_suffix(".png")
        raise UserError(f"{key}={out}: must be a file that ends in .png; type {key}={instead}")
    if file.exists() and not overwrite:
        raise UserError(f"{key}={file}: is there already; type another name, or overwrite=true")
    refuse_directory(file.parent, f"{key}={file}")
    return file


def new_folder(out: str, overwrite: bool) -> Path:
    """The folder that `out=` names, which need not be there.

    Raises UserError, before anything is computed, where files cannot or must not be put into it.
    """
    from vae_runner.data.image_files import EXTENSIONS

    folder = Path(out).expanduser()
    if folder.suffix.lower() in EXTENSIONS:
        raise UserError(
            f"out={folder}: is to be a directory, for many images; type out={folder.with_suffix('')}, or "
            f"out={folder.with_suffix('.npz')}"
        )
    if folder.is_file():
        raise UserError(f"out={folder}: is a file; type a .npz, or a folder")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise UserError(f"out={folder}: is there already, with files in it; type another name, or overwrite=true")
    refuse_directory(folder if folder.is_dir() else folder.parent, f"out={folder}")
    return folder


def refuse_directory(directory: Path, blamed: str) -> None:
    """Raises UserError where nothing can be put into `directory`; `blamed`: the argument that led there."""
    if not directory.is_dir():
        problem = "is no directory" if directory.exists() else "does not exist"
        raise UserError(f"{blamed}: {directory} {problem}; make it first, or type another place")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UserError(f"{blamed}: {directory} cannot be written to; type another place")


@contextmanager
def writing(path: Path, instead: str = "") -> Iterator[None]:
    """Raises UserError for what the file system says while `path` is written. instead: what to type then."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(f"{path}: cannot be written ({reason})" + (f"; {instead}" if instead else "")) from error
