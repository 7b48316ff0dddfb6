"""The config of a run, as `config.yaml` keeps it: written when the run starts, read and checked when used again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from vae_runner.config.checking import check
from vae_runner.config.overrides import apply_overrides
from vae_runner.errors import UserError

CHOICES = "choices"  # the options that a config was composed from, kept beside its values

BUDGET = ("epochs", "steps", "default_steps", "early_stopping")  # of the trainer: how long a run is

ABOUT = ("published", CHOICES)  # what says something of a run and does nothing to it

# what may change when a run is continued: how long and where, never what is trained
CONTINUABLE = {
    *(f"trainer.{key}" for key in (*BUDGET, "device", "nonfinite", "gradient_clip")),
    *(f"trainer.{key}" for key in ("log_steps", "evaluation_examples", "deterministic")),
    *(f"trainer.{what}_{unit}" for what in ("validation", "checkpoint") for unit in ("epochs", "steps")),
    *(f"data.{key}" for key in ("root", "path", "download", "in_memory", "workers")),
}


def dump(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def load_saved(path: Path, trusted: bool = False, check_it: bool = True) -> dict[str, Any]:
    """The config in that file, checked unless told not to; with the options it was composed from under `choices`.

    Raises UserError where it is not one, or names classes outside the library and is not `trusted`.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not readable as YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(config, dict) or not isinstance(config.get(CHOICES, {}), dict):
        raise UserError(f"{path}: not the config of a run")
    if not check_it:
        return config
    values = {key: value for key, value in config.items() if key != CHOICES}
    try:
        check(OmegaConf.create(values), config.get(CHOICES, {}), trusted=trusted)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return config


def continued(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The config of a run that goes on, with what `overrides` change.

    Raises UserError for a change that would make it another run.
    """
    values = {key: value for key, value in config.items() if key != CHOICES}
    changed: Any = OmegaConf.to_container(apply_overrides(OmegaConf.create(values), overrides))
    require_same(values, changed)
    check(OmegaConf.create(changed), config.get(CHOICES, {}))
    return {**changed, CHOICES: config.get(CHOICES, {})}


def require_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raises UserError where two configs are not of one run: they may differ in how long and where, and no more."""
    for key, old, new in _differences(dict(before), dict(after)):
        if key not in CONTINUABLE and key.partition(".")[0] not in ABOUT:
            raise UserError(
                f"{key}={new}: the run to resume was started with {key}={old}, which stays; "
                "start a new run for another value"
            )


def _differences(before: Any, after: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            difference
            for name in {**before, **after}
            for difference in _differences(before.get(name), after.get(name), f"{key}.{name}" if key else name)
        ]
    return [(key, before, after)] if before != after else []
