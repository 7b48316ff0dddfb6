"""Hydra's loader of configs for a sweep."""

import copy
import pickle

import pytest

from vae_runner.cli import main
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


def test_pickled_it_is_a_loader_too_and_has_the_next_job_s_config(loader):
    jobs = [["seed=1"], ["seed=2"], ["seed=3"]]
    for job in jobs:
        loader.load_sweep_config(None, job)
    for job in jobs:
        other = pickle.loads(pickle.dumps(loader))
        assert other.get_sources() == loader.get_sources() == ["somewhere"]
        assert other.load_sweep_config(None, job) == {"of": job}
    assert Loader.composed == 3
    pickle.loads(pickle.dumps(loader)).load_sweep_config(None, ["seed=1"])
    assert Loader.composed == 4


def test_pickled_for_another_job_than_the_next_it_composes_its_config(loader):
    loader.load_sweep_config(None, ["seed=1"])
    assert pickle.loads(pickle.dumps(loader)).load_sweep_config(None, ["seed=2"]) == {"of": ["seed=2"]}


def test_a_copy_takes_nothing_along(loader):
    loader.load_sweep_config(None, ["seed=1"])
    copy.deepcopy(loader).load_sweep_config(None, ["seed=1"])
    assert Loader.composed == 2
    loader.load_sweep_config(None, ["seed=1"])
    assert Loader.composed == 2


def test_the_jobs_of_other_processes_are_composed_where_they_were_checked(tmp_path, monkeypatch):
    """joblib's do take along what is theirs."""
    seen = []
    original = ComposedOnce.__reduce__

    def noted(self):
        copied = original(self)
        seen.extend(copied[1][1])
        return copied

    monkeypatch.setattr(ComposedOnce, "__reduce__", noted)
    sweep = ["seed=0,1,2", "trainer=debug", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    assert main(["train", "-m", *sweep, f"hydra.sweep.dir={tmp_path}"]) == 0
    assert [overrides[0] for overrides in seen] == ["seed=0", "seed=1", "seed=2"]
