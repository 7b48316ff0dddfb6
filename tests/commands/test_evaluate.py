"""`vae-run evaluate`: the figures of training, taken anew."""

import io
import itertools
import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from tests.commands.conftest import RUNS
from tests.reporting.figures.drawn import shows
from vae_runner.cli import main
from vae_runner.commands.evaluate import evaluate
from vae_runner.config.figures import mistaken
from vae_runner.data.splits import mixed
from vae_runner.evaluation.groups import GROUPS, Settings
from vae_runner.reporting import console
from vae_runner.reporting.published import KNOWN


def evaluated(run, *args: str, only: str | None = "bound") -> dict:
    """What is written, without anything of an earlier evaluation."""
    (run / "evaluation.json").unlink(missing_ok=True)
    return evaluated_again(run, *args, only=only)


def evaluated_again(run, *args: str, only: str | None = "bound") -> dict:
    chosen = [] if only is None else [f"only={only}"]
    assert main(["evaluate", f"run={run}", "device=cpu", *chosen, *args]) == 0
    return json.loads((run / "evaluation.json").read_text())


def pictures(run) -> set[str]:
    return {file.stem for file in (run / "images" / "evaluation").iterdir()}


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
    (units,) = written["kl_units"]["test"]
    assert sum(units) == pytest.approx(written["test"]["kl"], rel=1e-5)
    assert len(units) == 3


def test_the_kl_of_each_level_is_told_and_drawn_by_itself(copied, figures_drawn):
    run = copied("levels")
    written = evaluated(run)
    below, above = written["kl_units"]["test"]
    assert (len(below), len(above)) == (3, 1)
    assert sum(below) == pytest.approx(written["test"]["level_1_kl"], rel=1e-5)
    assert sum(above) == pytest.approx(written["test"]["level_2_kl"], rel=1e-5)
    for picture in ("evaluation/kl_units_test.png", "kl_units.png"):
        assert shows(Image.open(run / "images" / picture), "tab:orange"), "the second level has a colour of its own"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    validation = next(line for line in lines if line["split"] == "validation")
    assert [len(units) for units in validation["kl_units"]] == [3, 1]
    assert all({"level_1_kl", "level_2_kl"} <= line.keys() for line in lines)


def test_an_autoencoder_has_no_elbo(trained):
    written = evaluated(trained("ae"))
    assert written["test"]["elbo"] is None
    assert written["kl_units"] == {"test": None}


def test_the_table_has_a_column_per_split(trained, capsys):
    capsys.readouterr()
    written = evaluated(trained("vae"), "split=all")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["figure", "train", "validation", "test"] in lines
    elbos = [
        [f"{written[split]['elbo']:.5g}", "±", f"{written[split]['elbo_standard_error']:.2g}"]
        for split in ("train", "validation", "test")
    ]
    assert ["elbo", *itertools.chain(*elbos)] in lines


def test_samples_give_a_likelihood_with_its_error_that_more_samples_raise(trained):
    run = trained("vae")
    elbo = evaluated(run)["test"]["elbo"]
    few, many = (evaluated(run, f"samples={n}", only="likelihood")["likelihood"] for n in (1, 200))
    # with one sample it is the bound itself, from other draws
    assert few["log_likelihood"] == pytest.approx(elbo, abs=0.5)
    assert many["log_likelihood"] > few["log_likelihood"]
    assert 0 < many["log_likelihood_standard_error"] < 2
    assert many["draws"] == 200


def test_the_bounds_grow_with_their_draws_and_end_at_the_likelihood(trained):
    run = trained("vae")
    written = evaluated(run, "samples=100", only="likelihood")
    found, elbo = written["likelihood"], written["test"]["elbo"]
    bounds = [row["bound"] for row in found["bounds"]]
    assert [row["draws"] for row in found["bounds"]] == [1, 2, 5, 10, 20, 50, 100]
    assert bounds == sorted(bounds)
    assert found["bounds"][-1] == {
        "draws": 100,
        "bound": found["log_likelihood"],
        "standard_error": found["log_likelihood_standard_error"],
    }
    # of the same draws: the bound of one is the mean of the log weights of a hundred
    assert bounds[0] == pytest.approx(elbo, abs=0.3)
    assert "bounds_test" in pictures(run)
    # one draw is no curve, and the old one is of other figures
    evaluated_again(run, "samples=1", only="likelihood")
    assert "bounds_test" not in pictures(run)


def test_rate_and_distortion_are_the_terms_of_the_bound(trained):
    written = evaluated(trained("vae"), "samples=100", only="likelihood,reconstruction")
    found, test, likelihood = written["reconstruction"], written["test"], written["likelihood"]
    assert found["rate"] == pytest.approx(test["kl"], rel=1e-5)
    assert found["distortion"] == pytest.approx(-test["log_px"], abs=3 * test["elbo_standard_error"])
    assert found["rate"] + found["distortion"] > -likelihood["log_likelihood"]
    of_one_draw = likelihood["bounds"][0]
    assert test["elbo_standard_error"] == pytest.approx(of_one_draw["standard_error"], rel=0.1)
    numbers = {name for name, value in found.items() if isinstance(value, int | float)}
    assert numbers <= set(KNOWN["reconstruction"])
    of_codes = evaluated(trained("ae"), only="reconstruction")["reconstruction"]
    assert of_codes["rate"] is None
    assert of_codes["distortion"] == pytest.approx(of_codes["distortion_at_mean"], rel=1e-5)


