"""The pictures that `vae-run compare` draws when asked to."""

from pathlib import Path

import pytest
from PIL import Image

from tests.commands.test_compare import BASE, make, nats
from vae_runner.cli import main
from vae_runner.reporting import figures


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def points(monkeypatch):
    """What is drawn in the plane of rate and distortion, and with which words."""
    seen = {}
    draw = figures.rate_distortion

    def noted(points, **words):
        seen.update(points=points, **words)
        return draw(points, **words)

    monkeypatch.setattr(figures, "rate_distortion", noted)
    return seen


def test_a_sweep_is_a_curve_of_rate_and_distortion(points):
    for number, (weight, elbo, kl) in enumerate([(1.0, -100.0, 25.0), (4.0, -110.0, 10.0)]):
        kl_node = {"_target_": "vae_runner.kl.Constant", "weight": weight}
        make(Path(f"runs/{number}"), f"kl.weight={weight}", figures=nats(elbo, kl=kl), kl=kl_node)
    assert main(["compare", "runs", "rate_distortion=plane.png"]) == 0
    assert [(p.label, p.rate, p.distortion, p.place) for p in points["points"]] == [
        ("1.0", 25.0, 75.0, 1.0),
        ("4.0", 10.0, 100.0, 4.0),
    ]
    assert points["legend"] == "kl.weight"
    with Image.open("plane.png") as image:
        assert image.width > 500


def test_seeds_are_not_joined_to_a_curve(points):
    for seed in (0, 1):
        make(Path(f"runs/{seed}"), f"seed={seed}", figures=nats(-100.0 - seed), seed=seed)
    assert main(["compare", "runs", "rate_distortion=plane.png"]) == 0
    assert sorted(point.label for point in points["points"]) == ["seed=0", "seed=1"]
    assert {point.place for point in points["points"]} == {None}


def test_averages_are_points_with_their_deviations(points):
    for latent_dim, seed, kl in [(2, 0, 10.0), (2, 1, 14.0), (4, 0, 20.0), (4, 1, 20.0)]:
        run = Path(f"runs/{latent_dim}_{seed}")
        make(run, figures=nats(-100.0, kl=kl), latent_dim=latent_dim, seed=seed)
    assert main(["compare", "runs", "by=latent_dim", "rate_distortion=plane.png"]) == 0
    two, four = sorted(points["points"], key=lambda point: point.place)
    assert (two.rate, two.distortion) == (12.0, 88.0)
    assert two.errors == (pytest.approx(8**0.5), pytest.approx(8**0.5))
    assert four.errors == (0.0, 0.0)


