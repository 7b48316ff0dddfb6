"""Hydra's loader of configs for a sweep, whose jobs it composes twice: all to see that they can be, each to run it."""

from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

REMEMBERED = 200  # configs of jobs, each of some hundred kilobytes


class ComposedOnce:
    """The `ConfigLoader` that it is made of, but for the second config of a job: that is the first one.

    A copy in another process remembers none.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._made: dict[tuple[str, ...], DictConfig] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return ComposedOnce, (self._loader,)

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