@pytest.mark.parametrize(("latent_dim", "drawn"), [(2, False), (3, True), (5, True)])
def test_codes_are_mapped_in_three_dimensions_where_they_have_as_many(latent_dim, drawn, tmp_path):
    run = tmp_path / "run"
    small = ["architecture.width=8", "trainer=debug", f"latent_dim={latent_dim}"]
    assert main(["train", *small, f"hydra.run.dir={run}"]) == 0
    evaluated(run)
    assert (run / "images" / "evaluation" / "latents_test.png").is_file()
    assert (run / "images" / "evaluation" / "latents_3d_test.png").is_file() == drawn


def test_annealing_is_a_second_opinion_on_the_likelihood(trained):
    found = evaluated(trained("vae"), "annealed=60", "samples=500", only="likelihood")["likelihood"]
    assert found["annealed_log_likelihood"] == pytest.approx(found["log_likelihood_of_these"], abs=0.5)
    by = found["annealed_log_likelihood"] - found["log_likelihood_of_these"]
    assert found["annealed_difference"] == pytest.approx(by)
    # of the same examples, whose likelihoods differ by far more than two estimates of one
    assert 0 < found["annealed_difference_standard_error"] < 0.5 * found["log_likelihood_of_these_standard_error"]


def test_figures_of_every_group_can_be_held_against_published_ones():
    assert set(GROUPS) <= set(KNOWN)


# counts, settings, what is exact of these examples, and a count of classes that has no error
WITHOUT_ERROR = {
    *(
        "draws",
        "examples",
        "samples",
        "neighbours",
        "collapsed_share",
        "mutual_information_at_most",
        "classes",
        "classes_present",
        "chance",
    ),
    *("copies_share_of_held_out", "copies_quantile", "copies_looked_for_in", "features_accuracy", "feature_steps"),
    "frechet_distance_of_training",
    *("linear_probe_strength", "knn_neighbours", "training_codes", "validation_codes", "test_codes"),
    *("anomalies", "ridge_strength", "bins", "batch", "batches", "held_out"),
}


def without_error(figures):
    """The figures that should have a standard error beside them and have none."""
    names = {name for name, value in figures.items() if isinstance(value, int | float)}
    figures_alone = {name for name in names if not name.endswith("_standard_error")}
    return {name for name in figures_alone - WITHOUT_ERROR if figures.get(f"{name}_standard_error") is None}


def test_every_group_is_taken_or_says_why_not(trained, capsys, figures_drawn):
    run = trained("vae")
    capsys.readouterr()
    written = evaluated(run, "samples=20", "limit=297", only=None)
    taken = {"likelihood", "latents", "reconstruction", "samples", "usefulness"}
    assert taken <= set(written)
    assert written["not_taken"]["disentanglement"] == "the data has no known factors"
    assert set(written["not_taken"]) == {"disentanglement", "anomaly"}
    assert "no disentanglement: the data has no known factors" in capsys.readouterr().out
    for group in taken:
        assert all(value is None or math.isfinite(value) for value in written[group].values() if type(value) is float)
    assert written["samples"]["features_accuracy"] > 0.9
    assert {"bounds_test", "neighbours_test"} <= pictures(run)
    evaluated_again(run, "split=validation", only="latents")
    assert {"bounds_test", "neighbours_test"}.isdisjoint(pictures(run))
    for group in taken:
        numbers = {name for name, value in written[group].items() if isinstance(value, int | float)}
        assert numbers <= set(KNOWN[group])
        assert without_error(written[group]) == set()


@pytest.mark.parametrize("name", RUNS)
def test_the_groups_say_something_of_every_kind_of_run(name, trained, figures_drawn):
    few = ["samples=2", "generated=40"] + ["feature_steps=20"] * (not name.startswith("vectors"))
    written = evaluated(trained(name), *few, only="likelihood,latents,reconstruction,samples")
    assert {"reconstruction", "samples"} <= set(written)
    assert ("likelihood" in written["not_taken"]) == (written["test"]["elbo"] is None)


SEQUENCES = {
    "text": ["variant=vrae", "data=text", "likelihood=categorical", "data.limit=200"],
    "series": ["variant=vrae", "data.limit=200"],
    "music": ["variant=vrae", "data=music", "likelihood=bernoulli", "data.path=rolls.npz", "data.validation=0.2"],
}


