"""`vae-run evaluate`: the figures of training, taken anew."""

import json

import pytest

from tests.commands.conftest import RUNS
from vae_runner.cli import main


def evaluated(run, *args: str) -> dict:
    assert main(["evaluate", f"run={run}", "device=cpu", *args]) == 0
    return json.loads((run / "evaluation.json").read_text())


@pytest.mark.parametrize("name", RUNS)
def test_the_figures_are_those_of_the_summary(name, trained):
    run = trained(name)
    summary = json.loads((run / "summary.json").read_text())
    written = evaluated(run, "split=all")
    for split in ("train", "validation", "test"):
        assert written[split] == summary[split]
    assert written["examples"] == summary["examples"]
    assert written["step"] == summary["best_step"]


def test_one_split_is_evaluated_alone(trained):
    written = evaluated(trained("vae"))
    assert "test" in written
    assert "train" not in written
    assert list(written["examples"]) == ["test"]


def test_the_limit_can_be_lifted(trained):
    assert evaluated(trained("vae"), "limit=1000000")["examples"] == {"test": 297}
    assert evaluated(trained("vae"))["examples"] == {"test": 64}


def test_another_seed_draws_other_latents(trained):
    first, other = evaluated(trained("vae")), evaluated(trained("vae"), "seed=1")
    assert first["test"]["kl"] == other["test"]["kl"]  # in closed form
    assert first["test"]["log_px"] != other["test"]["log_px"]


def test_the_kl_of_the_units_adds_up(trained):
    written = evaluated(trained("spatial"))
    assert sum(written["kl_units"]["test"]) == pytest.approx(written["test"]["kl"], rel=1e-5)
    assert len(written["kl_units"]["test"]) == 3


def test_an_autoencoder_has_no_elbo(trained):
    written = evaluated(trained("ae"))
    assert written["test"]["elbo"] is None
    assert written["kl_units"] == {"test": None}


def test_the_table_has_a_column_per_split(trained, capsys):
    capsys.readouterr()
    written = evaluated(trained("vae"), "split=all")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["figure", "train", "validation", "test"] in lines
    assert ["elbo", *(f"{written[split]['elbo']:.5g}" for split in ("train", "validation", "test"))] in lines


def test_samples_give_a_likelihood_with_its_error_that_more_samples_raise(trained):
    few, many = (evaluated(trained("vae"), f"samples={samples}")["test"] for samples in (1, 200))
    # with one sample it is the bound itself, from other draws
    assert few["log_likelihood"] == pytest.approx(few["elbo"], abs=0.5)
    assert many["log_likelihood"] > few["log_likelihood"]
    assert 0 < many["log_likelihood_standard_error"] < 2
    assert "log_likelihood" not in evaluated(trained("vae"))["test"]


def test_a_code_without_noise_has_no_likelihood_by_samples(trained, refused):
    run = trained("ae")
    said = refused("evaluate", f"run={run}", "samples=10", "device=cpu", unchanged=run)
    assert "samples=10: codes without noise have no density" in said
