"""What the commands that look at one run share: opening it, and leaving a picture in it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from vae_runner.commands.arguments import different_from_default
from vae_runner.config.values import write
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.settings import Range

if TYPE_CHECKING:
    from PIL.Image import Image

    from vae_runner.build import Run
    from vae_runner.data.splits import Split

RunPath: TypeAlias = Annotated[str, "the directory of a run"]
SplitName: TypeAlias = Annotated[Literal["test", "validation", "train"], "where the examples come from"]
Seed: TypeAlias = Annotated[int, Range(0, 2**32 - 1), "of all that is drawn"]
Weights: TypeAlias = Annotated[Literal["best", "last"], "of which checkpoint"]
Device: TypeAlias = Annotated[str, "where to compute: auto, cpu, cuda, cuda:N or mps"]
Trust: TypeAlias = Annotated[bool, "run code from outside vae_runner, where the run's config names any"]
Overwrite: TypeAlias = Annotated[bool, "replace what out= names"]


def load_run(directory: str, *, device: str, weights: Literal["best", "last"], trust: bool) -> "Run":
    """The run that `run=` names.

    Raises UserError where there is none, it cannot be read, or the device is not there.
    """
    files = RunDirectory(Path(directory).expanduser()).require()
    if weights == "best" and files.last.is_file() and not files.best.is_file():
        raise UserError(f"run={directory}: it has no best checkpoint yet (state: {files.state()}); type weights=last")

    from vae_runner.build import Run
    from vae_runner.training.device import choose_device

    try:
        choose_device(device)
    except UserError as error:  # which speaks of the key that training has for it
        raise UserError(str(error).removeprefix("trainer.")) from error
    return Run.load(files.path, device=device, weights=weights, trust=trust)


def split_of(run: "Run", name: str) -> "Split":
    """The run's split of that name.

    Raises UserError where it has no examples.
    """
    splits = {split: getattr(run.data, split) for split in ("test", "validation", "train")}
    if not len(splits[name]):
        there = " or ".join(f"split={split}" for split, examples in splits.items() if len(examples))
        raise UserError(f"split={name}: the data of this run has no {name} examples; type {there}")
    return splits[name]


def described(run: "Run", weights: str) -> str:
    """The weights in words, for the title of a picture."""
    return f"{weights} weights, epoch {run.epoch:.4g}"


def file_name(command: Callable[..., int], **settings: Any) -> str:
    """The name of a picture: the command with those of its settings that were changed."""
    changed = different_from_default(command, settings)
    return "_".join([command.__name__, *(f"{key}_{write(value)}" for key, value in changed.items())]) + ".png"


def save_picture(run: "Run", name: str, image: "Image") -> None:
    """Writes a picture into the run's `images/`, whole or not at all, and says where.

    Raises UserError where the run cannot be written to.
    """
    from vae_runner.reporting import png

    path = RunDirectory(run.directory).images / name
    with writing(path):
        print(png.save(path, image))


@contextmanager
def writing(path: Path, instead: str = "") -> Iterator[None]:
    """Raises UserError for what the file system says while `path` is written. instead: what to type then."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(f"{path}: cannot be written ({reason})" + (f"; {instead}" if instead else "")) from error


def refuse_directory(directory: Path, blamed: str) -> None:
    """Raises UserError where nothing can be put into `directory`; `blamed`: the argument that led there."""
    if not directory.is_dir():
        problem = "is no directory" if directory.exists() else "does not exist"
        raise UserError(f"{blamed}: {directory} {problem}; make it first, or type another place")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UserError(f"{blamed}: {directory} cannot be written to; type another place")


def refuse_file(file: Path, overwrite: bool) -> None:
    """Raises UserError, before anything is computed, where the .npz `file` cannot or must not be written."""
    if file.is_dir():
        raise UserError(f"out={file}: is a directory; type out={file / 'samples.npz'}")
    if file.suffix != ".npz":
        raise UserError(f"out={file}: must end in .npz; type out={file}.npz")
    if file.exists() and not overwrite:
        raise UserError(f"out={file}: is there already; type another name, or overwrite=true")
    refuse_directory(file.parent, f"out={file}")