@pytest.mark.parametrize("kind", SEQUENCES)
def test_samples_of_sequences_are_compared(tmp_path, monkeypatch, kind, figures_drawn):
    monkeypatch.chdir(tmp_path)
    run, lengths = tmp_path / "run", np.arange(5, 75)
    frames = np.random.default_rng(0).integers(0, 2, (lengths.sum(), 88), dtype=np.uint8)
    np.savez("rolls.npz", train_frames=frames, train_lengths=lengths)
    assert main(["train", *SEQUENCES[kind], "trainer=debug", "architecture.width=8", f"hydra.run.dir={run}"]) == 0
    written = evaluated(run, "generated=60", only="samples")
    figures = written["samples"]
    assert figures["frechet_distance"] > 0
    assert figures.get("classes") == {"text": 3, "series": 5}.get(kind)
    assert figures.get("classes_present", 0) <= figures.get("classes", 0)
    assert ("counts of tokens" in figures["features"]) == (kind == "text")


def test_factors_are_held_against_the_codes_and_named_in_their_map(tmp_path, monkeypatch):
    from vae_runner.reporting.figures import latent_maps

    drawn, image_of = [], latent_maps.image_of
    monkeypatch.setattr(latent_maps, "image_of", lambda figure: drawn.append(figure) or image_of(figure))
    run = tmp_path / "run"
    small = ["data=sprites", "data.limit=400", "data.test=200", "data.validation=100", "architecture.width=8"]
    assert main(["train", *small, "trainer=debug", "trainer.evaluation_examples=null", f"hydra.run.dir={run}"]) == 0
    written = evaluated(run, only="disentanglement,usefulness")
    assert 0 <= written["disentanglement"]["mig"] <= 1
    assert written["disentanglement"]["mig_standard_error"] > 0
    assert without_error(written["usefulness"]) <= {"chance_shape", "chance_orientation"}
    assert written["usefulness"]["ridge_r2_position_x"] <= 1
    counts = {name: written["disentanglement"][name] for name in ("examples", "batch", "batches", "held_out")}
    assert counts == {"examples": 200, "batch": 64, "batches": 5000, "held_out": 0.25}
    assert {*written["disentanglement"]} - {"taken_with"} <= set(KNOWN["disentanglement"])
    assert 0 <= written["usefulness"]["linear_probe_accuracy_shape"] <= 1
    assert "ridge_r2_shape" not in written["usefulness"]
    for figure in ("ridge_r2_position_x", "linear_probe_accuracy_shape", "chance_shape"):
        assert mistaken(f"usefulness.{figure}") is None
    # the map of training, then the two of the evaluation
    assert [figure.legends[0].get_title().get_text() for figure in drawn] == ["shape"] * 3


@pytest.mark.parametrize(("shape", "features"), [((8, 8), "4 turns"), ((6,), "principal components")])
def test_samples_of_data_with_factors_are_compared_as_those_without_classes(shape, features, tmp_path):
    random = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=random.random((90, *shape), dtype=np.float32), y=random.integers(0, 3, (90, 2)))
    run = tmp_path / "run"
    data = ["data=arrays", f"data.path={tmp_path / 'x.npz'}", "likelihood=gaussian"]
    assert main(["train", *data, "trainer=debug", "architecture.width=8", f"hydra.run.dir={run}"]) == 0
    found = evaluated(run, only="samples")["samples"]
    assert features in found["features"]
    assert "classes_present" not in found


def test_samples_of_data_of_a_single_class_are_compared_as_those_without_classes(tmp_path):
    run, x = tmp_path / "run", np.random.default_rng(0).random((90, 6), dtype=np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(90, dtype=np.int64))
    data = ["data=arrays", f"data.path={tmp_path / 'x.npz'}", "likelihood=gaussian"]
    assert main(["train", *data, "trainer=debug", "architecture.width=8", f"hydra.run.dir={run}"]) == 0
    found = evaluated(run, only="samples")["samples"]
    assert "principal components" in found["features"]
    assert "classes_present" not in found


def real_valued(directory) -> list[str]:
    """The settings of examples (N, 6) of which a line tells the target."""
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    np.savez(directory / "x.npz", x=x, y=x @ [1.0, 2, 0, 0, 0, 1])
    return ["data=arrays", f"data.path={directory / 'x.npz'}", "likelihood=gaussian", "trainer=debug"]


def test_real_valued_targets_are_read_from_the_codes(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", *real_valued(tmp_path), "variant=ae", f"hydra.run.dir={run}"]) == 0
    written = evaluated(run, only=None)
    assert 0.5 < written["usefulness"]["ridge_r2"] <= 1
    assert written["not_taken"]["disentanglement"].startswith("the targets are real-valued")
    assert "principal components" in written["samples"]["features"]
    capsys.readouterr()
    assert main(["compare", str(run), "sort=ridge_r2"]) == 0
    assert f"{written['usefulness']['ridge_r2']:.5g}"[:5] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["condition=label"], "condition=label: this data has real-valued targets and no class labels"),
        (
            ["variant=ss_vae", "data.labels=null"],
            "condition=inferred_label: this data has real-valued targets and no class labels",
        ),
        (["condition=label", "prior=classes"], "condition=label: this data has real-valued targets"),
        (["data.labels=10"], "has real-valued targets and no class labels to keep; type data.labels=null"),
    ],
)
def test_what_needs_classes_declines_real_valued_targets_in_one_line(asked, words, tmp_path, refused):
    assert words in refused("train", *real_valued(tmp_path), *asked, f"hydra.run.dir={tmp_path / 'other'}")


