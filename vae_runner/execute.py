"""One run, from taking its directory to its last word in `status.json`."""

import contextlib
import logging
import os
import platform
import shlex
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

import vae_runner
from vae_runner.build import Config, build_experiment, build_trainer
from vae_runner.config import check
from vae_runner.config.saved import BUDGET, continued, dump, load_saved, require_same
from vae_runner.errors import DataLost, RunFailed, UserError
from vae_runner.reporting.console import file_logging
from vae_runner.reporting.formats import duration
from vae_runner.run_directory import RunDirectory, write_bytes
from vae_runner.signals import GracefulStop, Interrupted
from vae_runner.training.distributed import ALONE, LostProcess, World
from vae_runner.training.experiment import Experiment
from vae_runner.training.nonfinite import NonFinite
from vae_runner.training.trainer import Training, by_itself

log = logging.getLogger(__name__)

Stopping = contextlib.AbstractContextManager[GracefulStop] | None


@dataclass
class Start:
    """What the processes of a training have to agree on when it begins."""

    directory: Path
    resume: bool
    extended: bool


def build(config: Config, world: World = ALONE) -> Experiment:
    """What the config describes, on every process of a training, the others of which `follow`."""
    world.share(config)
    with world.agreed():
        return _built(config, world)


def _built(config: Config, world: World) -> Experiment:
    batch = config["trainer"]["batch_size"]
    if batch < world.size:
        raise UserError(
            f"trainer.batch_size={batch}: a batch is divided among {world.size} processes, which leaves some with "
            f"nothing; type trainer.batch_size={world.size} or more, or torchrun --nproc-per-node={batch}"
        )
    return build_experiment(config)


def follow(world: World) -> Callable[[], Any]:
    """Builds what rank 0 trains; gives what takes part in its training, which ends as the training there does.

    Raises LostProcess where rank 0 ends without one.
    """
    config: Config = world.share()
    with world.agreed():
        experiment = _built(config, world)
    start: Start = world.share()
    fit, directory = build_trainer(config).fit, RunDirectory(start.directory)
    return lambda: fit(experiment, directory, resume=start.resume, extended=start.extended, world=world)


def train(
    config: Config, directory: RunDirectory, experiment: Experiment | None = None, world: World = ALONE
) -> dict[str, Any]:
    """Trains a new run into a directory that this process has locked. Returns its summary.

    experiment: what the config describes, if it was checked and built before. world: the processes that train together,
    of which this one leads.

    Raises what broke the run, after it was noted: NonFinite, Interrupted, LostProcess, or any other exception.
    """
    return by_itself(training(config, directory, experiment, world=world))


def training(
    config: Config,
    directory: RunDirectory,
    experiment: Experiment | None = None,
    stopping: Stopping = None,
    world: World = ALONE,
) -> Training:
    """The same, for a caller that takes the steps; stopping: as of `Trainer.training`."""
    write_bytes(directory.config, dump(config).encode())
    return (yield from _run(config, directory, experiment, stopping, world, resume=False))


def resume(
    directory: RunDirectory,
    overrides: Sequence[str] = (),
    trusted: bool = False,
    config: Config | None = None,
    world: World = ALONE,
) -> dict[str, Any]:
    """Goes on with a run from its last checkpoint, in its own directory. Returns its summary.

    Arguments and exceptions are those of `resuming`.
    """
    return by_itself(resuming(directory, overrides, trusted, config, world=world))


def resuming(
    directory: RunDirectory,
    overrides: Sequence[str] = (),
    trusted: bool = False,
    config: Config | None = None,
    experiment: Experiment | None = None,
    stopping: Stopping = None,
    world: World = ALONE,
) -> Training:
    """The same, for a caller that takes the steps; stopping: as of `Trainer.training`.

    overrides: what changes, where a run may change. trusted: whether its config may name classes outside the library.
    config: the run's, where the caller composed it again; it is held against the saved one. experiment: what that
    describes, if it was built before.

    Raises UserError where there is no run, nothing left to do, or a change that makes it another run; else as `train`.
    """
    directory.require("resume")
    is_composed = config is not None
    if config is None:
        config = continued(load_saved(directory.config, trusted=trusted), overrides)
    directory.lock()
    try:
        state = directory.status().get("state")
        is_job_to_end = is_composed and state != "completed"
        with _noting_refusals(directory, config) if is_job_to_end else contextlib.nullcontext():
            if is_composed:
                require_same(load_saved(directory.config, check_it=False), config)
                _check(config)
            if state == "completed":
                _require_more_to_do(config, directory)
            experiment = experiment or build(config, world)
            # nothing of the run is touched before it is known that it can go on
            build_trainer(config).require_resumable(experiment, directory, extended=state == "completed")
        write_bytes(directory.config, dump(config).encode())
        extended = state == "completed"
        return (yield from _run(config, directory, experiment, stopping, world, resume=True, extended=extended))
    finally:
        directory.unlock()


def build_checked(config: Config, world: World = ALONE) -> Experiment:
    """What the config describes, checked. Raises UserError where it cannot be."""
    _check(config)
    return build(config, world)


def _check(config: Config) -> None:
    values = {key: value for key, value in config.items() if key != "choices"}
    check(OmegaConf.create(values), config["choices"])


@contextlib.contextmanager
def _noting_refusals(directory: RunDirectory, config: Config) -> Iterator[None]:
    """What keeps a job of a sweep from going on is said and noted as what ends one: the sweep only sees it fail."""
    try:
        yield
    except Exception:
        with file_logging(directory.log), _status(directory, config):
            raise