def test_runs_that_differ_in_words_are_named(points, capsys):
    for variant, figures_ in [
        ("vae", nats(-100.0)),
        ("iwae", nats(-99.0)),
        ("ae", {"loss": 60.0, "log_px": -60.0, "kl": None}),
    ]:
        make(Path(variant), figures=figures_, choices={**BASE["choices"], "variant": variant})
    assert main(["compare", "vae", "iwae", "ae", "rate_distortion=plane.png"]) == 0
    assert sorted(point.label for point in points["points"]) == ["variant=iwae", "variant=vae"]
    assert {point.place for point in points["points"]} == {None}
    assert "without a KL, so without a rate: variant=ae" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rate_distortion=plane"], "rate_distortion=plane: must be a file that ends in .png; type rate_distortion="),
        (["rate_distortion="], "rate_distortion=: must be a file that ends in .png; type rate_distortion=runs.png"),
        (["samples="], "samples=: must be a file that ends in .png; type samples=runs.png"),
        (["samples=.."], "samples=..: must be a file that ends in .png; type samples=../runs.png"),
        (["rate_distortion=no/plane.png"], "rate_distortion=no/plane.png: no does not exist"),
        (
            ["rate_distortion=old.png"],
            "rate_distortion=old.png: is there already; type another name, or",
        ),
        (["samples=a.png", "rate_distortion=a.png"], "samples=a.png: is the file of rate_distortion too"),
        (["rate_distortion=plane.png", "split=train"], "rate_distortion: no run has a KL of train examples"),
        (["trust=true"], "trust=true: is for samples=FILE.png, which is not asked for"),
        (["data.root=x"], "data.root=x: is for samples=FILE.png, which is not asked for"),
        (["samples=a.png", "device=cpu"], "compare has no device"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_written(refused, args, said):
    make(Path("runs/0"), figures=nats(-100.0))
    Path("old.png").touch()
    assert said in refused("compare", "runs", *args, unchanged=Path())


def test_runs_of_different_data_have_no_common_plane(refused):
    for data in ("digits", "mnist"):
        make(Path(f"runs/{data}"), figures=nats(-100.0), choices={**BASE["choices"], "data": data})
    said = refused("compare", "runs", "rate_distortion=plane.png", unchanged=Path())
    assert said == "rate_distortion: runs differ in data, so their nats have no common scale; give fewer"


def test_runs_of_different_pixels_have_no_common_plane(refused):
    for visible in (1, 3):
        condition = {"_target_": "vae_runner.conditions.image.Image", "transform": "quadrants", "visible": visible}
        make(Path(f"runs/{visible}"), f"condition.visible={visible}", figures=nats(-100.0), condition=condition)
    said = refused("compare", "runs", "rate_distortion=plane.png", unchanged=Path())
    assert said == "rate_distortion: runs differ in condition.visible, so their nats have no common scale; give fewer"


def test_runs_that_differ_in_how_examples_arrive_have_a_common_plane(points):
    for number, workers in enumerate((0, 2)):
        data = {**BASE.get("data", {}), "workers": workers, "in_memory": bool(number)}
        make(Path(f"runs/{number}"), f"data.workers={workers}", figures=nats(-100.0 - number), data=data)
    assert main(["compare", "runs", "rate_distortion=plane.png"]) == 0
    assert sorted(point.label for point in points["points"]) == ["0", "1"]
    assert {point.place for point in points["points"]} == {None}


@pytest.mark.parametrize(
    "names", [("vae", "ae"), ("cvae", "levels"), ("conv", "spatial"), ("quadrants", "mixture"), ("edges",)]
)
def test_models_of_images_are_shown_side_by_side(trained, names):
    assert main(["compare", *(str(trained(name)) for name in names), "samples=shown.png"]) == 0
    with Image.open("shown.png") as image:
        assert image.width > 1400
        assert image.height > 400 * len(names)


def test_on_one_seed_the_picture_is_the_same_and_replaced_when_asked(trained):
    runs = [str(trained(name)) for name in ("vae", "ae")]
    pictures = []
    for seed in (0, 0, 1):
        assert main(["compare", *runs, "samples=shown.png", f"seed={seed}", "overwrite=true"]) == 0
        pictures.append(Path("shown.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_models_of_anything_else_are_refused(trained, refused):
    run = trained("vectors")
    said = refused("compare", trained("vae"), run, "samples=shown.png", unchanged=Path())
    assert said == f"samples: {run} is not of images, and no others are drawn side by side"


def test_a_run_without_test_examples_is_named(tmp_path, refused):
    run = tmp_path / "run"
    assert main(["train", "trainer=debug", "architecture.width=8", "data.test=0", f"hydra.run.dir={run}"]) == 0
    said = refused("compare", run, "samples=shown.png", unchanged=Path())
    assert said == f"samples: {run} has no two test examples, whose codes are shown; give others"


def test_a_run_without_weights_is_named(copied, refused):
    run = copied("vae")
    for file in (run / "checkpoints").iterdir():
        file.unlink()
    said = refused("compare", run, "samples=shown.png", unchanged=Path())
    assert said == f"run={run}: it has no best checkpoint yet (state: completed)"


def test_a_run_with_nothing_but_its_last_weights_is_named_with_what_can_be_done(copied, refused):
    run = copied("vae")
    (run / "checkpoints" / "best.pt").unlink()
    said = refused("compare", run, "samples=shown.png", unchanged=Path())
    assert said == (
        f"samples: {run} has no best checkpoint yet (state: completed), and the best are shown; "
        f"train it until a validation (vae-run train resume={run}), or give others"
    )
