"""`vae-run reconstruct`: which examples, and the figures about them."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from tests.commands.conftest import QUICK
from vae_runner import Run
from vae_runner.cli import main
from vae_runner.reporting.grids import STRIPES


def shown(capsys, *args: str) -> str:
    capsys.readouterr()
    assert main(["reconstruct", *args]) == 0
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("name", ["vae", "ae", "spatial", "vectors"])
def test_the_printed_figures_are_those_of_the_split(name, trained, capsys):
    run = Run.load(trained(name), device="cpu")
    size = len(run.data.validation)
    assert size <= 200
    line = shown(capsys, f"run={run.directory}", "split=validation", "n=200")
    count, error, log_px = re.fullmatch(
        r"(\d+) validation examples: mean squared error (\S+), log_px (\S+) nats", line
    ).groups()
    batch = run.data.batch(run.data.validation, torch.arange(size))
    with torch.no_grad():
        px = run.model.decode(run.model.encode(batch))
    assert int(count) == size
    assert float(error) == pytest.approx(float(((px.mean - batch.x) ** 2).mean()), rel=1e-3)
    assert float(log_px) == pytest.approx(float(px.log_prob(batch.x).mean()), rel=1e-3)


def test_the_seed_chooses_the_examples(trained, capsys):
    run = f"run={trained('vae')}"
    first, again, other = (shown(capsys, run, f"seed={seed}", "n=5") for seed in (1, 1, 2))
    assert first == again != other


def test_each_choice_has_a_picture_of_its_own(trained):
    run = trained("vae")
    for args in (["n=3"], ["n=3", "seed=7"], ["n=3", "split=train"]):
        assert main(["reconstruct", f"run={run}", *args]) == 0
    names = {path.name for path in (run / "images" / "reconstructions").glob("reconstruct_*n_3*")}
    assert names >= {"reconstruct_n_3.png", "reconstruct_n_3_seed_7.png", "reconstruct_split_train_n_3.png"}


def test_missing_pixels_are_striped(tmp_path):
    x = np.random.default_rng(0).random((60, 8, 8), dtype=np.float32)
    x[:, 2:4, 2:4] = np.nan
    np.save(tmp_path / "x.npy", x)
    run = tmp_path / "run"
    data = ["data=arrays", f"data.path={tmp_path / 'x.npy'}", "corruption=missing"]
    assert main(["train", *QUICK, *data, f"hydra.run.dir={run}"]) == 0
    assert main(["reconstruct", f"run={run}", "n=3"]) == 0
    epoch = max((run / "images" / "reconstructions").glob("epoch_*.png"))
    for path in (run / "images" / "reconstructions" / "reconstruct_n_3.png", epoch):
        with Image.open(path) as image:
            assert (np.asarray(image.convert("RGB")) == STRIPES[0]).all(-1).any()


def test_what_a_condition_shows_is_not_missing(trained):
    run = trained("quadrants")
    assert main(["reconstruct", f"run={run}", "n=3"]) == 0
    with Image.open(run / "images" / "reconstructions" / "reconstruct_n_3.png") as image:
        assert not (np.asarray(image.convert("RGB")) == STRIPES[0]).all(-1).any()
