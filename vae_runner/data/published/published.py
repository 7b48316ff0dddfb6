"""What the published data sets share: where their files are, and how they get there.

Files are read as they are, packed or unpacked, so a read-only folder of the official downloads is enough.
"""

import os
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vae_runner.data.source import Source, Stored
from vae_runner.errors import DataAbsent, UserError


@dataclass(frozen=True)
class Download:
    """An official file: where torchvision gets it (one address after the other), and its MD5 sum."""

    urls: tuple[str, ...]
    md5: str
    google_drive: str | None = None


@dataclass(frozen=True)
class Piece:
    """Something to read: any of `forms`, paths below the folder; where none is there, `official` is fetched."""

    forms: tuple[str, ...]
    official: str


class Published(Source):
    """A subclass names its folder, the pieces it reads, and torchvision's table of downloads, and reads what is there.

    root: the folder of all data sets. download: whether missing files may be fetched.
    """

    folder_name: str
    page: str

    def __init__(self, *, root: str = "data", download: bool = True, **common) -> None:
        super().__init__(**common)
        self.root = root
        self.download = download

    @property
    def folder(self) -> Path:
        return Path(self.root).expanduser() / self.folder_name

    @property
    def origin(self) -> str:
        return str(self.folder)

    def pieces(self) -> dict[str, Piece]:
        raise NotImplementedError

    def downloads(self) -> dict[str, Download]:
        """Official file, relative to the folder -> where it is from."""
        raise NotImplementedError

    def assemble(self, found: dict[str, Path]) -> Stored:
        """The data from what `pieces` asked for, in the form in which it was found."""
        raise NotImplementedError

    def load(self) -> Stored:
        missing = self._missing()
        if missing:
            self._fetch(missing)
        found = {name: self._find(piece) for name, piece in self.pieces().items()}
        return self.assemble({name: path for name, path in found.items() if path is not None})

    def damaged(self, file: Path, error: Exception | str) -> UserError:
        """The message for a file that is there but cannot be what it should."""
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return UserError(f"{file}: truncated or corrupt ({reason}); delete it and get it again from {self.page}")

    def _find(self, piece: Piece) -> Path | None:
        return next((self.folder / form for form in piece.forms if os.path.exists(self.folder / form)), None)

    def _missing(self) -> list[str]:
        # several things may be in one official file
        return list(dict.fromkeys(piece.official for piece in self.pieces().values() if self._find(piece) is None))

    def _fetch(self, missing: list[str]) -> None:
        why = "data.download=false"
        if self.download:
            try:
                for name, download in self.downloads().items():
                    if name in missing:
                        self._download(self.folder / name, download)
                return
            except Exception as error:  # urllib, ssl, sockets, gdown and the file system each fail in their own way
                why = f"downloading failed: {(str(error).strip() or type(error).__name__).splitlines()[0][:200]}"
        here = f"{len(missing)} file{'s are' if len(missing) > 1 else ' is'} missing"
        raise DataAbsent(
            f"{here} ({why}): put {', '.join(missing)} into {self.folder} from {self.page}, "
            f"or set data.root (now {self.root}, by default VAE_RUNNER_DATA) to a folder that has "
            f"{Path(self.folder_name, missing[0])} in it"
        )

    def _download(self, target: Path, download: Download) -> None:
        from torchvision.datasets.utils import check_integrity, download_file_from_google_drive, download_url

        patience = socket.getdefaulttimeout()
        socket.setdefaulttimeout(20)
        absent = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # an interrupted download must not look like the file
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".downloading-") as temporary:
                fetched = Path(temporary, target.name)
                if download.google_drive:
                    download_file_from_google_drive(download.google_drive, temporary, target.name, download.md5)
                for i, url in enumerate(download.urls):
                    try:
                        download_url(url, temporary, target.name, download.md5)
                        break
                    except Exception:
                        if i == len(download.urls) - 1:
                            raise
                if not check_integrity(fetched, download.md5):
                    raise OSError(f"{target.name} arrived damaged")
                os.replace(fetched, target)
        finally:
            socket.setdefaulttimeout(patience)
            for folder in absent:
                with suppress(OSError):  # it is not empty
                    folder.rmdir()
