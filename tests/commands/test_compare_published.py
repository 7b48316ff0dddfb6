"""`vae-run compare` beside published figures."""

import json
from pathlib import Path

import pytest

from tests.commands.test_compare import BASE, column, compared, make, nats
from vae_runner.cli import main

PAPER = {"figure": "test.elbo", "value": -100.0, "tolerance": 1.0, "source": "a paper"}
HELD = ["figure", "published", "ours", "verdict"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_run_of_an_experiment_stands_beside_its_published_figure(capsys):
    make(Path("same"), figures=nats(-100.5), published=PAPER)
    make(Path("worse"), figures=nats(-103.0), published=PAPER)
    make(Path("failed"), state="failed", published=PAPER)
    make(Path("own"), figures=nats(-90.0), published=None)
    rows = compared("same", "worse", "failed", "own", "sort=run")
    assert list(rows[0])[1:6] == ["state", *HELD]  # and what it is held against is no setting in which runs differ
    assert {row["run"]: [row[name] for name in HELD] for row in rows} == {
        "same": ["test.elbo", "-100.0", "-100.5", "within 1"],
        "worse": ["test.elbo", "-100.0", "-103.0", "worse by 3"],
        "failed": ["test.elbo", "-100.0", "", "not taken"],
        "own": ["", "", "", ""],
    }
    assert "published: test.elbo -100 ± 1 (a paper)" in capsys.readouterr().out


@pytest.mark.parametrize(("figure", "order"), [("elbo", ["c", "a", "b"]), ("loss", ["b", "a", "c"])])
def test_sorted_by_ours_the_best_is_first(figure, order):
    for name, elbo in (("a", -101.0), ("b", -103.0), ("c", -99.0)):
        figures = {"elbo": elbo, "loss": elbo}
        make(Path(name), figures=figures, published={**PAPER, "figure": f"test.{figure}"})
    assert column(compared("a", "b", "c", "sort=ours"), "run") == order


def test_figures_of_which_some_are_better_low_are_sorted_as_told_alone(refused):
    for name, figure in (("a", "elbo"), ("b", "loss")):
        make(Path(name), figures=nats(-100.0), published={**PAPER, "figure": f"test.{figure}"})
    said = refused("compare", "a", "b", "sort=ours")
    assert said == "sort=ours: some of these are better high and others low; type descending=true or false"
    assert column(compared("a", "b", "sort=ours", "descending=true"), "run") == ["b", "a"]


def test_runs_without_a_published_figure_have_no_such_columns():
    make(Path("a"), figures=nats(-1.0), published=None)
    make(Path("b"), figures=nats(-2.0))
    assert set(HELD).isdisjoint(compared("a", "b")[0])


def test_runs_over_seeds_have_a_mean_and_a_spread_beside_it(capsys):
    for seed, elbo in enumerate((-100.0, -101.0, -102.0)):
        make(Path(f"runs/{seed}"), f"seed={seed}", figures=nats(elbo), seed=seed, published=PAPER)
    make(Path("runs/3"), "seed=3", state="failed", seed=3, published=PAPER)  # which counts for none of it
    assert main(["compare", "runs", "out=."]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    at = lines.index("over seeds")
    assert lines[at + 1].split() == ["runs", "figure", "published", "ours", "ours", "±", "verdict"]
    assert lines[at + 3].split() == ["3", "test.elbo", "-100", "-101", "1", "within", "1"]
    text = Path("compare.md").read_text()
    assert text.endswith("| 3 | test.elbo | -100 | -101 | 1 | within 1 |\n")


def test_a_run_that_was_run_twice_counts_once_over_seeds(capsys):
    for name, seed, elbo in [("a", 0, -100.0), ("b", 0, -100.0), ("c", 0, -100.0), ("d", 1, -104.0)]:
        make(Path(f"runs/{name}"), figures=nats(elbo), seed=seed, published=PAPER)
    assert main(["compare", "runs"]) == 0
    printed = capsys.readouterr().out
    lines = [line.strip() for line in printed.splitlines()]
    line = lines[lines.index("over seeds") + 3].split()
    assert line[:5] == ["2", "test.elbo", "-100", "-102", "2.8284"]
    assert "of the same settings and seed, and one run in any mean: a, b, c" in lines
    assert main(["compare", "runs/a", "runs/b"]) == 0
    assert "over seeds" not in capsys.readouterr().out


def test_seeds_of_several_settings_are_averaged_apart(capsys):
    for latent_dim, seed, elbo in [(2, 0, -100.0), (2, 1, -101.0), (4, 0, -104.0), (4, 1, -106.0), (8, 0, -1.0)]:
        given = {"latent_dim": latent_dim, "seed": seed}
        make(Path(f"runs/{latent_dim}_{seed}"), figures=nats(elbo), published=PAPER, **given)
    assert main(["compare", "runs"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    at = lines.index(["over", "seeds"])
    assert [lines[at + 3][:2], lines[at + 4][:2]] == [["2", "2"], ["4", "2"]]
    assert [lines[at + 3][-2:], lines[at + 4][-3:]] == [["within", "1"], ["worse", "by", "5"]]


def test_an_average_is_held_against_it_too_unless_runs_differ_in_what_they_are_held_against():
    other = {**PAPER, "value": -50.0}
    for seed, (name, published) in enumerate((("a", PAPER), ("b", PAPER), ("c", other))):
        choices = {**BASE["choices"], "experiment": "one" if published is PAPER else "other"}
        make(Path(f"runs/{name}"), figures=nats(-104.0), published=published, choices=choices, seed=seed)
    rows = compared("runs", "by=experiment", "sort=experiment")
    assert column(rows, "verdict") == ["worse by 4", "worse by 54"]
    assert column(rows, "ours ±") == ["0.0", ""]
    assert "verdict" not in compared("runs", "by=variant")[0]


def test_a_mean_over_seeds_says_of_how_few_draws_and_there_is_none_of_unlike_ones(capsys):
    for width, seed, draws in [(2, 0, 50), (2, 1, 50), (4, 0, 50), (4, 1, 5000)]:
        published = {**PAPER, "figure": "likelihood.log_likelihood"}
        run = make(Path(f"runs/{width}_{seed}"), figures=nats(-1.0), published=published, latent_dim=width, seed=seed)
        group = {"log_likelihood": -100.0 - seed / 2, "draws": draws, "examples": 100, "taken_with": {"limit": 100}}
        (run / "evaluation.json").write_text(json.dumps({"groups_of": "test", "likelihood": group}))
    assert main(["compare", "runs"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    few, unlike = lines[lines.index("over seeds") + 3 :][:2]
    of_both = "likelihood.log_likelihood -100 "
    assert " ".join(few.split()) == f"2 2 {of_both}-100.25 0.35355 within 1 (50 draws, 100 examples)"
    assert " ".join(unlike.split()) == f"4 2 {of_both}- - of unlike draws, examples or options"


def test_the_verdict_on_a_figure_of_training_says_of_how_few_examples_it_is():
    for name, examples in (("few", 64), ("all", None)):
        run = make(Path(name), figures=nats(-100.5), published=PAPER, trainer={"evaluation_examples": examples})
        summary = json.loads((run / "summary.json").read_text())
        (run / "summary.json").write_text(json.dumps({**summary, "examples": {"test": examples or 1000}}))
    assert column(compared("few", "all", "sort=run"), "verdict") == ["within 1", "within 1 (64 examples)"]


def test_there_is_no_mean_over_seeds_of_what_was_taken_with_unlike_options(capsys):
    for width, seed, bins in [(2, 0, 20), (2, 1, 20), (4, 0, 20), (4, 1, 50)]:
        published = {**PAPER, "figure": "disentanglement.mig", "value": 0.5}
        run = make(Path(f"runs/{width}_{seed}"), figures=nats(-1.0), published=published, latent_dim=width, seed=seed)
        group = {"mig": 0.25, "bins": bins, "examples": 100, "taken_with": {"limit": None}}
        (run / "evaluation.json").write_text(json.dumps({"groups_of": "test", "disentanglement": group}))
    assert main(["compare", "runs"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    same, unlike = (line.split() for line in lines[lines.index("over seeds") + 3 :][:2])
    assert same[:6] == ["2", "2", "disentanglement.mig", "0.5", "0.25", "0"]
    assert " ".join(unlike) == "4 2 disentanglement.mig 0.5 - - of unlike draws, examples or options"


def test_a_likelihood_says_of_how_many_draws_it_is():
    for name, draws, value in [("few", 50, -91.0), ("many", 5000, -90.0), ("other", 5000, -95.0)]:
        run = make(Path(name), figures=nats(-100.0))
        group = {"log_likelihood": value, "perplexity": 3.0, "draws": draws, "bounds": []}
        (run / "evaluation.json").write_text(json.dumps({"groups_of": "test", "likelihood": group}))
    rows = compared("few", "many", "other", "sort=run")
    assert column(rows, "test log_likelihood_50") == ["-91.0", "", ""]
    assert column(rows, "test log_likelihood_5000") == ["", "-90.0", "-95.0"]
    # of one number of draws they are compared by the plain name, the highest first
    rows = compared("other", "many", "sort=log_likelihood")
    assert column(rows, "run") == ["many", "other"]
    assert "test perplexity_5000" in compared("other", "many", "sort=perplexity")[0]


def test_areas_of_scores_that_are_drawn_say_of_how_many_draws():
    for name, draws, area in [("few", 10, 0.7), ("many", 50, 0.8)]:
        run = make(Path(name), figures=nats(-100.0))
        group = {"auc_negative_elbo": area, "auc_reconstruction_error": area, "draws": draws}
        groups = {"likelihood": {"log_likelihood": -90.0, "draws": 5000}, "anomaly": group}
        (run / "evaluation.json").write_text(json.dumps({"groups_of": "test", **groups}))
    rows = compared("few", "many", "sort=auc_negative_elbo_50")
    assert column(rows, "test auc_negative_elbo_50") == ["0.8", ""]
    rows = compared("few", "many", "sort=auc_reconstruction_error")
    assert column(rows, "run") == ["many", "few"]
    assert column(rows, "test log_likelihood_5000") == ["-90.0", "-90.0"]


def test_bounds_of_different_draws_are_not_sorted_together(refused):
    for name, draws in [("few", 50), ("many", 5000)]:
        run = make(Path(name), figures=nats(-100.0))
        group = {"log_likelihood": -90.0, "draws": draws}
        (run / "evaluation.json").write_text(json.dumps({"groups_of": "test", "likelihood": group}))
    assert "type sort=log_likelihood_50 or sort=log_likelihood_5000" in refused(
        "compare", "few", "many", "sort=log_likelihood"
    )


def test_the_bound_of_an_importance_weighted_run_is_shown_with_its_draws():
    make(Path("a"), figures={**nats(-100.0), "iw_bound_5": -98.0})
    make(Path("b"), figures={**nats(-100.0), "iw_bound_5": -97.0})
    rows = compared("a", "b", "sort=iw_bound_5")
    assert column(rows, "test iw_bound_5") == ["-97.0", "-98.0"]


def test_a_config_with_a_broken_published_figure_is_refused(refused):
    make(Path("a"), published={"value": 3})
    assert "published: must have figure, value, tolerance and source" in refused("compare", "a")


def test_each_job_of_a_sweep_is_held_against_the_value_of_its_settings():
    swept = {**PAPER, "value": None, "values": {"latent_dim=2": -101.0, "latent_dim=4": -90.0}}
    for latent_dim in (2, 4, 8):
        make(Path(f"runs/{latent_dim}"), figures=nats(-100.5), published=swept, latent_dim=latent_dim)
    rows = compared("runs", "sort=run")
    assert [row["verdict"] for row in rows] == ["within 1", "worse by 10.5", ""]
    assert [row["published"] for row in rows] == ["-101.0", "-90.0", ""]
