"""Hydra's loader of configs for a sweep, whose jobs it composes twice: all to see that they can be, each to run it."""

import copy
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

REMEMBERED = 200  # configs of jobs, each of some hundred kilobytes


class ComposedOnce:
    """The `ConfigLoader` that it is made of, but for the second config of a job: that is the first one.

    Pickled, it takes the next of them along: launchers pickle it once for each job that they give to another process,
    in order. Where that is not so, a config is composed again there. Another copy has none.
    """

    def __init__(self, loader: ConfigLoader, made: dict[tuple[str, ...], DictConfig] | None = None) -> None:
        self._loader = loader
        self._made = made or {}

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
        config = self._loader.load_sweep_config(master_config, sweep_overrides)
        if len(self._made) < REMEMBERED:
            self._made[overrides] = config
        return config
