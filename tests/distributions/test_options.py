"""Every option file of the groups posterior, prior, likelihood and kl says what its class says."""

import importlib
import inspect
from pathlib import Path

import pytest
from omegaconf import OmegaConf

CONFIGS = Path(__file__).parents[2] / "configs"
OPTIONS = [
    path for group in ("posterior", "prior", "likelihood", "kl") for path in sorted((CONFIGS / group).glob("*.yaml"))
]


def target(path: Path) -> tuple[type, dict]:
    settings = OmegaConf.to_container(OmegaConf.load(path))
    module, name = settings.pop("_target_").rsplit(".", 1)
    return getattr(importlib.import_module(module), name), settings


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_an_option_file_holds_exactly_the_settings_and_defaults_of_its_class(path):
    cls, settings = target(path)
    defaults = {}
    for base in cls.__mro__:
        if "vae_runner" in base.__module__ and "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            defaults |= {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert settings == defaults


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_an_option_file_begins_with_a_line_on_what_it_is(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert 20 < len(first) < 130


def test_a_likelihood_knows_the_name_of_its_option():
    for path in OPTIONS:
        if path.parent.name == "likelihood":
            assert target(path)[0].option == path.stem