def test_real_valued_targets_are_attributes_to_condition_on(tmp_path):
    run = tmp_path / "conditional"
    assert main(["train", *real_valued(tmp_path), "condition=attributes", f"hydra.run.dir={run}"]) == 0
    assert main(["sample", f"run={run}", "label=0.5", "n=2"]) == 0


def test_a_class_that_was_left_out_is_told_from_the_others(tmp_path, capsys):
    run = tmp_path / "run"
    small = ["trainer=debug", "architecture.width=8", "trainer.evaluation_examples=null"]
    assert main(["train", "data.leave_out=[0]", *small, f"hydra.run.dir={run}"]) == 0
    capsys.readouterr()
    written = evaluated(run, "samples=3", "feature_steps=20", only="anomaly,usefulness,samples")
    assert {"anomaly", "usefulness", "samples"} <= set(written)
    assert 0 < written["anomaly"]["auc_negative_elbo"] < 1
    assert written["anomaly"]["left_out"] == "0"
    assert {*written["anomaly"]} - {"left_out", "taken_with"} <= set(KNOWN["anomaly"])
    assert written["anomaly"]["draws"] == 3
    assert f"{written['anomaly']['auc_distortion']:.5g}" in capsys.readouterr().out
    validation = evaluated(run, "split=validation", only="anomaly")
    assert validation["not_taken"]["anomaly"].endswith("; those are in split=test")


def test_where_a_limit_leaves_no_anomalies_the_smallest_that_does_is_told(tmp_path):
    x, y = np.random.default_rng(0).random((60, 8, 8), dtype=np.float32), np.arange(60) % 3
    rare = np.where(
        np.isin(np.arange(60), mixed(60)[[5, 8, 29]].numpy()), 2, 0
    )  # in the order of examples 6th, 9th, 30th
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x, y_test=rare)
    run = tmp_path / "run"
    data = ["data=arrays", f"data.path={tmp_path / 'x.npz'}", "data.leave_out=[2]"]
    assert main(["train", *data, "trainer=debug", "architecture.width=8", f"hydra.run.dir={run}"]) == 0
    few = evaluated(run, "limit=4", only="anomaly")["not_taken"]["anomaly"]
    assert few.endswith("is of a class that was left out; for two of them, type limit=9 or more")
    assert evaluated(run, "limit=9", only="anomaly")["anomaly"]["anomalies"] == 2


def test_figures_of_groups_do_not_change_from_one_time_to_the_next(trained):
    groups = "likelihood,latents,reconstruction,usefulness,samples"
    first, again = (evaluated(trained("vae"), "samples=5", only=groups) for _ in range(2))
    assert first == again


def test_groups_that_were_taken_before_stay_with_what_they_were_taken_with(copied, capsys):
    run = copied("vae")
    first = evaluated(run, "samples=5", "seed=3", only="likelihood,disentanglement")
    capsys.readouterr()
    again = evaluated_again(run, only="reconstruction")
    assert "kept as it was: likelihood\n" in capsys.readouterr().out
    assert again["likelihood"] == first["likelihood"]
    assert again["not_taken"] == first["not_taken"] == {"disentanglement": "the data has no known factors"}
    annealing = {"annealed": 0, "annealed_chains": 16, "annealed_examples": 100}
    assert again["likelihood"]["taken_with"] == {"seed": 3, "limit": 64, "samples": 5, **annealing}
    assert again["reconstruction"]["taken_with"] == {"seed": 0, "limit": 64}
    assert again["seed"] == 0
    # taken anew it takes the place of the former
    assert evaluated_again(run, "samples=6", only="likelihood")["likelihood"]["draws"] == 6
    assert "bounds_test" in pictures(run)
    # the bound alone leaves them, and their picture
    assert {"likelihood", "reconstruction"} <= set(evaluated_again(run))
    assert "bounds_test" in pictures(run)


def test_progress_of_every_group_is_shown_on_a_terminal_and_leaves_no_trace_in_a_pipe(trained, monkeypatch, capsys):
    run = trained("vae")
    asked = ("samples=5", "annealed=3", "annealed_examples=5")
    groups = "likelihood,latents,reconstruction,usefulness"
    capsys.readouterr()
    in_a_pipe = evaluated(run, *asked, only=groups)
    assert "blocks" not in capsys.readouterr().out
    screen, terminal = io.StringIO(), type(console.console)
    monkeypatch.setattr(console, "console", terminal(file=screen, force_terminal=True, width=120, highlight=False))
    monkeypatch.setenv("TERM", "xterm")
    assert evaluated(run, *asked, only=groups) == in_a_pipe
    for line in ("bound", *groups.split(",")):
        assert f"{line} 0:00:0" in re.sub(r"\x1b\[[0-9;]*m|  +", "", screen.getvalue())
    assert "\x1b[2K" in screen.getvalue()


