"""Running a task under Hydra: what `@hydra.main` does, for a command that stands behind another word.

`--help`, `--cfg`, `--info`, `-m` and `--config-dir` work as in any Hydra application. Exceptions come out as they were
raised.
"""

import argparse
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import hydra.version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from vae_runner.commands.composed_once import ComposedOnce
from vae_runner.config import compose, configs_directory, nearest, sweep_jobs
from vae_runner.config.composing import VERSION_BASE, config_loader, plain
from vae_runner.config.names import keys_of, nearest_key
from vae_runner.config.overrides import deferred_to_jobs
from vae_runner.config.tree import PRIMARY
from vae_runner.errors import UserError

REFUSED = ("config_path", "config_name", "experimental_rerun")


@dataclass
class CommandLine:
    """The arguments of a Hydra command, parsed but not yet composed."""

    arguments: argparse.Namespace

    @classmethod
    def parse(cls, args: Sequence[str]) -> "CommandLine":
        """Flags may stand anywhere among the overrides.

        Raises:
            UserError: a flag that Hydra does not have.
        """
        parser = _parser()
        arguments, unknown = parser.parse_known_intermixed_args(list(args))
        if unknown:
            raise UserError(_of_unknown_flag(unknown[0], parser))
        for refused in REFUSED:
            if getattr(arguments, refused) is not None:
                flag = "--" + refused.replace("_", "-")
                raise UserError(f"{flag}: vae-run has one config; give your own options with --config-dir DIR")
        modes = {
            "--multirun": arguments.multirun,
            "--cfg": arguments.cfg,
            "--info": arguments.info,
            "--run": arguments.run,
        }
        given = [flag for flag, value in modes.items() if value]
        if len(given) > 1:
            raise UserError(f"{' and '.join(given)} do not go together: give one of them")
        if arguments.resolve and not (arguments.cfg or arguments.help):
            raise UserError("--resolve goes with --cfg job")
        return cls(arguments)

    @property
    def overrides(self) -> list[str]:
        return list(self.arguments.overrides)

    @property
    def config_dir(self) -> str | None:
        return self.arguments.config_dir

    @property
    def multirun(self) -> bool:
        return self.arguments.multirun or "hydra.mode=MULTIRUN" in self.overrides

    @property
    def shows(self) -> bool:
        """Whether something is only to be shown: nothing will run."""
        a = self.arguments
        return bool(a.help or a.hydra_help or a.cfg or a.info)

    def compose(self) -> list[DictConfig]:
        """The config of every job that would run, one unless it is a sweep.

        Raises:
            UserError: a mistake in any of them.
        """
        if not self.multirun:
            return [compose(self.overrides, self.config_dir)]
        return [compose(job, self.config_dir) for job in sweep_jobs(self.overrides, self.config_dir)]


def run_hydra(task: Callable[[DictConfig], Any], args: Sequence[str]) -> Any:
    """Runs `task(config)` as Hydra would, once or for every job of a sweep; gives what it returned (None for a sweep).

    Raises:
        UserError: the config cannot be composed.
        Exception: whatever the task raised.
    """
    line = CommandLine.parse(args)
    if line.multirun and not line.shows:
        line.arguments.overrides = deferred_to_jobs(line.overrides, line.config_dir)
    hydra.version.setbase(VERSION_BASE)
    started: list[bool] = []
    results: list[Any] = []
    failures: list[Exception] = []

    @functools.wraps(task)
    def keep_result(config: DictConfig) -> Any:
        started.append(True)
        try:
            results.append(task(config))
        except Exception as error:
            if line.multirun:
                raise  # Hydra's launcher notes it and goes on to the next job
            failures.append(error)  # raised below: Hydra would print lines of its own about it
            return None
        return results[-1]

    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints exceptions and exits
    try:
        if line.shows:
            _run_hydra(
                args=line.arguments,
                args_parser=_parser(),
                task_function=keep_result,
                config_path=str(configs_directory()),
                config_name=PRIMARY,
            )
        else:
            _run(line, keep_result)
    except Exception:
        if not started:
            line.compose()  # says in one line what Hydra says in many
        raise
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before
    if failures:
        raise failures[0]
    return results[0] if results and not line.multirun else None


def _run(line: CommandLine, task: Callable[[DictConfig], Any]) -> None:
    """As `_run_hydra` does it, which composes the config once more to find out whether it is a sweep's."""
    app = Hydra.create_main_hydra2(PRIMARY, config_loader(line.config_dir).get_search_path())
    if line.multirun:
        app.config_loader = cast(Any, ComposedOnce(app.config_loader))
    run, mode = (app.multirun, "MULTIRUN") if line.multirun else (app.run, "RUN")
    try:
        run(PRIMARY, task, [*line.overrides, f"hydra.mode={mode}"])
    finally:
        GlobalHydra.instance().clear()


def _parser() -> argparse.ArgumentParser:
    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise UserError(message)

    parser = get_args_parser()
    parser.__class__ = Parser
    parser.prog = "vae-run train"
    return parser


def _of_unknown_flag(flag: str, parser: argparse.ArgumentParser) -> str:
    name, _, value = flag.lstrip("-").partition("=")
    key = nearest_key(name, keys_of(plain(compose([]))))
    flags = [string for action in parser._actions for string in action.option_strings if string.startswith("--")]
    is_setting = key is not None and key.rpartition(".")[2] == name.replace("-", "_")
    if flag.startswith("--") and not is_setting and (near := nearest(f"--{name}", flags)):
        return f"{flag}: there is no such flag; did you mean {near}?"
    return f"{flag}: there is no such flag, and settings take no dashes; did you mean {key or name}={value or '...'}?"
