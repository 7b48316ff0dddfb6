"""Hydra's loader of configs for a sweep."""

import copy
import pickle

import pytest

from vae_runner.commands import composed_once
from vae_runner.commands.composed_once import ComposedOnce


class Loader:
    composed = 0

    def load_sweep_config(self, master_config, sweep_overrides):
        Loader.composed += 1
        return {"of": list(sweep_overrides)}

    def get_sources(self):
        return ["somewhere"]


@pytest.fixture
def loader(monkeypatch):
    monkeypatch.setattr(Loader, "composed", 0)
    return ComposedOnce(Loader())


def test_the_config_that_a_job_is_given_is_the_one_it_was_checked_with(loader):
    first, other = loader.load_sweep_config(None, ["seed=1"]), loader.load_sweep_config(None, ["seed=2"])
    assert loader.load_sweep_config(None, ["seed=1"]) is first
    assert loader.load_sweep_config(None, ["seed=2"]) is other
    assert Loader.composed == 2


def test_a_config_is_given_away_once(loader):
    first, again = (loader.load_sweep_config(None, ["seed=1"]) for _ in range(2))
    assert again is first
    assert loader.load_sweep_config(None, ["seed=1"]) is not first


def test_no_more_are_remembered_than_memory_has_room_for(loader, monkeypatch):
    monkeypatch.setattr(composed_once, "REMEMBERED", 1)
    jobs = [["seed=1"], ["seed=2"]]
    for job in jobs * 2:
        loader.load_sweep_config(None, job)
    assert Loader.composed == 3


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_is_a_loader_too_and_remembers_nothing(loader, copied):
    loader.load_sweep_config(None, ["seed=1"])
    other = copied(loader)
    assert other.get_sources() == loader.get_sources() == ["somewhere"]
    other.load_sweep_config(None, ["seed=1"])
    assert Loader.composed == 2
