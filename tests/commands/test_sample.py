"""`vae-run sample`: how samples are drawn, and the file they go into."""

import numpy as np
import pytest
import torch

from vae_runner import Run
from vae_runner.cli import main
from vae_runner.evaluation.sampling import BLOCK


def drawn(run, file, *args: str) -> dict[str, np.ndarray]:
    assert main(["sample", f"run={run}", f"out={file}", *args]) == 0
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def test_the_file_holds_x_z_and_how_they_were_drawn(trained, tmp_path):
    run = trained("vae")
    arrays = drawn(run, tmp_path / "samples.npz", "n=70", "seed=5", "temperature=0.5", "device=cpu")
    assert arrays["x"].shape == (70, 1, 8, 8)
    assert arrays["z"].shape == (70, 3)
    assert arrays["x"].dtype == arrays["z"].dtype == np.float32
    how = {key: arrays[key].item() for key in ("seed", "temperature", "draw", "weights", "run", "step")}
    assert how == {"seed": 5, "temperature": 0.5, "draw": "mean", "weights": "best", "run": str(run), "step": 4}


def test_x_is_the_mean_of_the_model_at_z(trained, tmp_path):
    arrays = drawn(trained("vae"), tmp_path / "samples.npz", "n=3")
    model = Run.load(trained("vae"), device="cpu").model
    with torch.no_grad():
        expected = model.decode([torch.from_numpy(arrays["z"])]).mean
    torch.testing.assert_close(torch.from_numpy(arrays["x"]), expected)


def test_a_draw_from_a_bernoulli_is_black_or_white_around_its_mean(trained, tmp_path):
    means = drawn(trained("vae"), tmp_path / "means.npz", "n=2000")["x"]
    draws = drawn(trained("vae"), tmp_path / "draws.npz", "n=2000", "draw=sample")["x"]
    assert set(np.unique(draws)) == {0.0, 1.0}
    assert 0 < np.unique(means).min() < np.unique(means).max() < 1
    np.testing.assert_allclose(draws.mean(0), means.mean(0), atol=0.06)


@pytest.mark.parametrize("name", ["vae", "ae", "spatial"])
@pytest.mark.parametrize("draw", ["mean", "sample"])
def test_one_seed_gives_one_file_and_another_seed_another(name, draw, trained, tmp_path):
    files = [tmp_path / f"{i}.npz" for i in range(3)]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        torch.rand(1)  # whatever was drawn before
        drawn(trained(name), file, "n=40", f"seed={seed}", f"draw={draw}")
    assert files[0].read_bytes() == files[1].read_bytes()
    with np.load(files[0]) as first, np.load(files[2]) as other:
        assert not np.array_equal(first["z"], other["z"])


def test_more_samples_are_the_same_ones_and_then_others(trained, tmp_path):
    few = drawn(trained("vae"), tmp_path / "few.npz", "n=10", "draw=sample")
    many = drawn(trained("vae"), tmp_path / "many.npz", f"n={BLOCK + 10}", "draw=sample")
    for name in ("x", "z"):
        np.testing.assert_array_equal(many[name][:10], few[name])
        assert not np.array_equal(many[name][BLOCK:], few[name])


def test_the_temperature_scales_the_prior(trained, tmp_path):
    warm = drawn(trained("vae"), tmp_path / "warm.npz", "n=500")["z"]
    cool = drawn(trained("vae"), tmp_path / "cool.npz", "n=500", "temperature=0.5")["z"]
    np.testing.assert_allclose(cool, 0.5 * warm, rtol=1e-5)
    assert warm.std() == pytest.approx(1, abs=0.1)


def test_other_weights_give_other_samples(copied, tmp_path):
    run = copied("beta_vae")
    best, last = (drawn(run, tmp_path / f"{weights}.npz", f"weights={weights}") for weights in ("best", "last"))
    assert np.array_equal(best["z"], last["z"])
    assert not np.array_equal(best["x"], last["x"])  # the best ones are a moving average


def test_the_decoder_never_sees_more_than_a_block(trained, tmp_path, monkeypatch):
    from vae_runner.models.vae import VAE

    sizes, decode = [], VAE.decode
    monkeypatch.setattr(
        VAE, "decode", lambda self, z, *rest, **more: (sizes.append(len(z[0])), decode(self, z, *rest, **more))[1]
    )
    drawn(trained("vae"), tmp_path / "samples.npz", "n=2000")
    assert max(sizes) == BLOCK
    assert sum(sizes) >= 2000


def test_samples_are_data_to_train_on(trained, tmp_path):
    drawn(trained("vae"), tmp_path / "samples.npz", "n=100")
    assert main(["validate", "data=arrays", f"data.path={tmp_path / 'samples.npz'}"]) == 0
    quick = ["trainer=debug", "architecture.width=4", "latent_dim=2"]
    args = [*quick, "data=arrays", f"data.path={tmp_path / 'samples.npz'}", f"hydra.run.dir={tmp_path / 'again'}"]
    assert main(["train", *args]) == 0


def test_a_file_is_never_overwritten_unasked(trained, refused, tmp_path):
    run, file = trained("vae"), tmp_path / "mine.npz"
    file.write_bytes(b"precious")
    assert "mine.npz: is there already" in refused("sample", f"run={run}", f"out={file}", unchanged=tmp_path)
    assert file.read_bytes() == b"precious"
    assert main(["sample", f"run={run}", f"out={file}", "overwrite=true"]) == 0
    with np.load(file) as arrays:
        assert arrays["x"].shape == (64, 1, 8, 8)
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_computed(trained, refused, tmp_path):
    run = f"run={trained('vae')}"
    for out, said in [
        (tmp_path / "no" / "x.npz", "no does not exist"),
        (tmp_path, "is a directory; type out="),
        (tmp_path / "x.csv", "must end in .npz; type out="),
        ("", "out=.: is a directory"),
    ]:
        assert said in refused("sample", run, f"out={out}", unchanged=tmp_path)
    (tmp_path / "file").touch()
    assert "file is no directory" in refused("sample", run, f"out={tmp_path / 'file' / 'x.npz'}")


def test_more_than_the_disk_holds_is_refused(trained, refused, tmp_path):
    line = refused("sample", f"run={trained('vae')}", "n=1000000000", f"out={tmp_path / 'x.npz'}", unchanged=tmp_path)
    assert "1000000000 samples need 256 GB" in line


def test_a_write_that_fails_leaves_nothing_behind(trained, refused, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vae_runner.run_directory.os.fsync", full)
    line = refused("sample", f"run={trained('vae')}", f"out={tmp_path / 'x.npz'}", unchanged=tmp_path)
    assert line.endswith("x.npz: cannot be written (No space left on device); type another place")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_shows_a_hundred_and_says_so(trained, capsys):
    run = trained("vae")
    capsys.readouterr()
    assert main(["sample", f"run={run}", "n=500"]) == 0
    *_, picture, said = capsys.readouterr().out.splitlines()
    assert picture == str(run / "images" / "samples" / "sample_n_100.png")
    assert said == "a picture shows the first 100; out=FILE.npz keeps all 500"
