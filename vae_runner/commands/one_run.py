"""One run of `vae-run train`: a new one, or one to go on with, and what the command exits with."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vae_runner.commands.garbage import imports_stay
from vae_runner.commands.hydra_app import CommandLine, run_hydra
from vae_runner.commands.places import claim, override, place
from vae_runner.config import check, choices_of, resolved
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory

log = logging.getLogger("vae_runner")

INTERRUPTED, FAILED = 130, 1


def train_or_resume(line: CommandLine, args: Sequence[str], **together: Any) -> int:
    """One run. together: the `world` of processes that train it, which this one leads."""
    where = resumed(line)
    return _resume(where, line.overrides, **together) if where else _train(line, args, **together)


def resumed(line: CommandLine) -> str | None:
    """The run to go on with, if any."""
    where = next((text.partition("=")[2] for text in line.overrides if text.startswith("resume=")), "null")
    return None if where == "null" else where.strip("'\"")


def _train(line: CommandLine, args: Sequence[str], **together: Any) -> int:
    (config,) = line.compose()
    check(config)

    from vae_runner import execute
    from vae_runner.reporting.console import console_logging

    imports_stay()
    values = {**resolved(config), "choices": choices_of(config)}
    with console_logging():
        # before there is any directory: what is wrong with the data, its shapes or the device shows here
        experiment = execute.build(values, **together)
        template = place(config, "run")
        if (Path(template) / "multirun.yaml").is_file():
            raise UserError(f"hydra.run.dir={template}: holds a sweep; choose another directory")
        directory = claim(template, "hydra.run.dir")
        log.info("run in %s", directory.path)
        arguments = [*args, override("hydra.run.dir", directory.path)]
        try:
            summary = run_hydra(lambda config: execute.train(values, directory, experiment, **together), arguments)
        except execute.Interrupted:
            return INTERRUPTED
        except (execute.NonFinite, execute.LostProcess):
            return FAILED
        finally:
            directory.unlock()
    print(execute.outcome(summary, directory.path))
    return 0


def _resume(where: str, overrides: Sequence[str], **together: Any) -> int:
    from vae_runner import execute
    from vae_runner.reporting.console import console_logging

    imports_stay()
    directory, changes, trusted = going_on(where, overrides)
    with console_logging():
        try:
            summary = execute.resume(directory, changes, trusted=trusted, **together)
        except execute.Interrupted:
            return INTERRUPTED
        except (execute.NonFinite, execute.LostProcess):
            return FAILED
    print(execute.outcome(summary, directory.path))
    return 0


def going_on(where: str, overrides: Sequence[str]) -> tuple[RunDirectory, list[str], bool]:
    """The directory of a run to go on with, what is to change, and whether its config may name any class.

    Raises UserError where Hydra is told of another directory.
    """
    if elsewhere := next((text for text in overrides if text.startswith("hydra.")), None):
        raise UserError(
            f"{elsewhere}: a run goes on where it is, in {where}; leave this out, or copy the directory first"
        )
    changes = [text for text in overrides if not text.startswith(("resume=", "trust="))]
    return RunDirectory(where), changes, "trust=true" in overrides
