"""Hydra's loader of configs for a sweep."""

import copy
import pickle
from types import SimpleNamespace

import hydra.version
import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from vae_runner.cli import main
from vae_runner.commands import composed_once
from vae_runner.commands.composed_once import ComposedOnce
from vae_runner.config.composing import VERSION_BASE, config_loader
from vae_runner.config.tree import PRIMARY

MASTER = OmegaConf.create()


class Loader:
    composed = 0
    repository = SimpleNamespace(group_exists=lambda key: False)

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
    first, other = loader.load_sweep_config(MASTER, ["seed=1"]), loader.load_sweep_config(MASTER, ["seed=2"])
    assert loader.load_sweep_config(MASTER, ["seed=1"]) is first
    assert loader.load_sweep_config(MASTER, ["seed=2"]) is other
    assert Loader.composed == 2


def test_a_config_is_given_away_once(loader):
    first, again = (loader.load_sweep_config(MASTER, ["seed=1"]) for _ in range(2))
    assert again is first
    assert loader.load_sweep_config(MASTER, ["seed=1"]) is not first


def test_no_more_are_remembered_than_memory_has_room_for(loader, monkeypatch):
    monkeypatch.setattr(composed_once, "REMEMBERED", 1)
    jobs = [["seed=1"], ["seed=2"]]
    for job in jobs * 2:
        loader.load_sweep_config(MASTER, job)
    assert Loader.composed == 3


def test_pickled_it_is_a_loader_too_and_has_the_next_job_s_config(loader):
    jobs = [["seed=1"], ["seed=2"], ["seed=3"]]
    for job in jobs:
        loader.load_sweep_config(MASTER, job)
    for job in jobs:
        other = pickle.loads(pickle.dumps(loader))
        assert other.get_sources() == loader.get_sources() == ["somewhere"]
        assert other.load_sweep_config(MASTER, job) == {"of": job}
    assert Loader.composed == 3
    pickle.loads(pickle.dumps(loader)).load_sweep_config(MASTER, ["seed=1"])
    assert Loader.composed == 4


def test_pickled_for_another_job_than_the_next_it_composes_its_config(loader):
    loader.load_sweep_config(MASTER, ["seed=1"])
    assert pickle.loads(pickle.dumps(loader)).load_sweep_config(MASTER, ["seed=2"]) == {"of": ["seed=2"]}


def test_a_copy_takes_nothing_along(loader):
    loader.load_sweep_config(MASTER, ["seed=1"])
    copy.deepcopy(loader).load_sweep_config(MASTER, ["seed=1"])
    assert Loader.composed == 2
    loader.load_sweep_config(MASTER, ["seed=1"])
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


SWEEPS = {
    "numbers": ([["seed=0", "optimizer.lr=1e-3"], ["seed=1", "optimizer.lr=0.01"], ["seed=2", "optimizer.lr=1"]], 1),
    "options and numbers": (
        [["variant=vae", "kl.weight=1"], ["variant=vae", "kl.weight=2"], ["variant=hvae", "kl.weight=1"]],
        2,
    ),
    "no number, and one": ([["trainer.steps=null"], ["trainer.steps=5"], ["trainer.steps=1e2"]], 2),
    "words": (
        [
            ["trainer.device='a b'", "seed=1"],
            ["trainer.device=${oc.env:HOME}", "seed=1"],
            ["trainer.device='x=y'", "seed=1"],
        ],
        1,
    ),
    "the same key twice": ([["seed=3", "seed=1"], ["seed=3", "seed=2"]], 1),
    "lists": ([["optimizer.betas=[0,0.9]", "seed=1"], ["optimizer.betas=[0.5,0.9]", "seed=1"]], 2),
    "keys added": ([["+note=1", "seed=1"], ["+note=2", "seed=1"], ["++note=2", "seed=2"]], 3),
    "another kind of the same key": ([["seed=1", "++seed=5"], ["seed=2", "++seed=5"]], 0),
    "none after a number": ([["seed=1", "seed=null"], ["seed=2", "seed=null"]], 0),
    "taken away and added": ([["seed=1", "~seed", "+seed=4"], ["seed=2", "~seed", "+seed=4"]], 0),
    "a tree above": ([["optimizer.lr=1", "++optimizer={lr:9}"], ["optimizer.lr=2", "++optimizer={lr:9}"]], 0),
    "hydra's own": ([["hydra.job.chdir=false", "seed=1"], ["hydra.job.chdir=true", "seed=1"]], 2),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_job_that_is_a_copy_with_other_values_has_the_config_that_hydra_composes(name):
    jobs, composed = SWEEPS[name]
    hydra.version.setbase(VERSION_BASE)
    loader = config_loader(None)
    whole = ["data=mnist", "hydra.sweep.dir=a sweep"]
    master = loader.load_configuration(PRIMARY, whole, run_mode=RunMode.MULTIRUN)
    ours = ComposedOnce(loader)
    for job in jobs:
        expected, config = (each.load_sweep_config(master, job) for each in (loader, ours))
        assert OmegaConf.to_yaml(config) == OmegaConf.to_yaml(expected)
        assert config == expected
        assert config._get_flag("struct") == expected._get_flag("struct")
        config.seed = 77  # a job may change what is its own
    assert len(ours._models) == composed


def test_options_of_a_search_path_are_no_values(tmp_path):
    for folder in ("flat", "experiment"):
        (tmp_path / folder).mkdir()
    for name, seed in (("a", 11), ("b", 12)):
        (tmp_path / "flat" / f"{name}.yaml").write_text(f"# @package _global_\nflat: 1\nseed: {seed}\n")
    (tmp_path / "experiment" / "uses.yaml").write_text("# @package _global_\ndefaults:\n  - /flat: a\n")
    hydra.version.setbase(VERSION_BASE)
    loader = config_loader(None)
    whole = [f"hydra.searchpath=[file://{tmp_path}]"]
    master = loader.load_configuration(PRIMARY, whole, run_mode=RunMode.MULTIRUN)
    ours = ComposedOnce(loader)
    jobs = [["experiment=uses", f"flat={name}"] for name in "ab"]
    assert [ours.load_sweep_config(master, job).seed for job in jobs] == [11, 12]