def other_budget(config: Config, directory: RunDirectory) -> dict[str, Any]:
    """What a run was given of `trainer` for its length where the config says otherwise, by dotted key."""
    before, now = load_saved(directory.config, check_it=False)["trainer"], config["trainer"]
    return {f"trainer.{key}": before[key] for key in BUDGET if before[key] != now[key]}


def _require_more_to_do(config: Config, directory: RunDirectory) -> None:
    if not other_budget(config, directory):
        unit = "epochs" if config["trainer"]["steps"] is None else "steps"
        done = directory.summary().get(unit, 1)
        raise UserError(
            f"{directory.path}: the run is completed, after {done:g} {unit}; "
            f"to train on, give it more: trainer.{unit}={max(1, round(2 * done))}"
        )


def _run(
    config: Config,
    directory: RunDirectory,
    experiment: Experiment | None,
    stopping: Stopping,
    world: World,
    resume: bool,
    extended: bool = False,
) -> Training:
    # a signal that comes after the last step finds its handler until the status says how the run ended
    with contextlib.ExitStack() as held, file_logging(directory.log), _status(directory, config):
        experiment = experiment or build_checked(config, world)
        directory.update_status(device=_device_name(experiment.device), processes=world.size)
        world.share(Start(directory.path.absolute(), resume, extended))
        stop = _held_until(held, stopping or GracefulStop())
        return (yield from build_trainer(config).training(experiment, directory, resume, extended, stop, world))


@contextlib.contextmanager
def _held_until(
    end: contextlib.ExitStack, stopping: contextlib.AbstractContextManager[GracefulStop]
) -> Iterator[GracefulStop]:
    """What is entered here is left at that end."""
    yield end.enter_context(stopping)


@contextlib.contextmanager
def _status(directory: RunDirectory, config: Config) -> Iterator[None]:
    """Keeps `status.json` true: running while inside, then how it ended, with the traceback of what broke it."""
    started = datetime.now(timezone.utc)
    directory.update_status(
        state="running",
        started=directory.status().get("started", started.isoformat()),
        ended=None,
        error=None,
        command=shlex.join(sys.argv),
        versions={
            "vae_runner": vae_runner.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        git_commit=_git_commit(),
        seed=config["seed"],
        pid=os.getpid(),
        threads=torch.get_num_threads(),
    )

    def ended(state: str, error: str | None = None) -> None:
        now = datetime.now(timezone.utc)
        seconds = (now - started).total_seconds()
        directory.update_status(state=state, ended=now.isoformat(), error=error, seconds=seconds)

    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        ended("interrupted", str(error) or "SIGINT")
        log.warning("interrupted; to go on: %s", _how_to_go_on(directory, config))
        raise Interrupted(str(error)) from error
    except SystemExit:
        ended("interrupted", "its process was told to exit")  # by a scheduler that will start it again
        raise
    except LostProcess as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it now to those that are left
        ended("failed", traceback.format_exc())
        log.error("%s; to go on: %s", error, _how_to_go_on(directory, config))
        raise
    except OSError as error:
        with contextlib.suppress(OSError):  # where nothing can be written, the status can't either
            ended("failed", traceback.format_exc())
        raise RunFailed(
            f"{error.filename or directory.path}: {error.strerror or error}; once that is mended: "
            f"{_how_to_go_on(directory, config)}"
        ) from error
    except DataLost as error:
        ended("failed", str(error))
        raise RunFailed(f"{error}; once that is mended: {_how_to_go_on(directory, config)}") from error
    except BaseException as error:
        ended("failed", traceback.format_exc())
        log.error("%s", error if isinstance(error, NonFinite | UserError) else repr(error), exc_info=True)
        raise
    ended("completed")


def _how_to_go_on(directory: RunDirectory, config: Config) -> str:
    outside = any(
        isinstance(node, dict) and not str(node.get("_target_") or "vae_runner.").startswith("vae_runner.")
        for node in config.values()
    )
    return f"vae-run train resume={shlex.quote(str(directory.path))}" + (" trust=true" if outside else "")


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _git_commit() -> str | None:
    """The commit of the repository that the caller stands in, marked where files differ from it."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def outcome(summary: dict[str, Any], directory: Path) -> str:
    """What a person is told at the end of a run."""
    lines = []
    for split in ("train", "validation", "test"):
        if figures := summary[split]:
            shown = {
                name: figures[name]
                for name in ("loss", "elbo", "log_px", "kl", "active_units")
                if figures[name] is not None
            }
            lines.append(f"{split:<11}" + "  ".join(f"{name} {value:.5g}" for name, value in shown.items()))
    lines.append(
        f"{duration(summary['seconds'])}, {summary['examples_per_second']:,.0f} examples/s, "
        f"best weights of epoch {summary['best_epoch']:g}"
    )
    lines.append(f"in {directory}")
    return "\n".join(lines)


def monitored(summary: dict[str, Any]) -> float | None:
    """The figure that a sweeper optimises: `trainer.monitor` on the validation split, else on the training split.

    The loss, where the last weights count as the best.
    """
    return (summary.get("validation") or summary.get("train") or {}).get(monitored_figure(summary))


def monitored_figure(summary: dict[str, Any]) -> str:
    return "loss" if summary["monitor"] == "last" else summary["monitor"]
