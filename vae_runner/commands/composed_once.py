"""Hydra's loader of configs for a sweep, whose jobs it composes twice: all to see that they can be, each to run it.

Composing one takes Hydra a tenth of a second. Jobs that differ in single values are composed once in all, and the
values put into copies.
"""

import copy
from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

REMEMBERED = 200  # configs of jobs, each of some hundred kilobytes
MODELS = 20  # configs that others are copies of


class ComposedOnce:
    """The `ConfigLoaderImpl` that it is made of, but for the second config of a job: that is the first one.

    A job that differs from an earlier one in single values has a copy of that one's, with these put in.

    Pickled, it takes the next of them along: launchers pickle it once for each job that they give to another process,
    in order. Where that is not so, a config is composed again there. Another copy has none.
    """

    def __init__(self, loader: Any, made: dict[tuple[str, ...], DictConfig] | None = None) -> None:
        self._loader = loader
        self._made = made or {}
        self._models: dict[tuple[str, ...], DictConfig] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "ComposedOnce":
        return ComposedOnce(copy.deepcopy(self._loader, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        following = [*self._made][:1]
        return ComposedOnce, (self._loader, {overrides: self._made.pop(overrides) for overrides in following})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        overrides = tuple(sweep_overrides)
        if overrides in self._made:
            return self._made.pop(overrides)  # it is the caller's now, who may change it
        config = self._composed(master_config, sweep_overrides)
        if len(self._made) < REMEMBERED:
            self._made[overrides] = config
        return config

    def _composed(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        parsed = OverridesParser.create().parse_overrides(sweep_overrides)
        values = [override for override in parsed if self._is_value(override)]
        # what else is done to the same keys may come later; and of other places there may be options of a value's name
        if _meet(values, parsed) or OmegaConf.select(master_config, "hydra.searchpath"):
            return self._loader.load_sweep_config(master_config, sweep_overrides)
        form = tuple(o.key_or_group if o in values else str(o.input_line) for o in parsed)
        if form in self._models:
            config = copy.deepcopy(self._models[form])
            _put(values, config)
            _note(parsed, config)
            OmegaConf.copy_cache(from_config=master_config, to_config=config)
            return config
        config = self._loader.load_sweep_config(master_config, sweep_overrides)
        if len(self._models) < MODELS and all(_is_single(config, override.key_or_group) for override in values):
            self._models[form] = copy.deepcopy(config)
        return config

    def _is_value(self, override: Override) -> bool:
        """Whether all it does is to put a number or a word where another is."""
        if override.type is not OverrideType.CHANGE or override.is_hydra_override():
            return False
        options = override.package is not None or self._loader.repository.group_exists(override.key_or_group)
        return not options and isinstance(override.value(), int | float | str)


def _meet(values: Sequence[Override], overrides: Sequence[Override]) -> bool:
    """Whether one that is not among the `values` is of the key of a value, or of one above or below it."""
    others = [f"{override.key_or_group}." for override in overrides if override not in values]
    keys = [f"{override.key_or_group}." for override in values]
    return any(key.startswith(other) or other.startswith(key) for key in keys for other in others)


def _is_single(config: DictConfig, key: str) -> bool:
    """Whether there is a value at `key`, and no tree or list of them."""
    above, _, last = key.rpartition(".")
    place = OmegaConf.select(config, above) if above else config
    if not isinstance(place, DictConfig) or last not in place:
        return False
    return OmegaConf.is_interpolation(place, last) or not OmegaConf.is_config(place[last])


def _put(values: Sequence[Override], config: DictConfig) -> None:
    for override in values:
        OmegaConf.update(config, override.key_or_group, override.value())


def _note(overrides: Sequence[Override], config: DictConfig) -> None:
    """Has Hydra's own node say what the job is."""
    of_task = [override for override in overrides if not override.is_hydra_override()]
    config.hydra.overrides.task = [override.input_line for override in of_task]
    settings = config.hydra.job.config.override_dirname
    config.hydra.job.override_dirname = get_overrides_dirname(
        of_task, exclude_keys=settings.exclude_keys, item_sep=settings.item_sep, kv_sep=settings.kv_sep
    )
