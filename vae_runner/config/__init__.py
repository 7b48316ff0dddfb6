"""Composing a config, checking all of it, and every message a user sees about one.

tree           the files: which groups and options there are, and where a setting stands
names          the real name nearest to a mistyped one
command_line   one override: parsing it, and refusing what cannot be meant
composing      a command line -> a config, by Hydra
overrides      a sweep's command line -> its jobs; changes to a saved config
signatures     a `_target_` -> a class -> the settings it takes
values         a value against an annotation
checking       a config -> nothing, or what is wrong with it
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae_runner.config.checking import check
    from vae_runner.config.composing import choices_of, compose, resolved
    from vae_runner.config.names import nearest
    from vae_runner.config.overrides import apply_overrides, sweep_jobs
    from vae_runner.config.signatures import resolve_target, settings_of
    from vae_runner.config.tree import Tree, configs_directory

_MODULE_OF = {
    "Tree": "tree",
    "apply_overrides": "overrides",
    "check": "checking",
    "choices_of": "composing",
    "compose": "composing",
    "configs_directory": "tree",
    "nearest": "names",
    "resolve_target": "signatures",
    "resolved": "composing",
    "settings_of": "signatures",
    "sweep_jobs": "overrides",
}

__all__ = [
    "Tree",
    "apply_overrides",
    "check",
    "choices_of",
    "compose",
    "configs_directory",
    "nearest",
    "resolve_target",
    "resolved",
    "settings_of",
    "sweep_jobs",
]


def __getattr__(name: str) -> Any:
    # Hydra takes a third of a second to import, and `vae-run list` reads the tree without it
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