def test_what_estimators_choose_is_typed_and_stands_beside_their_figures(trained):
    typed = {"neighbours": 3, "feature_steps": 20, "codes": 30, "training_codes": 200}
    typed |= {"annealed": 3, "annealed_chains": 2, "annealed_examples": 7}
    groups = "likelihood,latents,samples,usefulness"
    found = evaluated(trained("vae"), *(f"{key}={value}" for key, value in typed.items()), "samples=5", only=groups)
    assert (found["samples"]["neighbours"], found["samples"]["feature_steps"]) == (3, 20)
    assert found["latents"]["examples"] == 30
    assert found["usefulness"]["training_codes"] == 200
    for key in ("annealed_chains", "annealed_examples"):
        assert found["likelihood"][key] == typed[key]
    assert found["likelihood"]["annealed_steps"] == 3
    taken_with = {key: value for group in groups.split(",") for key, value in found[group]["taken_with"].items()}
    assert taken_with.items() >= typed.items()
    # precision by more neighbours is never lower, and features of other steps are other features
    more = evaluated(trained("vae"), "neighbours=30", "feature_steps=20", only="samples")["samples"]
    assert more["precision"] >= found["samples"]["precision"]
    assert more["frechet_distance"] == found["samples"]["frechet_distance"]
    other = evaluated(trained("vae"), "feature_steps=21", only="samples")["samples"]
    assert other["frechet_distance"] != more["frechet_distance"]


def test_the_command_and_the_groups_have_the_same_defaults():
    import inspect

    names = {
        "annealed_chains": "chains",
        "generated": "samples",
        "training_codes": "probes",
        "annealed": "temperatures",
    }
    same = ("annealed_examples", "neighbours", "feature_steps", "bins")
    defaults = inspect.signature(evaluate).parameters
    for typed, name in {**names, **dict(zip(same, same, strict=True))}.items():
        assert defaults[typed].default == getattr(Settings(), name)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["bins=10", "only=likelihood"], "bins=10: is of disentanglement, which only= leaves out; add disentanglement"),
        (["codes=50", "only=samples"], "codes=50: is of latents and disentanglement, which only= leaves out"),
        (["samples=9", "only=bound"], "samples=9: is of likelihood and anomaly, which only= leaves out"),
        (["generated=50", "only=latents"], "generated=50: is of samples, which"),
        (["annealed_chains=4"], "annealed_chains=4: is of annealed importance sampling, of which there is none"),
        (["feature_steps=4", "inception=weights.pth"], "feature_steps=4: is of the small network"),
        (["bins=1"], "bins=1: must be"),
        (["neighbours=0"], "neighbours=0: must be"),
        (["training_codes=many"], "training_codes=many: must be"),
    ],
)
def test_an_option_that_would_change_nothing_or_is_out_of_range_is_refused(typed, said, trained, refused):
    assert said in refused("evaluate", f"run={trained('vae')}", *typed, unchanged=trained("vae"))


def test_steps_for_features_that_take_none_are_declined(trained):
    written = evaluated(trained("vectors"), "feature_steps=7", "limit=12", only="samples")
    assert written["not_taken"]["samples"].startswith("feature_steps=7: these features are")
    assert evaluated(trained("vectors"), "limit=12", only="samples")["samples"]["feature_steps"] is None


def test_more_neighbours_than_examples_are_declined(trained):
    written = evaluated(trained("vae"), "neighbours=64", only="samples")
    assert "65 are needed for neighbours=64" in written["not_taken"]["samples"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("limit=65", "64 examples"),
        ("weights=last", "weights=best"),
        ("split=validation", "split=test"),
    ],
)
def test_groups_of_other_weights_or_examples_go_with_their_pictures_and_a_word(copied, capsys, changed, said):
    run = copied("vae")
    evaluated(run, "samples=5", only="likelihood,reconstruction")
    assert {"bounds_test", "latents_test", "kl_units_test"} <= pictures(run)
    capsys.readouterr()
    written = evaluated_again(run, changed, only="latents")
    assert f"dropped: likelihood, reconstruction (of {said}" in capsys.readouterr().out
    assert {"likelihood", "reconstruction"}.isdisjoint(written)
    assert "bounds_test" not in pictures(run)
    of = changed.removeprefix("split=") if changed.startswith("split=") else "test"
    assert {name.rpartition("_")[2] for name in pictures(run)} == {of}


