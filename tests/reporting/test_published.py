"""A published figure beside one of ours."""

import json
from pathlib import Path

import pytest

from vae_runner.errors import UserError
from vae_runner.reporting.published import Ours, Published
from vae_runner.run_directory import RunDirectory


def held(figure="test.elbo", value=-100.0, tolerance=1.0):
    return Published(figure=figure, value=value, tolerance=tolerance, source="a paper")


@pytest.mark.parametrize(
    ("figure", "ours", "verdict"),
    [
        ("test.elbo", -100.0, "within 1"),
        ("test.elbo", -101.0, "within 1"),
        ("test.elbo", -98.5, "better by 1.5"),
        ("test.elbo", -102.0, "worse by 2"),
        ("test.loss", -102.0, "better by 2"),
        ("test.loss", -98.5, "worse by 1.5"),
        ("likelihood.log_likelihood", -98.5, "better by 1.5"),
        ("likelihood.perplexity", -98.5, "worse by 1.5"),
        ("test.elbo", None, "not taken"),
    ],
)
def test_a_verdict_says_which_is_better_and_by_how_much(figure, ours, verdict):
    assert held(figure).verdict(Ours(ours)) == verdict


def test_ours_stands_in_the_summary_or_in_the_evaluation(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps({"test": {"elbo": -99.0, "kl": None}, "seconds": 3}))
    groups = {"likelihood": {"log_likelihood": -95.0}, "test": {"elbo": -1.0}}
    (tmp_path / "evaluation.json").write_text(json.dumps({"groups_of": "test", **groups}))
    run = RunDirectory(tmp_path)
    assert held("test.elbo").ours(run).value == -99.0
    assert held("likelihood.log_likelihood").ours(run).value == -95.0
    assert held("seconds").ours(run).value == 3
    for missing in ("test.kl", "test.accuracy", "samples.frechet_distance", "test", "test.elbo.more"):
        assert held(missing).ours(run).value is None
    # figures of training examples are not what is published
    (tmp_path / "evaluation.json").write_text(json.dumps({"groups_of": "train", **groups}))
    assert held("likelihood.log_likelihood").ours(run).value is None
    assert held("test.elbo").ours(RunDirectory(tmp_path / "nowhere")).value is None


@pytest.mark.parametrize(
    ("figure", "fewer"),
    [
        ("likelihood.log_likelihood", "50 draws, 100 examples"),
        ("likelihood.annealed_log_likelihood", "20 examples"),
        ("likelihood.log_likelihood_of_these", "50 draws, 20 examples"),
        ("reconstruction.psnr", "100 examples"),
        ("latents.aggregate_kl", ""),  # of no more than 2,000 whatever the limit
        ("usefulness.chance", ""),
        ("test.elbo", ""),
    ],
)
def test_few_draws_and_examples_are_told_beside_ours(figure, fewer, tmp_path):
    few = {"taken_with": {"limit": 100}}
    likelihood = {"log_likelihood": -1.0, "annealed_log_likelihood": -1.0, "log_likelihood_of_these": -1.0, "draws": 50}
    groups = {
        "likelihood": {**likelihood, "examples": 100, "annealed_examples": 20, **few},
        "reconstruction": {"psnr": -1.0, "examples": 100, **few},
        "latents": {"aggregate_kl": -1.0, "examples": 80, **few},
        "usefulness": {"chance": -1.0, **few},
    }
    (tmp_path / "evaluation.json").write_text(json.dumps({"groups_of": "test", **groups}))
    (tmp_path / "summary.json").write_text(json.dumps({"test": {"elbo": -1.0}}))
    ours = held(figure).ours(RunDirectory(tmp_path))
    assert (ours.value, ours.fewer) == (-1.0, fewer)
    brackets = f" ({fewer})" if fewer else ""
    assert held(figure, value=-1.5).verdict(ours) == f"within 1{brackets}"
    assert held(figure, value=-4.0).verdict(ours).endswith(f" by 3{brackets}")


@pytest.mark.parametrize(("limit", "fewer"), [(100, "100 examples"), (200, ""), (None, "")])
def test_a_figure_of_training_says_of_how_few_examples_training_took_it(limit, fewer, tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps({"test": {"elbo": -1.0}, "examples": {"test": 100}}))
    assert held("test.elbo").ours(RunDirectory(tmp_path), limit).fewer == fewer


@pytest.mark.parametrize("group", [{"draws": 5000, "taken_with": {"limit": None}}, {"draws": 10000}, {}])
def test_a_likelihood_of_all_draws_and_examples_says_nothing_of_them(group, tmp_path):
    likelihood = {"log_likelihood": -100.0, "examples": 10000, **group}
    (tmp_path / "evaluation.json").write_text(json.dumps({"groups_of": "test", "likelihood": likelihood}))
    figure = held("likelihood.log_likelihood")
    assert figure.verdict(figure.ours(RunDirectory(tmp_path))) == "within 1"


def test_that_of_a_config_is_read_and_a_wrong_one_refused():
    file = Path("config.yaml")
    assert Published.of({}, file) is None
    assert Published.of({"published": None}, file) is None
    given = {"figure": "test.elbo", "value": -100.0, "tolerance": 1.0, "source": "a paper"}
    assert Published.of({"published": given}, file) == held()
    assert str(held()) == "test.elbo -100 ± 1 (a paper)"
    with pytest.raises(UserError, match=r"config\.yaml: published: must have figure, value, tolerance and source, may"):
        Published.of({"published": {"value": 3}}, file)


def swept(value=-10.0):
    values = {"objective.samples=5": -8.0, "objective.samples=5 latent_dim=2": -7.0, "data.leave_out=[3]": -6.0}
    return Published(figure="test.elbo", value=value, values=values, tolerance=1.0, source="a paper")


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ({}, -10.0),
        ({"objective": {"samples": 1}}, -10.0),
        ({"objective": {"samples": 5}}, -8.0),
        ({"objective": {"samples": 5}, "latent_dim": 2}, -7.0),
        ({"objective": None, "data": {"leave_out": [3]}}, -6.0),
        ({"data": {"leave_out": [3, 4]}}, -10.0),
    ],
)
def test_a_run_of_a_sweep_is_held_against_the_value_of_its_settings(config, value):
    assert swept().for_run(config) == held(value=value)


@pytest.mark.parametrize("typed", ["optimizer.lr=1e-3", "optimizer.lr=0.001", "optimizer.lr=1.0e-03"])
def test_numbers_with_an_exponent_are_those_of_the_config(typed):
    published = Published(figure="test.elbo", value=None, values={typed: -8.0}, tolerance=1.0, source="a paper")
    assert published.for_run({"optimizer": {"lr": 0.001}}) == held(value=-8.0)
    assert published.for_run({"optimizer": {"lr": 0.01}}) is None


def test_a_run_that_no_value_is_of_is_held_against_none():
    assert swept(value=None).for_run({"latent_dim": 2}) is None
    assert swept(value=None).for_run({"objective": {"samples": 5}}) == held(value=-8.0)


def test_all_values_are_shown_with_what_is_typed_for_them():
    values = "-8 with objective.samples=5, -7 with objective.samples=5 latent_dim=2, -6 with data.leave_out=[3]"
    assert str(swept()) == f"test.elbo -10, {values} ± 1 (a paper)"
    assert str(swept(value=None)) == f"test.elbo {values} ± 1 (a paper)"
