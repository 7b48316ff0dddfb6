"""Whole runs on a GPU: every recipe trains, goes on, is looked at by every command, and is read back on a CPU."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import fit
from vae_runner.build import Run
from vae_runner.cli import main
from vae_runner.config import Tree, configs_directory
from vae_runner.data.space import Batch
from vae_runner.evaluation.evaluate import Preserved

VARIANTS = [*Tree([configs_directory()]).options("variant")]
SHORT = ["trainer=debug", "architecture.width=16"]


def train(directory: Path, *words: str) -> dict:
    assert main(["train", *words, *SHORT, f"hydra.run.dir={directory}"]) == 0
    return json.loads((directory / "summary.json").read_text())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_recipe_trains_goes_on_and_is_looked_at(tmp_path, capfd, variant):
    run = tmp_path / "run"
    summary = train(run, f"variant={variant}")
    assert "cannot be recorded" not in "".join(capfd.readouterr())
    assert math.isfinite(summary["test"]["loss"])
    assert main(["train", f"resume={run}", f"trainer.steps={summary['steps'] + 8}"]) == 0
    assert main(["evaluate", f"run={run}", "limit=64", "samples=16"]) == 0
    assert main(["reconstruct", f"run={run}"]) == 0
    assert main(["sample", f"run={run}", f"out={tmp_path / 'samples.npz'}"]) == 0
    assert main(["traverse", f"run={run}"]) == 0
    assert main(["encode", f"run={run}", f"out={tmp_path / 'codes.npz'}"]) == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_recipe_is_read_back_on_a_cpu_to_the_same_outputs(tmp_path, variant):
    fit(tmp_path, f"variant={variant}", *SHORT)
    outputs = []
    for device in ("cpu", "cuda"):
        run = Run.load(tmp_path, device=device)
        if not outputs:  # with a corruption, noise is drawn, by each device in its own way
            stored = run.data.batch(run.data.test, torch.arange(6))
        fields = {name: value for name, value in vars(stored).items() if value is not None}
        batch = Batch(**{name: value.to(run.device) for name, value in fields.items()})
        with Preserved(run.model, run.device, seed=1):
            outputs.append([code.double().cpu() for code in run.model.encode(batch)])
    for one, other in zip(*outputs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)


def test_examples_on_disk_are_trained_on(tmp_path, capfd):
    x = np.random.default_rng(0).integers(0, 256, (500, 1, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    words = ["data=arrays", f"data.path={tmp_path / 'x.npy'}", "data.validation=0.1"]
    losses = [
        train(tmp_path / str(where), *words, f"data.in_memory={where}")["test"]["loss"] for where in ("true", "false")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert "cannot be recorded" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("settings", [["variant=vae"], ["variant=iwae"], ["kl.weight=1,2,3,4", "variant=hvae"]])
def test_jobs_of_a_sweep_are_trained_as_one(tmp_path, capfd, settings):
    words = [*settings, "seed=range(4)", "hydra/launcher=vectorized", f"hydra.sweep.dir={tmp_path}"]
    assert main(["train", "-m", *words, *SHORT]) == 0
    assert "cannot be recorded" not in "".join(capfd.readouterr())
    for file in [*tmp_path.glob("*/summary.json")]:
        assert math.isfinite(json.loads(file.read_text())["test"]["loss"])


def test_jobs_of_a_sweep_share_the_gpu_in_two_processes(tmp_path):
    words = ["seed=range(4)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"hydra.sweep.dir={tmp_path}"]
    assert main(["train", "-m", *words, *SHORT]) == 0
    assert len([*tmp_path.glob("*/summary.json")]) == 4
