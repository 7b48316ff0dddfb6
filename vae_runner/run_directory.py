"""The files of a run: written whole, read back.

A file appears whole or not at all (temporary file, fsync, rename); `metrics.jsonl` grows by whole lines. Whether a run
is alive is told by a lock that the system releases with its process, not by what its status says.
"""

import contextlib
import fcntl
import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from vae_runner.errors import UserError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that appears under its name when the `with` ends well, and not at all when it does not."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Writes a file that appears whole or not at all, and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, (json.dumps(plain(value), indent=2, allow_nan=False) + "\n").encode())


def plain(value: Any) -> Any:
    """The value as JSON has it: a number that is not finite is null, for JSON has no word for it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def read_json(path: Path) -> dict[str, Any]:
    """The file's object; empty where there is none.

    Raises UserError where it is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from error


class RunDirectory:
    """One run's directory. Hold it (`with directory.held():`) to write to it."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._lock: IO[str] | None = None

    # what is where
    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.pt"

    def has_last_alone(self) -> bool:
        """Whether it has weights, and none yet that were the best of a validation."""
        return self.last.is_file() and not self.best.is_file()

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def images(self) -> Path:
        return self.path / "images"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    def holds_a_run(self) -> bool:
        return self.config.is_file()

    def require(self, key: str = "run") -> "RunDirectory":
        """Itself. key: the setting that names it.

        Raises UserError where it is not the directory of a run.
        """
        if not self.path.is_dir():
            what = "is a file; give the directory of a run" if self.path.exists() else "no such directory"
            raise UserError(f"{key}={self.path}: {what}")
        if not self.holds_a_run():
            nested = sorted(str(found.parent) for found in self.path.glob("*/config.yaml"))
            hint = f"; it holds runs, such as {nested[0]}" if nested else ""
            raise UserError(f"{key}={self.path}: not the directory of a run (it has no config.yaml){hint}")
        return self

    # one writer
    def lock(self, key: str = "hydra.run.dir") -> None:
        """Takes the directory for this process, creating it if needed. key: the setting that names it.

        Raises UserError where another process has it, or where it can't be written to.
        """
        if self._lock:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(self.path / ".lock", "w")  # noqa: SIM115 - held for as long as the run
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written to ({error.strerror}); choose another place with {key}=DIR"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise UserError(f"{self.path}: another process is writing this run; wait for it, or stop it") from error
        self._lock = file

    def unlock(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None

    def alive(self) -> bool:
        """Whether some process is writing this run now."""
        if self._lock:
            return True
        try:
            with open(self.path / ".lock") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    # status and figures
    def status(self) -> dict[str, Any]:
        return read_json(self.path / "status.json")

    def state(self) -> str:
        """`completed`, `interrupted`, `failed`, `running`, `killed` (its process went without a word) or `none`."""
        state = self.status().get("state", "none")
        return "killed" if state == "running" and not self.alive() else state

    def update_status(self, **changes: Any) -> None:
        write_json(self.path / "status.json", {**self.status(), **changes})

    def summary(self) -> dict[str, Any]:
        return read_json(self.path / "summary.json")

    def evaluation(self) -> dict[str, Any]:
        """What `vae-run evaluate` wrote last, or nothing."""
        return read_json(self.path / "evaluation.json")

    def write_summary(self, figures: dict[str, Any]) -> None:
        write_json(self.path / "summary.json", figures)

    # metrics, one line per logged step
    def append_metrics(self, line: dict[str, Any]) -> None:
        with open(self.metrics, "a") as file:
            file.write(json.dumps(plain(line), allow_nan=False) + "\n")

    def read_metrics(self) -> Iterator[dict[str, Any]]:
        """The logged lines; one that was torn by a crash is passed over."""
        if not self.metrics.is_file():
            return
        with open(self.metrics) as file:
            for text in file:
                try:
                    yield json.loads(text)
                except ValueError:
                    continue

    def cut_metrics(self, step: int) -> None:
        """Drops what was logged after `step`, so that a resumed run logs each step once."""
        if self.metrics.is_file():
            kept = [json.dumps(line) + "\n" for line in self.read_metrics() if line["step"] <= step]
            write_bytes(self.metrics, "".join(kept).encode())
