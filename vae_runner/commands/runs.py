"""A run, opened for a command that looks at it: the settings of such commands, and what they all do with it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from vae_runner.commands.files import writing
from vae_runner.config.values import write
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.settings import Range

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from vae_runner.build import Run
    from vae_runner.data.splits import Split
    from vae_runner.evaluation.evaluate import Preserved

RunPath: TypeAlias = Annotated[str, "the directory of a run"]
SplitName: TypeAlias = Annotated[Literal["test", "validation", "train"], "where the examples come from"]
Seed: TypeAlias = Annotated[int, Range(0, 2**32 - 1), "of all that is drawn"]
Temperature: TypeAlias = Annotated[float, Range(0, 1000, open_low=True), "scales the prior's standard deviation"]
Weights: TypeAlias = Annotated[Literal["best", "last"], "of which checkpoint"]
Device: TypeAlias = Annotated[str, "where to compute: auto, cpu, cuda, cuda:N or mps"]
DataPath: TypeAlias = Annotated[str | None, "where the run's data is now, if it was moved; null: where it was"]
DataRoot: TypeAlias = Annotated[str | None, "the folder of published data now, if it was moved; null: where it was"]
Trust: TypeAlias = Annotated[bool, "run code from outside vae_runner, where the run's config names any"]


@dataclass(frozen=True)
class Opened:
    """A run with the weights and for the seed that a command was given."""

    run: "Run"
    weights: str
    seed: int

    @property
    def described(self) -> str:
        """The weights in words, for the title of a picture."""
        return f"{self.weights} weights, epoch {self.run.epoch:.4g}"

    @property
    def splits(self) -> "dict[str, Split]":
        """By name, those of train, validation and test that have examples."""
        splits = {name: getattr(self.run.data, name) for name in ("train", "validation", "test")}
        return {name: examples for name, examples in splits.items() if len(examples)}

    def split(self, name: str) -> "Split":
        """The split of that name.

        Raises UserError where it has no examples.
        """
        splits = self.splits
        if name not in splits:
            there = " or ".join(f"split={other}" for other in reversed(splits))
            raise UserError(f"split={name}: the data of this run has no {name} examples; type {there}")
        return splits[name]

    def chosen(self, examples: "Split", n: int) -> "Tensor":
        """The indices (n,) of examples that the seed chooses, on the run's device; of all where there are fewer."""
        import torch

        generator = torch.Generator().manual_seed(self.seed)
        return torch.randperm(len(examples), generator=generator)[:n].to(self.run.device)

    def preserved(self) -> "Preserved":
        """A block of code in which the model is evaluated, and all that is drawn comes from the seed."""
        from vae_runner.evaluation.evaluate import Preserved

        return Preserved(self.run.model, self.run.device, self.seed)

    def save(self, name: str, image: "Image") -> Path:
        """Writes a picture into the run's `images/`, whole or not at all, says where, and returns it.

        Raises UserError where the run cannot be written to.
        """
        from vae_runner.reporting import png

        path = RunDirectory(self.run.directory).images / name
        with writing(path):
            print(png.save(path, image))
        return path

    def remove(self, name: str) -> None:
        """Takes a picture that an earlier command saved out of the run's `images/`, if there is one.

        Raises UserError where the run cannot be written to.
        """
        path = RunDirectory(self.run.directory).images / name
        with writing(path):
            path.unlink(missing_ok=True)


def open_run(
    directory: str,
    *,
    weights: Literal["best", "last"],
    device: str,
    trust: bool,
    seed: int = 0,
    data_path: str | None = None,
    data_root: str | None = None,
) -> Opened:
    """The run that `run=` names.

    Raises UserError where there is none, it cannot be read, or the device is not there.
    """
    data = {key: place for key, place in (("path", data_path), ("root", data_root)) if place is not None}
    files = RunDirectory(Path(directory).expanduser()).require()
    if weights == "best" and files.has_last_alone():
        raise UserError(f"run={directory}: it has no best checkpoint yet (state: {files.state()}); type weights=last")

    from vae_runner.build import Run
    from vae_runner.training.device import choose_device

    try:
        choose_device(device)
    except UserError as error:  # which speaks of the key that training has for it
        raise UserError(str(error).removeprefix("trainer.")) from error
    return Opened(Run.load(files.path, device=device, weights=weights, trust=trust, data=data), weights, seed)


def file_name(command: Callable[..., int], **settings: Any) -> str:
    """The name of a picture: the command with those of its settings that were changed."""
    defaults = inspect.signature(command).parameters
    changed = [f"{key}_{write(value)}" for key, value in settings.items() if value != defaults[key].default]
    return "_".join([command.__name__, *changed]) + ".png"
