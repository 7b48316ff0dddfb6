"""Where runs and sweeps go: directories that are claimed before anything is written, and shared by no two."""

import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from vae_runner.config import choices_of
from vae_runner.config.composing import hydra_config_set
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory, write_bytes

TIME = "<time>"
ROOM = 2**20  # bytes that even the smallest run needs


def place(config: DictConfig, kind: Literal["run", "sweep"]) -> str:
    """What `hydra.run.dir` or `hydra.sweep.dir` says, its `<data>` and `<variant>` filled in; `<time>` waits."""
    with hydra_config_set(config):
        template = os.path.expanduser(str(config.hydra[kind].dir))
    if not template.strip():
        raise UserError(f"hydra.{kind}.dir is empty: give it a directory, or leave it out")
    for group in ("data", "variant"):
        option = choices_of(config).get(group)
        template = template.replace(f"<{group}>", "+".join(option) if isinstance(option, list) else str(option))
    return template


def at_this_time(template: str) -> Path:
    return Path(template.replace(TIME, datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")))


def claim(template: str, key: str) -> RunDirectory:
    """The directory, created and locked for this process. One with a time in its name is not there before.

    key: the setting that names it.

    Raises UserError where it holds a run already, is being written by another process, or cannot be written.
    """
    path, is_new = at_this_time(template), TIME in template
    while is_new:
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:  # two runs in one microsecond
            path = at_this_time(template)
        except OSError as error:
            raise UserError(
                f"{path}: cannot be written ({error.strerror}); choose another place with {key}=DIR"
            ) from error
    directory = RunDirectory(path)
    directory.lock(key)
    _refuse_full_disk(directory, is_new, key)
    if directory.holds_a_run():
        directory.unlock()
        state = directory.state()
        raise UserError(
            f"{key}={path}: holds a run already ({state}), and a run is never overwritten; "
            f"to go on with it: vae-run train resume={path}"
        )
    return directory


def _refuse_full_disk(directory: RunDirectory, is_new: bool, key: str) -> None:
    probe = directory.path / ".probe"
    try:
        write_bytes(probe, bytes(ROOM))
        probe.unlink()
    except OSError as error:
        directory.unlock()
        if is_new:
            shutil.rmtree(directory.path, ignore_errors=True)
        raise UserError(
            f"{directory.path}: cannot be written ({error.strerror}); choose another place with {key}=DIR"
        ) from error


def override(key: str, value: object) -> str:
    """An override whose value is taken as it is, whatever characters it holds."""
    text = str(value).replace("'", "\\'")
    return f"{key}='{text}'"
