"""`vae-run encode`: codes as data for another run."""

import numpy as np
import torch

from vae_runner import Run
from vae_runner.cli import main
from vae_runner.data.arrays import Arrays


def test_the_codes_and_labels_of_every_split_come_back_as_data(trained, tmp_path):
    file = tmp_path / "codes.npz"
    assert main(["encode", f"run={trained('vae')}", f"out={file}", "device=cpu"]) == 0
    run, codes = Run.load(trained("vae"), device="cpu"), Arrays(path=str(file), validation=None).open()
    assert codes.space.shape == (3,)
    assert codes.space.classes == 10
    for split in ("train", "validation", "test"):
        there, here = getattr(run.data, split), getattr(codes, split)
        everything = torch.arange(len(there))
        assert len(here) == len(there)
        assert torch.equal(here.take(everything)[1], there.take(everything)[1])
        with torch.no_grad():
            expected = run.model.encode(run.data.batch(there, everything))[0]
        torch.testing.assert_close(here.take(everything)[0], expected)


def test_levels_and_maps_are_written_side_by_side(trained, tmp_path):
    file = tmp_path / "codes.npz"
    assert main(["encode", f"run={trained('spatial')}", f"out={file}"]) == 0
    with np.load(file) as arrays:
        assert arrays["x_train"].shape == (1350, 3 * 4 * 4)
        assert arrays["x_train"].dtype == np.float32


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(trained, tmp_path, refused):
    file = tmp_path / "codes.npz"
    file.touch()
    assert "is there already" in refused("encode", f"run={trained('vae')}", f"out={file}")
    assert main(["encode", f"run={trained('vae')}", f"out={file}", "overwrite=true"]) == 0
    assert file.stat().st_size > 0


def test_a_class_latent_is_trained_on_the_codes_of_another_run(trained, tmp_path):
    codes, run = tmp_path / "codes.npz", tmp_path / "run"
    assert main(["encode", f"run={trained('vae')}", f"out={codes}"]) == 0
    data = ["data=arrays", f"data.path={codes}", "data.validation=null", "data.scale=standardize"]
    quick = ["trainer=debug", "architecture.width=8", "latent_dim=2", f"hydra.run.dir={run}"]
    assert main(["train", "variant=ss_vae", "likelihood=gaussian", "likelihood.scale=1", *data, *quick]) == 0
    assert 0 <= Run.load(run, device="cpu").summary["test"]["accuracy"] <= 1
