"""Every experiment says what it is held against, or why there is nothing to hold it against."""

import pytest
from omegaconf import OmegaConf

from tests.helpers import config_of
from vae_runner.cli import main
from vae_runner.config import Tree, apply_overrides, check, compose, configs_directory
from vae_runner.config.composing import plain
from vae_runner.config.saved import require_same
from vae_runner.errors import UserError
from vae_runner.evaluation.groups import GROUPS
from vae_runner.reporting.published import Published

TREE = Tree([configs_directory()])


@pytest.mark.parametrize("experiment", TREE.options("experiment"))
def test_an_experiment_carries_its_published_figure_or_says_why_there_is_none(experiment):
    file = TREE.options("experiment")[experiment]
    assert "published" in TREE.body(file)
    published = Published.of(config_of(f"experiment={experiment}"), file)
    header = [line for line in file.read_text().splitlines() if line.startswith("# ")]
    if published is None:
        assert any(line.startswith("# no published figure: ") for line in header)
        return
    assert published.tolerance > 0
    assert published.source
    where, _, name = published.figure.partition(".")
    assert where in ("train", "validation", "test", "train_running", *GROUPS)
    assert name


def refused(*overrides: str, config_dir=None) -> str:
    with pytest.raises(UserError) as error:
        check(compose(list(overrides), config_dir))
    return str(error.value)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "published.valeu=1",
            "published.valeu=1: there is no setting published.valeu; did you mean published.value=1?",
        ),
        ("published.value=high", "published.value=high: must be a number, and 'high' is text"),
        ("published.tolerance=-1", "published.tolerance=-1: must be 0 or more"),
        ("published.figure=test.elbow", "published.figure=test.elbow: test has no elbow; did you mean test.elbo?"),
        (
            "published.figure=tst.elbo",
            "published.figure=tst.elbo: neither summary.json nor evaluation.json has tst; did you mean test.elbo?",
        ),
        (
            "published.figure=elbo",
            "published.figure=elbo: neither summary.json nor evaluation.json has elbo; did you mean test.elbo?",
        ),
        (
            "published.figure=likelihood.log_likelihood_5000",
            "published.figure=likelihood.log_likelihood_5000: likelihood has no log_likelihood_5000; did you mean "
            "likelihood.log_likelihood?",
        ),
        ("published.figure=test", "published.figure=test: must name a figure of test, as in test.loss"),
        ("published.figure=seconds.more", "published.figure=seconds.more: seconds is a figure by itself"),
        ("published.source=null", "published.source=null: must be text"),
        ("~published.source", "published.source: missing, and published needs it: type published.source=..."),
        ("published=105", "published=105: must be a mapping, as in {name: value} (or null)"),
    ],
)
def test_a_published_figure_is_checked_like_any_other_setting(typed, said):
    assert refused("experiment=tutorial_mnist", typed).startswith(said)


def test_an_unknown_key_in_a_file_is_refused_with_its_line(tmp_path):
    (tmp_path / "experiment").mkdir()
    body = "# @package _global_\n# mine\npublished:\n  figure: test.elbo\n  value: -1\n  tolerance: 1\n  sorce: me\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(body)
    said = refused("experiment=mine", config_dir=tmp_path).splitlines()
    assert said[0] == "published.source: missing, and published needs it: type published.source=..."
    assert said[1].startswith(
        "published.sorce=me: there is no setting published.sorce; did you mean published.source=me?"
    )
    assert said[1].endswith("line 7)")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            "{latent_dims=5: 3}",
            "published.values: latent_dims=5: there is no setting latent_dims; did you mean latent_dim",
        ),
        ("{5: 3}", "published.values={5:3}: its entry 5: 5 must be text"),
        ("{variant=beta_vae: 3}", "published.values: variant=beta_vae: there is no setting variant ("),
        ("{'latent_dim=[': 3}", "published.values: latent_dim=[: its value is not readable as YAML ("),
        ("{'latent_dim=${': 3}", "published.values: latent_dim=${: its value is not readable as YAML ("),
        ("{latent_dim=5: high}", "published.values={latent_dim=5:high}: its entry latent_dim=5: high must be a number"),
    ],
)
def test_the_settings_of_published_values_are_checked(values, said, tmp_path):
    (tmp_path / "experiment").mkdir()
    body = "# @package _global_\n# mine\npublished:\n  figure: test.elbo\n  value: -1\n  tolerance: 1\n  source: me\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(f"{body}  values: {values}\n")
    assert refused("experiment=mine", config_dir=tmp_path).startswith(said)


def test_every_setting_of_published_values_is_one_of_its_experiment():
    for experiment, file in TREE.options("experiment").items():
        config = config_of(f"experiment={experiment}")
        published = Published.of(config, file)
        for typed in (published and published.values) or {}:
            swept = plain(apply_overrides(OmegaConf.create(config), typed.split()))
            assert published.for_run(swept).value == published.values[typed]


def test_a_run_goes_on_with_another_published_figure():
    before = {"published": None, "latent_dim": 2}
    require_same(before, {"published": {"figure": "test.elbo", "value": 1.0}, "latent_dim": 2})
    require_same({"latent_dim": 2}, before)
    require_same({"published": {"value": 1.0}}, {"published": {"value": 2.0}})


def test_the_list_of_experiments_shows_what_each_is_held_against(capsys):
    assert main(["list", "experiment"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("cvae_quadrants_1 "))
    assert lines[at + 1].strip().startswith("published: test.elbo -71.8 ± 1 (Pyro's CVAE tutorial")
    at = next(i for i, line in enumerate(lines) if line.startswith("vrae_names "))
    assert "published:" not in lines[at + 1]
