"""`vae-run compare`: which runs, which columns, in which order, and where it is written."""

import csv
import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from vae_runner.cli import main
from vae_runner.run_directory import RunDirectory

BASE = {
    "seed": 0,
    "latent_dim": 2,
    "kl": {"_target_": "vae_runner.kl.Constant", "weight": 1.0},
    "architecture": {"_target_": "vae_runner.architectures.MLP", "width": 400},
    "choices": {"variant": "vae", "architecture": "mlp", "kl": "constant"},
}


def make(
    path: Path, *overrides: str, state: str = "completed", figures: dict | None = None, logged: bool = False, **config
) -> Path:
    """A run directory as training leaves one."""
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra" / "config.yaml").write_text("{}")
    (path / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(list(overrides)))
    (path / "config.yaml").write_text(yaml.safe_dump({**BASE, **config}))
    (path / "status.json").write_text(json.dumps({"state": state}))
    if figures is not None:
        summary = {"train": None, "validation": None, "test": figures, "seconds": 1.5, "epochs": 2.0, "parameters": 9}
        (path / "summary.json").write_text(json.dumps(summary))
    if logged:
        lines = [{"step": step, "split": "train", "epoch": step / 10, **(figures or {})} for step in (1, 2)]
        (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def nats(elbo: float, kl: float = 20.0) -> dict:
    return {"loss": -elbo, "elbo": elbo, "log_px": elbo + kl, "kl": kl, "active_units": 2, "mutual_information": 1.0}


@pytest.fixture
def sweep(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("outputs/sweeps/one")
    for number, latent_dim, elbo in [(0, 2, -110.0), (1, 4, -100.0), (10, 8, -105.0), (2, 16, -120.0)]:
        override = f"latent_dim={latent_dim}"
        make(path / str(number), override, figures=nats(elbo, kl=latent_dim), latent_dim=latent_dim)
    (path / "multirun.yaml").write_text("{}")
    return path


def compared(*args: object) -> list[dict[str, str]]:
    """The rows of compare.csv."""
    assert main(["compare", *map(str, args)]) == 0
    (file,) = Path().rglob("compare.csv")
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    file.unlink()
    return rows


def column(rows: list[dict[str, str]], name: str) -> list[str]:
    return [row[name] for row in rows]


def test_a_sweep_gives_a_row_per_job_with_what_differs_and_what_was_reached(sweep):
    rows = compared(sweep)
    assert list(rows[0]) == [
        *("run", "latent_dim", "state", "test loss", "test elbo", "test log_px", "test kl"),
        *("test active_units", "test mutual_information", "epochs", "seconds", "directory"),
    ]
    assert column(rows, "run") == ["1", "10", "0", "2"]
    assert column(rows, "latent_dim") == ["4", "8", "2", "16"]
    assert column(rows, "test elbo") == ["-100.0", "-105.0", "-110.0", "-120.0"]


def test_the_table_is_printed_and_written_into_the_sweep(sweep, capsys):
    make(sweep / "3", "latent_dim=1", figures=nats(-130.0), logged=True, latent_dim=1)
    assert main(["compare", str(sweep)]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == f"in {sweep}: compare.csv, compare.md, compare.png"
    assert [line.split()[0] for line in printed.splitlines()[2:7]] == ["1", "10", "0", "2", "3"]
    assert (sweep / "compare.md").read_text().startswith("| run | latent_dim | state | test loss |")
    with Image.open(sweep / "compare.png") as image:
        assert image.width > 500
    assert not Path("outputs/compare").exists()


def test_once_more_takes_the_place_of_what_it_wrote_into_the_sweep(sweep):
    compared(sweep)
    make(sweep / "11", "latent_dim=32", figures=nats(-90.0), latent_dim=32)
    assert column(compared(sweep), "run")[0] == "11"


@pytest.mark.parametrize(
    ("args", "order"),
    [
        ([], ["1", "10", "0", "2"]),
        (["sort=elbo"], ["1", "10", "0", "2"]),
        (["sort=log_px"], ["1", "10", "2", "0"]),
        (["sort=loss"], ["1", "10", "0", "2"]),
        (["sort=kl"], ["0", "1", "10", "2"]),
        (["sort=kl", "descending=true"], ["2", "10", "1", "0"]),
        (["sort=elbo", "descending=false"], ["2", "0", "10", "1"]),
        (["sort=latent_dim"], ["0", "1", "10", "2"]),
        (["sort=test elbo"], ["1", "10", "0", "2"]),
        (["sort=seed"], ["0", "1", "2", "10"]),
    ],
)
def test_rows_are_sorted_by_a_figure_or_a_setting(sweep, args, order):
    assert column(compared(sweep, *args), "run") == order


def test_a_run_without_figures_comes_last_with_its_state(sweep):
    make(sweep / "3", "latent_dim=1", state="failed", latent_dim=1)
    make(sweep / "4", "latent_dim=1", state="running", latent_dim=1)
    make(sweep / "5", "latent_dim=1", state="running", latent_dim=1)
    alive = RunDirectory(sweep / "5")
    alive.lock()
    try:
        for args in (["sort=elbo"], ["sort=elbo", "descending=false"]):
            rows = compared(sweep, *args)
            assert column(rows, "run")[4:] == ["3", "4", "5"]
            assert column(rows, "state") == ["completed"] * 4 + ["failed", "killed", "running"]
            assert column(rows, "test elbo")[4:] == ["", "", ""]
    finally:
        alive.unlock()


def test_a_narrow_terminal_gets_whole_columns_and_is_told_of_the_others(sweep, capsys, monkeypatch):
    from vae_runner.reporting.console import _Output, console

    monkeypatch.setattr(_Output, "width", 70)
    assert console.width == 70
    assert main(["compare", str(sweep), "sort=mutual_information"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{3,}", lines[0]) == ["run", "latent_dim", "state", "test loss", "test mutual_information"]
    assert lines[-2].startswith("too wide for test elbo, test log_px,")
    assert "test elbo" in (sweep / "compare.csv").read_text()


def test_runs_that_have_all_failed_are_still_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        make(Path(name), state="failed")
    rows = compared("a", "b")
    assert column(rows, "state") == ["failed", "failed"]
    assert capsys.readouterr().out.splitlines()[-1].endswith(": compare.csv, compare.md")


def test_autoencoders_are_sorted_by_their_loss(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, loss in (("a", 30.0), ("b", 20.0)):
        make(Path(name), figures={"loss": loss, "elbo": None, "log_px": -loss, "kl": None})
    rows = compared("a", "b")
    assert column(rows, "run") == ["b", "a"]
    assert "test elbo" not in rows[0]


def test_any_directory_stands_for_the_runs_below_it_each_of_them_once(sweep):
    lonely = make(Path("outputs/digits/vae/now"), figures=nats(-1.0), latent_dim=3)
    rows = compared("outputs", sweep, lonely, sweep / "2")
    assert sorted(column(rows, "run")) == [
        "digits/vae/now",
        *(f"sweeps/one/{n}" for n in (0, 1, 10, 2)),
    ]
    assert sorted(column(rows, "directory"))[0] == str(lonely)


def test_several_directories_are_written_into_a_place_of_their_own(sweep):
    for _ in range(2):
        assert main(["compare", str(sweep / "0"), str(sweep / "1")]) == 0
    places = list(Path("outputs/compare").iterdir())
    assert len(places) == 2
    assert all((place / "compare.csv").is_file() for place in places)


def test_what_only_follows_from_another_option_is_no_column_unless_set_by_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    conv = {
        "architecture": {"_target_": "vae_runner.architectures.Conv", "width": 32, "spatial": False},
        "choices": {"variant": "vae", "architecture": "conv", "kl": "constant"},
    }
    make(Path("mlp"), figures=nats(-1.0))
    make(Path("conv"), "architecture=conv", figures=nats(-2.0), **conv)
    rows = compared("mlp", "conv")
    assert list(rows[0])[:3] == ["run", "architecture", "state"]
    make(Path("by_hand"), "architecture=conv", "architecture.width=32", figures=nats(-2.0), **conv)
    assert column(compared("mlp", "by_hand"), "architecture.width") == ["400", "32"]
    wide = {**conv, "architecture": {**conv["architecture"], "width": 64}}
    make(Path("wide"), "architecture=conv", figures=nats(-3.0), **wide)
    assert column(compared("mlp", "conv", "wide"), "architecture.width") == ["400", "32", "64"]


def test_a_list_of_recipes_is_one_value(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(Path("a"), figures=nats(-1.0))
    make(Path("b"), figures=nats(-2.0), choices={**BASE["choices"], "variant": ["cvae", "iwae"]})
    assert column(compared("a", "b"), "variant") == ["vae", "cvae+iwae"]


def test_runs_that_agree_are_averaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for latent_dim, seed, elbo in [(2, 0, -10.0), (2, 1, -14.0), (4, 0, -20.0), (4, 1, None)]:
        figures = None if elbo is None else nats(elbo)
        state = "completed" if figures else "failed"
        make(Path(f"runs/{latent_dim}_{seed}"), figures=figures, state=state, latent_dim=latent_dim, seed=seed)
    rows = compared("runs", "by=latent_dim")
    assert column(rows, "latent_dim") == ["2", "4"]
    assert column(rows, "runs") == ["2", "2"]
    assert column(rows, "completed") == ["2", "1"]
    assert column(rows, "test elbo") == ["-12.0", "-20.0"]
    assert [row["test elbo ±"][:6] for row in rows] == ["2.8284", ""]
    assert len(compared("runs", "by=latent_dim,seed")) == 4


def test_a_run_that_was_run_twice_is_no_second_draw_of_the_mean(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, seed, root, elbo in [("a", 0, "here", -10.0), ("b", 0, "there", -12.0), ("c", 1, "here", -15.0)]:
        make(Path(f"runs/{name}"), figures=nats(elbo), seed=seed, data={"root": root})
    make(Path("runs/d"), state="failed", seed=1, data={"root": "here"})
    (row,) = compared("runs", "by=variant")
    assert (row["runs"], row["completed"], row["test elbo"], row["test elbo ±"][:6]) == ("2", "2", "-13.0", "2.8284")
    said = "of the same settings and seed, and one run in any mean: "
    assert f"{said}a, b\n" in capsys.readouterr().out
    assert len(compared("runs")) == 4
    capsys.readouterr()
    compared("runs/a", "runs/c", "runs/d")  # which has no figures, so that nothing of it counts
    assert said not in capsys.readouterr().out


def test_the_accuracy_is_shown_where_any_run_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(Path("a"), figures={**nats(-1.0), "accuracy": 0.5})
    make(Path("b"), figures={**nats(-2.0), "accuracy": 0.9})
    make(Path("c"), figures=nats(-3.0))
    assert column(compared("a", "b", "c"), "test accuracy") == ["0.5", "0.9", ""]
    rows = compared("a", "b", "c", "sort=accuracy", "out=.")
    assert column(rows, "run") == ["b", "a", "c"]
    columns = list(rows[0])
    # the last ones are left out of a narrow terminal
    assert columns.index("test accuracy") < columns.index("test loss")
    assert "| test accuracy |" in Path("compare.md").read_text()
    assert column(compared("a", "b", "by=variant"), "test accuracy") == ["0.7"]
    assert "test accuracy" not in compared("c")[0]


@pytest.mark.parametrize(
    ("sort", "shown", "before"),
    [
        ("fid", "test fid", "epochs"),
        ("seed", "seed", "state"),
        ("examples_per_second", "examples_per_second", "epochs"),
    ],
)
def test_the_column_that_rows_are_sorted_by_is_always_shown(tmp_path, monkeypatch, sort, shown, before):
    monkeypatch.chdir(tmp_path)
    for name, fid in (("a", 2.0), ("b", 1.0)):
        make(Path(name), figures={**nats(-1.0), "fid": fid})
    assert shown not in compared("a", "b")[0]
    columns = list(compared("a", "b", f"sort={sort}")[0])
    assert columns[columns.index(shown) + 1] == before
    main(["compare", "a", "b", f"sort={sort}", "out=."])
    assert f"| {shown} |" in Path("compare.md").read_text()


def test_averages_are_sorted_by_a_figure_that_the_table_leaves_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variant, fid in (("vae", 2.0), ("vae", 4.0), ("iwae", 1.0)):
        choices = {**BASE["choices"], "variant": variant}
        make(Path(f"{variant}_{fid}"), figures={**nats(-1.0), "fid": fid}, choices=choices)
    rows = compared("iwae_1.0", "vae_2.0", "vae_4.0", "by=variant", "sort=fid", "descending=true")
    assert column(rows, "test fid") == ["3.0", "1.0"]


@pytest.mark.parametrize(
    ("differs", "other"),
    [
        ("data", {"choices": {**BASE["choices"], "data": "mnist", "likelihood": "bernoulli"}}),
        ("likelihood", {"choices": {**BASE["choices"], "data": "digits", "likelihood": "gaussian"}}),
        ("data.path", {"data": {"path": "b.npz", "limit": None}}),
    ],
)
def test_runs_of_other_data_or_likelihoods_are_never_averaged(tmp_path, monkeypatch, capsys, differs, other):
    monkeypatch.chdir(tmp_path)
    same = {
        "choices": {**BASE["choices"], "data": "digits", "likelihood": "bernoulli"},
        "data": {"path": "a.npz", "limit": None},
    }
    for number, elbo in enumerate((-1.0, -3.0)):
        make(Path(f"runs/{number}"), figures=nats(elbo), **same)
    make(Path("runs/other"), figures=nats(-9e8), **{**same, **other})
    rows = compared("runs", "by=variant")
    said = f"nats of different data, likelihoods, conditions or pixels have no mean: also by {differs}"
    assert capsys.readouterr().out.splitlines()[0] == said
    assert column(rows, "test elbo") == ["-2.0", "-900000000.0"]
    assert len(set(column(rows, differs))) == 2
    compared("runs", f"by=variant,{differs}")
    assert "have no mean" not in capsys.readouterr().out


QUADRANTS = {"_target_": "vae_runner.conditions.image.Image", "transform": "quadrants", "visible": None}


@pytest.mark.parametrize(
    ("condition", "other", "apart"),
    [
        (QUADRANTS, {**QUADRANTS, "visible": 3}, True),
        (QUADRANTS, {"_target_": None}, True),
        (QUADRANTS, {**QUADRANTS, "visible": 1}, False),  # which is what null is
        ({**QUADRANTS, "transform": "edges"}, {"_target_": None}, False),
    ],
)
def test_runs_of_which_other_pixels_are_visible_are_never_averaged(
    tmp_path, monkeypatch, capsys, condition, other, apart
):
    monkeypatch.chdir(tmp_path)
    make(Path("runs/0"), figures=nats(-1.0), condition=condition)
    make(Path("runs/1"), figures=nats(-3.0), condition=other)
    rows = compared("runs", "by=variant")
    said = "nats of different data, likelihoods, conditions or pixels have no mean: also by condition.visible"
    assert (said in capsys.readouterr().out) == apart
    assert column(rows, "test elbo") == (["-1.0", "-3.0"] if apart else ["-2.0"])


def test_runs_that_differ_in_how_much_they_were_trained_on_are_averaged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for limit in (10, 20):
        make(Path(f"runs/{limit}"), figures=nats(-limit), data={"limit": limit})
    assert column(compared("runs", "by=variant"), "test elbo") == ["-15.0"]
    assert "have no mean" not in capsys.readouterr().out


def test_another_split_is_compared_by_its_own_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make(Path("a"), figures=nats(-1.0))
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "validation": nats(-7.0)}))
    rows = compared("a", "split=validation")
    assert rows[0]["validation elbo"] == "-7.0"
    assert "test elbo" not in rows[0]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "compare needs directories of runs or sweeps"),
        (["outputs", "sort=elb"], "sort=elb: no run has it; did you mean sort=elbo?"),
        (["outputs", "sort=latent"], "did you mean sort=latent_dim?"),
        (["outputs", "by=sead"], "by=sead: no run has it; did you mean by=seed?"),
        (["outputs", "by=latent_dim", "sort=seed"], "sort=seed: averages by latent_dim have no seed"),
        (["outputs", "sort=laloss"], "sort=laloss: no run has it; did you mean sort=loss?"),
        (["outputs", "sort=units_used"], "sort=units_used: no run has it; the nearest are active_units, "),
        (["outputs", "sort=qqqq"], "sort=qqqq: no run has it; the table has run, latent_dim, state, test loss,"),
        (["outputs", "by=qqqq"], "by=qqqq: no run has it; the table has latent_dim"),
        (["outputs", "split=tst"], "did you mean test?"),
        (["outputs", "descending=2"], "descending=2: must be true or false"),
        (["outputs", "srt=elbo"], "srt=elbo: compare has no srt; did you mean sort=elbo?"),
        (["outputs", "--sort=elbo"], "did you mean sort=elbo?"),
        (["nowhere"], "nowhere: no such directory"),
        (["empty"], "empty: there is no run in it"),
        (["file"], "file: not a directory"),
        (["outputs", "out=no/where"], "out=no/where: no does not exist"),
        (["outputs", "out=file"], "out=file: file is no directory"),
    ],
)
def test_a_mistake_is_refused_in_one_line(sweep, refused, args, said):
    Path("empty").mkdir()
    Path("file").touch()
    assert said in refused("compare", *args, unchanged=Path())


def test_a_table_is_never_overwritten_unasked(sweep, refused):
    assert main(["compare", str(sweep), "out=table"]) == 0
    assert "out=table: holds compare.csv already" in refused("compare", sweep, "out=table", unchanged=Path())
    assert main(["compare", str(sweep), "out=table", "overwrite=true"]) == 0


def test_a_config_that_cannot_be_read_is_named(sweep, refused):
    (sweep / "1" / "config.yaml").write_text("a: [")
    assert "1/config.yaml: not readable as YAML" in refused("compare", sweep)
    (sweep / "1" / "config.yaml").write_text("- a")
    assert "1/config.yaml: not the config of a run" in refused("compare", sweep)


def test_real_runs_compare(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = compared(trained("vae"), trained("ae"))
    assert column(rows, "run") == ["vae", "ae"]
    assert column(rows, "variant") == ["vae", "ae"]
    assert column(rows, "state") == ["completed", "completed"]


def test_figures_of_an_evaluation_are_columns_that_can_be_sorted_by(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, distance in [("far", 9.0), ("near", 1.0), ("between", 3.0)]:
        run = make(Path(name), figures=nats(-100.0))
        latents = {"mutual_information": distance, "mutual_information_standard_error": 0.5, "examples": 2000}
        groups = {"samples": {"frechet_distance": distance, "features": "some"}, "latents": latents}
        (run / "evaluation.json").write_text(json.dumps({"groups_of": "test", "test": {"elbo": -1.0}, **groups}))
    rows = compared("far", "near", "between", "sort=frechet_distance")
    assert [row["run"] for row in rows] == ["near", "between", "far"]
    assert [row["test frechet_distance"] for row in rows] == ["1.0", "3.0", "9.0"]
    # what training takes too is shown as training took it
    assert {row["test elbo"] for row in rows} == {"-100.0"}
    assert {row["test mutual_information"] for row in rows} == {"1.0"}
    # and what a group calls by the same name stands beside it, with its error
    for name, values in [("", ["9.0", "3.0", "1.0"]), ("_standard_error", ["0.5"] * 3), ("_examples", ["2000"] * 3)]:
        figure = "latents_examples" if name == "_examples" else f"latents_mutual_information{name}"
        assert column(compared("far", "near", "between", f"sort={figure}"), f"test {figure}") == values


@pytest.mark.parametrize(("other", "apart"), [("label", True), ("inferred_label", False)])
def test_runs_that_are_told_a_condition_have_nats_of_their_own(tmp_path, monkeypatch, capsys, other, apart):
    monkeypatch.chdir(tmp_path)
    for number, condition in enumerate(("none", other)):
        choices = {**BASE["choices"], "condition": condition}
        make(Path(f"runs/{number}"), figures=nats(-1.0 - 2 * number), choices=choices)
    compared("runs")
    assert ("runs differ in condition, so their nats do not compare" in capsys.readouterr().out) == apart
    assert column(compared("runs", "by=variant"), "test elbo") == (["-1.0", "-3.0"] if apart else ["-2.0"])
    assert main(["compare", "runs", "rate_distortion=plane.png"]) == (2 if apart else 0)


def sampled(path: Path, distance: float, samples: int, accuracy: float) -> None:
    make(path, figures=nats(-1.0), choices={**BASE["choices"], "variant": path.name})
    figures = {"frechet_distance": distance, "samples": samples, "features": "a network", "features_accuracy": accuracy}
    figures["frechet_distance_standard_error"] = distance / 10
    (path / "evaluation.json").write_text(json.dumps({"groups_of": "test", "samples": figures}))


def test_distances_of_unlike_numbers_of_samples_are_columns_of_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sampled(Path("runs/few"), 5.0, 100, 0.99)
    sampled(Path("runs/many"), 3.0, 2000, 0.99)
    rows = compared("runs", "sort=frechet_distance_2000")
    assert column(rows, "test frechet_distance_100") == ["", "5.0"]
    assert column(rows, "test frechet_distance_2000") == ["3.0", ""]
    errors = compared("runs", "sort=frechet_distance_standard_error_2000")
    assert column(errors, "test frechet_distance_standard_error_2000") == ["0.3", ""]
    assert "different features" not in capsys.readouterr().out
    assert main(["compare", "runs", "sort=frechet_distance"]) == 2


def test_it_says_where_samples_were_compared_in_different_features(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sampled(Path("runs/one"), 5.0, 100, 0.99)
    sampled(Path("runs/other"), 3.0, 100, 0.9)
    assert column(compared("runs", "sort=frechet_distance"), "test frechet_distance_100") == ["3.0", "5.0"]
    said = "samples were compared in different features, so their figures do not: "
    assert f"{said}a network (accuracy 0.900); a network (accuracy 0.990)" in capsys.readouterr().out
    compared("runs", "split=train")
    assert said not in capsys.readouterr().out  # they were held against another split


def test_factors_without_names_are_no_numbers_of_draws(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    for name, r2 in (("a", 0.5), ("b", 0.25)):
        run = make(Path(name), figures=nats(-1.0))
        (run / "evaluation.json").write_text(json.dumps({"groups_of": "test", "usefulness": {"ridge_r2_0": r2}}))
    assert column(compared("b", "a", "sort=ridge_r2_0"), "run") == ["a", "b"]
    assert "sort=ridge_r2: no run has it" in refused("compare", "a", "b", "sort=ridge_r2")


def group_taken(path: Path, name: str, **figures: object) -> None:
    make(path, figures=nats(-1.0), choices={**BASE["choices"], "variant": path.name})
    (path / "evaluation.json").write_text(json.dumps({"groups_of": "test", name: {"features": "some", **figures}}))


def test_figures_taken_with_unlike_options_are_columns_of_their_own_that_say_so(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    for name, mig, bins in (("few", 0.5, 20), ("many", 0.25, 50), ("more", 0.75, 50)):
        group_taken(Path(f"runs/{name}"), "disentanglement", mig=mig, sap=mig, bins=bins, examples=100)
    rows = compared("runs", "sort=mig (bins=50)")
    assert column(rows, "run") == ["more", "many", "few"]
    assert column(rows, "test mig (bins=50)") == ["0.75", "0.25", ""]
    assert column(rows, "test mig (bins=20)") == ["", "", "0.5"]
    assert column(compared("runs", "by=latent_dim"), "test mig (bins=50)") == ["0.5"]
    said = refused("compare", "runs", "sort=mig")
    assert "sort=mig: taken in 2 ways, which do not compare; type 'sort=mig (bins=20)' or 'sort=mig (bins=50)'" in said
    # what does not depend on them is one column, and so is what was taken with the same
    assert column(compared("runs", "sort=sap"), "run") == ["more", "few", "many"]
    assert column(compared("runs/many", "runs/more", "sort=mig"), "test mig") == ["0.75", "0.25"]


@pytest.mark.parametrize(
    ("group", "figure", "one", "other", "apart"),
    [
        ("latents", "aggregate_kl", {"examples": 100}, {"examples": 2000}, "examples=2000"),
        ("disentanglement", "sap", {"examples": 100}, {"examples": 2000}, "examples=2000"),
        ("samples", "precision", {"neighbours": 3}, {"neighbours": 5}, "neighbours=5"),
        ("samples", "frechet_distance", {"neighbours": 3}, {"neighbours": 5}, None),
        ("samples", "frechet_distance", {"feature_steps": 9}, {"feature_steps": None}, "feature_steps=null"),
        ("samples", "kernel_distance", {"samples": 99}, {"samples": 50}, "samples=50"),
        ("samples", "sharpness_ratio", {"feature_steps": 9}, {"feature_steps": 8}, None),
        ("likelihood", "annealed_log_likelihood", {"annealed_chains": 1}, {"annealed_chains": 2}, "annealed_chains=2"),
        ("likelihood", "log_likelihood", {"annealed_steps": 1}, {}, None),
        ("likelihood", "log_likelihood", {}, {"taken_with": {"limit": 100}}, "limit=100"),
        ("usefulness", "knn_accuracy", {}, {"taken_with": {"training_codes": 9}}, "training_codes=9"),
        # as many as there were, where as many were asked for
        (
            "usefulness",
            "knn_accuracy",
            *({"training_codes": n, "taken_with": {"training_codes": 99}} for n in (8, 9)),
            None,
        ),
    ],
)
def test_a_figure_stands_apart_by_the_options_that_it_depends_on(
    tmp_path, monkeypatch, group, figure, one, other, apart
):
    monkeypatch.chdir(tmp_path)
    group_taken(Path("runs/one"), group, **{figure: 1.0, **one})
    group_taken(Path("runs/other"), group, **{figure: 3.0, **other})
    name = f"test {figure} ({apart})" if apart else f"test {figure}"
    rows = compared("runs", f"sort={name}", "descending=true")
    assert column(rows, name) == (["3.0", ""] if apart else ["3.0", "1.0"])


def test_figures_of_unlike_draws_that_stand_beside_each_other_say_of_how_many_examples_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, draws, limit in (("whole", 200, None), ("part", 9, 50)):
        group_taken(Path(f"runs/{name}"), "likelihood", log_likelihood=-24.0, draws=draws, taken_with={"limit": limit})
    (row, *_) = compared("runs", "sort=run")
    assert {"test log_likelihood_200 (limit=null)", "test log_likelihood_9 (limit=50)"} <= set(row)


def test_the_samples_that_are_as_sharp_as_the_data_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, sharpness in (("noisy", 2.0), ("blurred", 0.4), ("good", 1.1)):
        group_taken(Path(f"runs/{name}"), "samples", sharpness_ratio=sharpness)
    assert column(compared("runs", "sort=sharpness_ratio"), "run") == ["good", "blurred", "noisy"]
    assert column(compared("runs", "sort=sharpness_ratio", "descending=true"), "run") == ["noisy", "good", "blurred"]
