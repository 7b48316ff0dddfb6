"""The option files of `data`."""

import importlib
import inspect
from pathlib import Path

import pytest
from omegaconf import OmegaConf

OPTIONS = sorted((Path(__file__).parents[2] / "configs" / "data").glob("*.yaml"))
NAMES = {"arrays", "celeba", "cifar10", "digits", "emnist", "fashion_mnist", "images", "kmnist", "mnist", "omniglot"}
NAMES |= {"music", "series", "sprites", "svhn", "text"}


def constructor(option: Path):
    """The class an option names and its settings."""
    settings = OmegaConf.to_container(OmegaConf.load(option), resolve=False)
    module, _, name = settings.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), name), settings


def test_every_source_has_an_option():
    assert {option.stem for option in OPTIONS} >= NAMES


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.stem)
def test_an_option_says_what_it_is_and_names_settings_that_exist(option):
    assert option.read_text().startswith("# ")
    source, settings = constructor(option)
    known = {
        name
        for cls in source.__mro__
        if "__init__" in vars(cls)
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert settings.keys() <= known
    assert known - settings.keys() <= {"test"}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.stem)
def test_the_defaults_of_an_option_build_its_source(option):
    source, settings = constructor(option)
    settings = {key: "somewhere" if value == "???" else value for key, value in settings.items()}
    made = source(**settings)
    assert made.limit == settings["limit"]
    assert made.validation == settings["validation"]


def test_the_root_is_the_environments_or_else_data_below_the_callers_directory(monkeypatch):
    node = OmegaConf.load(next(option for option in OPTIONS if option.stem == "mnist"))
    monkeypatch.delenv("VAE_RUNNER_DATA", raising=False)
    assert node.root == "data"
    monkeypatch.setenv("VAE_RUNNER_DATA", "/elsewhere")
    assert node.root == "/elsewhere"