def test_groups_of_other_data_are_dropped(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32))
    run = tmp_path / "run"
    data = ["data=arrays", f"data.path={tmp_path / 'x.npy'}", "likelihood=gaussian"]
    assert main(["train", *data, "trainer=debug", "architecture.width=8", f"hydra.run.dir={run}"]) == 0
    evaluated(run, only="reconstruction")
    assert "reconstruction" in evaluated_again(run)
    np.save(tmp_path / "x.npy", np.random.default_rng(1).normal(size=(120, 6)).astype(np.float32))
    capsys.readouterr()
    assert "reconstruction" not in evaluated_again(run)
    assert "dropped: reconstruction (of other data)" in capsys.readouterr().out


def test_groups_without_their_settings_are_dropped(copied, capsys):
    run = copied("vae")
    (run / "evaluation.json").write_text(json.dumps({"groups_of": "test", "likelihood": {"draws": 5}}))
    assert "likelihood" not in evaluated_again(run)
    assert "dropped: likelihood (of settings that were not written down)" in capsys.readouterr().out


def test_an_interruption_leaves_the_groups_that_were_finished(copied, monkeypatch):
    run = copied("vae")
    evaluated(run, "samples=5", only="likelihood,latents,reconstruction")
    former = json.loads((run / "evaluation.json").read_text())

    def interrupted(subject):
        raise KeyboardInterrupt

    monkeypatch.setitem(GROUPS, "latents", interrupted)
    again = ["samples=7", "only=likelihood,latents,reconstruction"]
    assert main(["evaluate", f"run={run}", "device=cpu", *again]) == 130
    written = json.loads((run / "evaluation.json").read_text())
    assert written["likelihood"]["draws"] == 7
    assert written["latents"] == former["latents"]
    assert written["reconstruction"] == former["reconstruction"]


def test_the_share_of_collapsed_units_does_not_hang_on_what_is_drawn(trained):
    first, other = (evaluated(trained("vae"), f"seed={seed}", only="latents")["latents"] for seed in (0, 1))
    assert first["unit_information"] == other["unit_information"]
    assert min(first["unit_information"]) >= 0
    assert first["mutual_information"] != other["mutual_information"]
    assert (first["draws"], first["examples"]) == (64, 64)
    assert "level_1_mutual_information" not in first


def test_the_kl_of_each_level_of_a_ladder_has_its_parts_and_all_add_up(trained):
    written = evaluated(trained("levels"), only="latents")
    found, kl = written["latents"], written["test"]
    names = ("mutual_information", "aggregate_kl", "total_correlation")
    for name in names:
        assert found[name] == pytest.approx(found[f"level_1_{name}"] + found[f"level_2_{name}"])
    for level in (1, 2):
        part, error = (
            sum(found[f"level_{level}_{name}{end}"] for name in names[:2]) for end in ("", "_standard_error")
        )
        assert part == pytest.approx(kl[f"level_{level}_kl"], abs=4 * error + 1e-4)
    assert all(mistaken(f"latents.{name}") is None for name in found if name.startswith("level_1_mutual"))
    assert mistaken("latents.level_1_mutual_informatio") is not None
    assert found["unit_information"] == found["level_1_unit_information"] + found["level_2_unit_information"]
    assert (len(found["level_1_unit_information"]), len(found["level_2_unit_information"])) == (3, 1)
    assert 0 <= found["collapsed_share"] <= 1


def test_where_the_class_is_inferred_it_is_said_that_its_kl_is_not_in_the_parts(tmp_path, capsys):
    run = tmp_path / "run"
    quick = ["trainer.steps=300", "architecture.width=16", "latent_dim=2"]
    assert main(["train", "variant=ss_vae", "data.labels=100", *quick, f"hydra.run.dir={run}"]) == 0
    found = evaluated(run, only="latents")
    said = "the likeliest class of each example: the KL of the class is not in these"
    assert found["latents"]["given"] == said
    assert said in capsys.readouterr().out
    *of_units, of_class = found["kl_units"]["test"][0]
    parts = found["latents"]["mutual_information"] + found["latents"]["aggregate_kl"]
    assert parts == pytest.approx(sum(of_units), abs=0.2)
    assert of_class > 0.5


def test_where_the_way_down_is_told_a_condition_only_the_top_has_an_aggregate_posterior(tmp_path):
    run = tmp_path / "run"
    assert main(["train", "variant=[cvae,hvae]", "architecture.width=8", "trainer=debug", f"hydra.run.dir={run}"]) == 0
    found = evaluated(run, only="latents")["latents"]
    assert found["level"] == 2
    assert "level_1_mutual_information" not in found


def test_a_likelihood_taken_anew_is_of_as_many_draws_as_before(copied, monkeypatch):
    run = copied("vae")
    affordable = GROUPS["likelihood"].__globals__
    monkeypatch.setitem(affordable, "_affordable", lambda subject: 50)
    first = evaluated(run, "limit=20", only="likelihood")["likelihood"]
    monkeypatch.setitem(affordable, "_affordable", lambda subject: 100)
    assert evaluated_again(run, "limit=20", only="likelihood")["likelihood"] == first
    assert first["draws"] == 50
    # what somebody asked for is not taken for what can be afforded, nor that of other examples
    assert evaluated_again(run, "limit=20", "samples=7", only="likelihood")["likelihood"]["draws"] == 7
    assert evaluated_again(run, "limit=20", only="likelihood")["likelihood"]["draws"] == 100
    assert evaluated_again(run, "limit=21", only="likelihood")["likelihood"]["draws"] == 100


