"""Runs as rows of a table: what they were given, how they ended, what they reached."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vae_runner.run_directory import RunDirectory

FIGURES = ("loss", "elbo", "log_px", "kl", "active_units", "mutual_information")


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
        "state": "pending" if run.state() == "none" else run.state(),
        **{f"test {name}": (summary.get("test") or {}).get(name) for name in FIGURES},
        "seconds": summary.get("seconds"),
    }


def _as_columns(overrides: Sequence[str]) -> dict[str, Any]:
    """`a=1` as a column a with the value 1, as YAML reads it."""
    pairs = (text.lstrip("+").partition("=")[::2] for text in overrides)
    return {key: _value(value) for key, value in pairs}


def _value(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, int | float | str | bool) else text
