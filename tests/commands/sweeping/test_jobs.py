"""The jobs of a sweep, and command lines that end before the first of them with one line."""

import os

import pytest

from vae_runner.cli import main
from vae_runner.commands.hydra_app import CommandLine
from vae_runner.commands.sweeping.jobs import jobs_of


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


BETA = ["kl.weight=1.5", "optimizer.lr=0.002", "trainer.ema=0.998"]  # all that variant=beta_vae sets


@pytest.mark.parametrize("command", ["train", "validate"])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["seed=0,0"], "jobs 0 and 1 are the same: seed=0; leave out what repeats"),
        (["seed=1,0,1,1"], "jobs 0, 2 and 3 are the same: seed=1; leave out what repeats"),
        (
            ["seed=0,0", "latent_dim=2,3"],
            "jobs 0 and 2 are the same: seed=0 latent_dim=2; so are jobs 1 and 3; leave out what repeats",
        ),
        (
            ["kl.weight=1,1.0"],
            "jobs 0 and 1 are the same: kl.weight=1 and kl.weight=1.0; leave out what repeats",
        ),
        (["variant=vae,[vae]"], "jobs 0 and 1 are the same: variant=vae and variant=[vae]; leave out what repeats"),
        (
            ["variant=vae,ae,beta_vae", "seed=0,1", *BETA],
            f"jobs 0 and 4 are the same: variant=vae seed=0 {' '.join(BETA)} and "
            f"variant=beta_vae seed=0 {' '.join(BETA)}; so are jobs 1 and 5; leave out what repeats",
        ),
        (["hydra.run.dir=s", "seed=0,1"], "hydra.run.dir=s: is where one run goes; for a sweep type hydra.sweep.dir=s"),
        (["seed=range(3),1"], "seed=range(3),1: a range stands alone; write its values out beside the others"),
        (
            ["resume=s", "seed=0,1"],
            "resume goes with one run; a sweep resumes by itself when given the same hydra.sweep.dir",
        ),
    ],
)
def test_what_is_no_sweep_is_refused_in_one_line_before_it_begins(capsys, command, typed, said):
    assert main([command, "-m", *typed]) == 2
    assert capsys.readouterr().err == f"vae-run: {said}\n"
    assert not os.listdir()


def test_a_sweep_without_m_is_known_by_hydras_mode(capsys):
    assert main(["train", "hydra.mode=MULTIRUN", "hydra.run.dir=s", "seed=0,1"]) == 2
    assert "type hydra.sweep.dir=s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "jobs"),
    [
        (["variant=vae,beta_vae", "kl.weight=4", "seed=0,1"], 4),  # the recipe sets more than that weight
        (["kl=constant,linear", "seed=0,1"], 4),
        (["optimizer.betas=[0.9,0.99],[0.99,0.9]"], 2),
        (["variant=vae,ae", "optimizer.lr=1e-3,1e-4"], 4),
    ],
)
def test_jobs_that_differ_in_anything_are_all_kept(typed, jobs):
    assert len(jobs_of(CommandLine.parse(["-m", *typed]))) == jobs


def test_another_sweeper_may_come_to_the_same_twice():
    line = CommandLine.parse(["-m", "hydra/sweeper=optuna", "latent_dim=2,2", "seed=1"])
    assert jobs_of(line) == [["seed=1"]]
