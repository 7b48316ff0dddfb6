"""Features that are trained once for a data set and kept, so that all runs on it are compared in the same ones."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vae_runner.errors import UserError
from vae_runner.evaluation import features
from vae_runner.evaluation.features import Features


def directory() -> Path:
    """Where they are kept: VAE_RUNNER_CACHE, or else the user's cache directory."""
    own = os.environ.get("VAE_RUNNER_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vae_runner"


def kept(data: dict[str, Any], steps: int, train: Callable[[], Features]) -> Features:
    """The features kept for data of this config and so many steps, or else those that `train` makes, which then are.

    What cannot be read is made anew; where nothing can be written, nothing is kept.
    """
    path = directory() / f"features-{key_of(data)}-{steps}.pt"
    if path.is_file():
        try:
            return features.load(path)
        except UserError:
            pass
    made = train()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        features.save(made, path)
    except OSError:
        pass
    return made


def key_of(data: dict[str, Any]) -> str:
    """The same for the same data, by its config.

    A file of the user's counts with its time and size, so that another file in its place is other data.
    """
    # where the files of a published data set lie is nothing to them, nor how files are read
    settings = {key: value for key, value in data.items() if key not in ("download", "root", "in_memory", "workers")}
    if data.get("path") is not None and (file := Path(str(data["path"])).expanduser()).exists():
        stat = file.stat()
        settings["file"] = [str(file.resolve()), stat.st_mtime_ns, stat.st_size]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
