"""`key=value` arguments of the commands that look at runs, read against the signature of a function.

A command is a function with keyword-only settings, annotated as those of a class in the config are; a text in the
annotation is its line under `--help`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from vae_runner.config import nearest
from vae_runner.config.values import complaint, describe, write
from vae_runner.errors import UserError

PATHS = "paths"  # the parameter that takes words without a key, such as directories
OF_DATA = "data_"  # what the name of a parameter begins with that is typed as a setting of the data: data.path


def call(command: Callable[..., int], args: Sequence[str]) -> int:
    """Calls a command with the settings that the arguments give, or shows its help.

    Raises UserError where an argument is unknown, given twice, missing, or not what its annotation allows.
    """
    names = {_typed(name): name for name in inspect.signature(command).parameters}
    parameters = {typed: inspect.signature(command).parameters[name] for typed, name in names.items()}
    takes_paths = parameters.pop(PATHS, None) is not None
    if {"--help", "-h"} & set(args):
        print(_help(command, parameters, takes_paths))
        return 0
    given: dict[str, Any] = {}
    paths: list[str] = []
    for text in args:
        key, equals, value = text.partition("=")
        if takes_paths and _is_path(text, parameters):
            paths.append(text)
            continue
        if key not in parameters or not equals:
            raise UserError(_of_unknown_argument(command.__name__, text, parameters))
        if key in given:
            raise UserError(f"{text}: {key} is given twice, before as {key}={write(given[key])}")
        annotation = parameters[key].annotation
        given[key] = _read(value, annotation)
        if words := complaint(given[key], annotation):
            raise UserError(f"{text}: {words}")
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and not given.get(name):
            what = f"{name}=DIR, {_meaning(parameter)}"
            raise UserError(f"{command.__name__} needs {what}{_latest_run()}")
    return command(*([paths] if takes_paths else []), **{names[key]: value for key, value in given.items()})


def _typed(name: str) -> str:
    return f"data.{name.removeprefix(OF_DATA)}" if name.startswith(OF_DATA) else name


def _is_path(text: str, parameters: Mapping[str, inspect.Parameter]) -> bool:
    key, equals, _ = text.partition("=")
    if text.startswith("-") or (equals and key in parameters):
        return False
    return not equals or Path(text).exists()


def _read(text: str, annotation: Any) -> Any:
    """The text itself where the annotation wants text, else the number, true, false or null that it looks like."""
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    kinds = get_args(bare) if get_origin(bare) is not Literal else ()
    if text == "null" and NoneType in kinds:
        return None
    if bare is str or str in kinds or get_origin(bare) is Literal:
        return text
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _of_unknown_argument(command: str, text: str, parameters: Mapping[str, inspect.Parameter]) -> str:
    key, equals, value = text.lstrip("-").partition("=")
    if key in parameters:
        return f"{text}: settings are key=value, without dashes; did you mean {key}={value or '...'}?"
    if not equals and "run" in parameters and Path(text).is_dir():
        return f"{text}: settings are key=value; did you mean run={text}?"
    if near := nearest(key, parameters):
        return f"{text}: {command} has no {key}; did you mean {near}={value or '...'}?"
    return f"{text}: {command} has no {key or text}; it takes {', '.join(parameters)}"


def _latest_run() -> str:
    found = (file for depth in ("*", "*/*", "*/*/*") for file in Path("outputs").glob(f"{depth}/config.yaml"))
    latest = max(found, key=lambda file: file.stat().st_mtime, default=None)
    return f"; the latest here is run={latest.parent}" if latest else ""


def _meaning(parameter: inspect.Parameter) -> str:
    return next(extra for extra in get_args(parameter.annotation)[1:] if isinstance(extra, str))


def _help(command: Callable[..., int], parameters: Mapping[str, inspect.Parameter], takes_paths: bool) -> str:
    usage = f"vae-run {command.__name__} " + ("DIR ... " if takes_paths else "run=DIR ") + "[key=value ...]"
    rows = [_help_row(name, parameter) for name, parameter in parameters.items()]
    width = max(len(left) for left, _ in rows) + 2
    return "\n".join([usage, "", inspect.getdoc(command) or "", "", *(f"  {a:<{width}}{b}" for a, b in rows)])


def _help_row(name: str, parameter: inspect.Parameter) -> tuple[str, str]:
    default, meaning, allowed = parameter.default, _meaning(parameter), describe(parameter.annotation)
    left = f"{name}=DIR" if default is inspect.Parameter.empty else f"{name}={write(default)}"
    is_plain = allowed.startswith(("text", "true or false"))
    return left, meaning if is_plain else f"{meaning}: {allowed}"