def test_an_unknown_group_is_refused(trained, refused):
    said = refused("evaluate", f"run={trained('vae')}", "only=sample", unchanged=trained("vae"))
    assert said.endswith("only=sample: there is no group sample; did you mean samples?")


def test_a_code_without_noise_has_no_likelihood_by_samples(trained):
    written = evaluated(trained("ae"), "samples=10", only="likelihood")
    assert written["not_taken"] == {"likelihood": "codes without noise have no density, so there is nothing to weigh"}


@pytest.mark.parametrize("variant", ["vrnn", "vrae", "ss_vae", "vq_vae", "[cvae,hvae]"])
def test_every_group_answers_for_other_kinds_of_models(variant, tmp_path):
    run = tmp_path / "run"
    small = ["architecture.width=8", "trainer=debug"]
    assert main(["train", f"variant={variant}", *small, f"hydra.run.dir={run}"]) == 0
    written = evaluated(run, "samples=2", "annealed=2", only="likelihood,latents,reconstruction")
    assert "reconstruction" in written
    assert {"likelihood", "latents"} <= {*written, *written["not_taken"]}
    reason = {"vrnn": "the latents of a step follow from", "vq_vae": "some latents are one of a few choices"}
    annealed = written["likelihood"]["annealed_log_likelihood"]
    assert (annealed is None) == (variant in reason)
    if variant in reason:
        assert written["likelihood"]["annealed_not_taken"].startswith(reason[variant])
    if variant == "vrnn":
        assert written["not_taken"]["latents"].startswith("the latents of a step follow from draws of those before")


@pytest.mark.parametrize(
    ("posterior", "why"),
    [
        (["posterior=hyperspherical", "prior=uniform"], "the latents lie on a sphere"),
        (["posterior=categorical", "prior=uniform"], "some latents are one of a few choices"),
        (["posterior=joint", "prior=uniform", "latent_dim=14"], "some latents are one of a few choices"),
    ],
)
def test_chains_are_not_let_loose_where_they_would_leave_the_latents(posterior, why, tmp_path):
    run = tmp_path / "run"
    assert main(["train", *posterior, "architecture.width=8", "trainer=debug", f"hydra.run.dir={run}"]) == 0
    found = evaluated(run, "samples=2", "annealed=2", only="likelihood")["likelihood"]
    assert found["annealed_log_likelihood"] is None
    assert found["annealed_not_taken"].startswith(why)
    assert math.isfinite(found["log_likelihood"])


@pytest.mark.parametrize(
    ("posterior", "why"),
    [
        (["posterior=hyperspherical", "prior=uniform"], None),
        (["posterior=categorical", "prior=uniform"], None),
        (["posterior=joint", "prior=uniform", "latent_dim=14"], None),
        (["variant=vq_vae"], None),
        (["posterior=iaf"], "the density of q(z|x) is known at its own draws alone"),
        (["variant=ae"], "codes without noise have no density"),
    ],
)
def test_latents_of_every_family_are_taken_apart_whose_density_is_known_everywhere(posterior, why, tmp_path):
    run = tmp_path / "run"
    assert main(["train", *posterior, "architecture.width=8", "trainer=debug", f"hydra.run.dir={run}"]) == 0
    written = evaluated(run, only="latents")
    if why:
        assert written["not_taken"]["latents"].startswith(why)
        return
    found, kl = written["latents"], written["test"]["kl"]
    assert found["mutual_information"] <= math.log(found["examples"]) + 1e-6
    error = 4 * sum(found[f"{name}_standard_error"] or 0 for name in ("mutual_information", "aggregate_kl"))
    assert found["mutual_information"] + found["aggregate_kl"] == pytest.approx(kl, abs=error + 1e-4)
    assert (found["unit_information"] is None) == (posterior[0] == "posterior=hyperspherical")


def test_codes_of_a_codebook_have_one_bound_however_many_draws_are_asked_for(tmp_path):
    run = tmp_path / "run"
    small = ["variant=vq_vae", "architecture.width=8", "trainer=debug"]
    assert main(["train", *small, f"hydra.run.dir={run}"]) == 0
    written = evaluated(run, "samples=20", only="likelihood")
    found = written["likelihood"]
    # the figures of training are of the same codes, and nothing is drawn
    assert found["elbo"] == pytest.approx(written["test"]["elbo"], rel=1e-5)
    assert found["log_likelihood"] is None
    assert "all draws are the same one" in found["log_likelihood_not_taken"]
    assert found["draws"] == 1
    assert "bounds" not in found
    assert "bounds_test" not in pictures(run)
    numbers = {name for name, value in found.items() if isinstance(value, int | float)}
    assert numbers <= set(KNOWN["likelihood"])


