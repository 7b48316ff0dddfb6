"""Runs as rows of a table: what they were given, how they ended, what they reached."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vae_runner.errors import UserError
from vae_runner.reporting.flatten import flatten
from vae_runner.run_directory import RunDirectory

FIGURES = ("loss", "elbo", "log_px", "kl", "active_units", "mutual_information")

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, eight times as fast

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")


def overrides_of(directory: Path) -> list[str] | None:
    """The overrides a run was started with, as Hydra wrote them; None where it wrote none."""
    file = directory / ".hydra" / "overrides.yaml"
    return list(yaml.safe_load(file.read_text()) or []) if file.is_file() else None


def sweep_row(directory: Path, overrides: Sequence[str] | None = None) -> dict[str, Any]:
    """A job of a sweep: its number, a column per override, its state, the test figures, its time."""
    run = RunDirectory(directory)
    given = overrides if overrides is not None else overrides_of(directory) or []
    summary = run.summary()
    return {
        "job": int(directory.name),
        **_as_columns(given),
        "state": state_of(run),
        **{f"test {name}": (summary.get("test") or {}).get(name) for name in FIGURES},
        "seconds": summary.get("seconds"),
    }


def found_in(path: Path) -> list[Path]:
    """The directory itself where it holds a run, else every run below it, in the order of their names and numbers."""
    found = []
    for where, directories, files in os.walk(path):
        if "config.yaml" in files:
            found.append(Path(where))
            directories.clear()
        directories[:] = sorted((name for name in directories if not name.startswith(".")), key=_natural)
    return found


def config_of(directory: Path) -> dict[str, Any]:
    """The config that a run was given. Raises UserError where it cannot be read."""
    return config_in(RunDirectory(directory).config)


def config_in(file: Path) -> dict[str, Any]:
    """The same of a config in any file."""
    try:
        config = yaml.load(file.read_text(encoding="utf-8"), LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: not readable as YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(config, dict):
        raise UserError(f"{file}: not the config of a run")
    return config


def settings_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """All that a run was given: the option of each group, then every setting by its dotted key.

    What it is held against is no setting.
    """
    choices = config.get("choices") or {}
    options = {group: "+".join(option) if isinstance(option, list) else option for group, option in choices.items()}
    given = {key: value for key, value in config.items() if key not in ("choices", "published")}
    settings = {key: value for key, value in flatten(given).items() if not key.endswith("_target_")}
    return {**options, **settings}


def state_of(run: RunDirectory) -> str:
    """How the run ended, or that it goes on; `pending` where it has not begun."""
    state = run.state()
    return "pending" if state == "none" else state


def _natural(name: str) -> list[tuple[bool, int | str]]:
    """Sorts job 10 after job 9."""
    return [(not part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name)]


def _as_columns(overrides: Sequence[str]) -> dict[str, Any]:
    """`a=1` as a column a with the value 1, as YAML reads it, or Hydra, for which 1e30 is a number too."""
    pairs = (text.lstrip("+").partition("=")[::2] for text in overrides)
    return {key: _value(value) for key, value in pairs}


def _value(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    return value if isinstance(value, int | float | str | bool) else text
