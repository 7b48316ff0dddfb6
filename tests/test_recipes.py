"""Every recipe trains, is saved, read back to equal outputs, sampled, and resumed to the bit."""

import math

import pytest
import torch

from tests.helpers import fit
from tests.training.test_resume import Stopped, assert_equal, stop_at
from vae_runner.build import Run
from vae_runner.config import Tree, configs_directory
from vae_runner.evaluation.evaluate import Preserved
from vae_runner.run_directory import RunDirectory
from vae_runner.training import checkpoint

TREE = Tree([configs_directory()])
SHORT = ["trainer=debug", "trainer.validation_steps=4", "architecture.width=16"]


def outputs(run: Run) -> list[torch.Tensor]:
    """Reconstructions of fixed examples, and samples on a fixed seed."""
    with Preserved(run.model, run.device, seed=1):
        batch = run.data.batch(run.data.test, torch.arange(6))
        return [run.model.reconstruct(batch), run.model.sample(6, run.model.context(batch))]


@pytest.mark.parametrize("variant", TREE.options("variant"))
def test_a_recipe_is_read_back_to_equal_outputs_and_resumes_to_the_same_bits(tmp_path, monkeypatch, variant):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    summary = fit(whole, f"variant={variant}", *SHORT)
    assert math.isfinite(summary["test"]["loss"])

    run, again = Run.load(whole), Run.load(whole)
    for one, other in zip(outputs(run), outputs(again), strict=True):
        assert torch.equal(one, other)
        assert one.shape == (6, *run.model.space.shape)
        assert bool(one.float().isfinite().all())
    assert type(run.objective).__name__ == type(again.objective).__name__

    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(Stopped):
            fit(stopped, f"variant={variant}", *SHORT, "trainer.checkpoint_steps=2")
    fit(stopped, f"variant={variant}", *SHORT, resume=True)
    ends = [checkpoint.load(RunDirectory(directory).last) for directory in (whole, stopped)]
    for part in ("model", "objective", "optimizers", "random"):
        assert_equal(ends[1][part], ends[0][part], part)