@pytest.mark.parametrize(("prior", "answers"), [("normal", True), ("mixture", True), ("vamp", True), ("flow", False)])
def test_latents_are_taken_apart_where_one_prior_is_for_all(prior, answers, tmp_path):
    run = tmp_path / "run"
    small = ["architecture.width=8", "trainer=debug", f"prior={prior}"]
    assert main(["train", "variant=cvae", *small, f"hydra.run.dir={run}"]) == 0
    written = evaluated(run, "split=train", "limit=1200", "samples=2", only="latents,likelihood")
    assert ("latents" in written) == answers
    assert written["likelihood"]["given"].endswith("this is log p(x|c)")


def test_readers_of_codes_count_those_whose_class_they_were_told(tmp_path):
    run = tmp_path / "run"
    small = ["trainer=debug", "architecture.width=8"]
    assert main(["train", "data.labels=60", *small, f"hydra.run.dir={run}"]) == 0
    assert evaluated(run, only="usefulness")["usefulness"]["training_codes"] == 60


def test_samples_are_not_held_against_examples_with_gaps(tmp_path):
    x = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
    x[::2, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    run = tmp_path / "run"
    data = ["data=arrays", f"data.path={tmp_path / 'x.npy'}", "likelihood=gaussian", "corruption=missing"]
    assert main(["train", *data, "trainer=debug", "architecture.width=8", f"hydra.run.dir={run}"]) == 0
    assert evaluated(run, only="samples")["not_taken"]["samples"].startswith("values are missing from the examples")


def test_copies_are_told_by_held_out_examples_and_not_by_those_of_training(trained):
    found = evaluated(trained("vae"), "generated=40", only="samples")["samples"]
    assert 0 <= found["copies_share"] <= 1
    found = evaluated(trained("vae"), "generated=40", "split=train", only="samples")["samples"]
    assert found["copies_share"] is found["copies_share_of_held_out"] is None
    assert found["copies_not_taken"].startswith("these are the training examples")
    assert 0 <= found["precision"] <= 1


def test_the_distance_of_training_examples_tells_how_near_to_0_one_of_so_few_may_come(trained):
    few, many = (evaluated(trained("vae"), f"generated={n}", "limit=297", only="samples")["samples"] for n in (60, 297))
    # it leans upwards by about as much as there are fewer
    assert few["frechet_distance_of_training"] > 2 * many["frechet_distance_of_training"] > 0
    assert many["frechet_distance_of_training"] < many["frechet_distance"]
    found = evaluated(trained("vae"), "generated=60", "split=train", only="samples")["samples"]
    assert found["frechet_distance_of_training"] is None


def test_a_file_of_features_that_is_not_there_is_refused(trained, refused):
    run = trained("vae")
    assert "no.pth" in refused("evaluate", f"run={run}", "inception=no.pth", "device=cpu", unchanged=run)


def test_a_list_of_no_groups_is_refused(trained, refused):
    assert "only=: names no group; there are bound, " in refused("evaluate", f"run={trained('vae')}", "only=")


def test_figures_that_are_not_those_of_the_end_of_the_run_are_pointed_out(tmp_path, capsys):
    random = np.random.default_rng(0)
    for name, scale in (("own", 1), ("other", 5)):
        np.save(tmp_path / f"{name}.npy", scale * random.normal(size=(60, 4)))
    data = ["data=arrays", f"data.path={tmp_path / 'own.npy'}", "likelihood=gaussian", "trainer=debug"]
    assert main(["train", *data, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    evaluated(tmp_path / "run")
    assert "other data?" not in capsys.readouterr().out
    evaluated(tmp_path / "run", f"data.path={tmp_path / 'other.npy'}")
    assert "the test examples had a log_px of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "has", "is_unnormalised"),
    [
        (["likelihood=logistic_mixture"], True, False),
        (["data.binarize=threshold"], True, False),
        (["data.binarize=threshold", "likelihood=gaussian"], False, False),
        (["likelihood=continuous_bernoulli"], False, False),
        ([], False, True),
    ],
    ids=str,
)
def test_bits_per_dimension_are_of_likelihoods_that_are_probabilities(
    tmp_path, overrides, has, is_unnormalised, capsys
):
    run = tmp_path / "run"
    assert main(["train", *overrides, "trainer=debug", "architecture.width=8", f"hydra.run.dir={run}"]) == 0
    figures = evaluated(run, "samples=5", "limit=20", only="likelihood")["likelihood"]
    assert ("bits_per_dimension" in figures) == has
    assert ("unnormalised" in figures) == ("these are grey levels" in capsys.readouterr().out) == is_unnormalised
    if has:
        assert figures["bits_per_dimension"] == pytest.approx(-figures["log_likelihood"] / 64 / math.log(2))
