"""`vae-run translate`: from pictures to pictures."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from vae_runner import Run
from vae_runner.cli import main
from vae_runner.conditions.pictures import visible_quadrants


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder of three grey pictures, and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{'abc'[i]}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def pixels_of(folder: Path) -> np.ndarray:
    files = sorted(folder.glob("*.png"))
    return np.stack([np.asarray(PIL.Image.open(file)) for file in files])[:, None] / np.float32(255)


def translated(run, file, *args: object) -> dict[str, np.ndarray]:
    assert main(["translate", f"run={run}", f"out={file}", *map(str, args)]) == 0
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def test_examples_of_the_runs_own_data_are_shown_with_their_targets(trained, capsys):
    run = trained("quadrants")
    capsys.readouterr()
    assert main(["translate", f"run={run}", "n=3"]) == 0
    assert capsys.readouterr().out.split() == [str(run / "images" / "translations" / "translate_n_3.png")]
    with PIL.Image.open(run / "images" / "translations" / "translate_n_3.png") as image:
        assert image.width > 5 * 48
        assert image.height > 10 * 48


def test_a_folder_of_pictures_becomes_several_draws_of_each(trained, pictures, tmp_path):
    arrays = translated(trained("quadrants"), tmp_path / "out.npz", f"input={pictures}", "n=4")
    assert arrays["x"].shape == (3, 4, 1, 8, 8)
    given = torch.from_numpy(pixels_of(pictures))
    seen = visible_quadrants(given, 2)
    np.testing.assert_allclose(arrays["c"], given * seen, atol=1e-6)
    hidden = np.broadcast_to(seen.numpy() == 0, given.shape)
    for draw in arrays["x"].swapaxes(0, 1):
        np.testing.assert_allclose(draw[~hidden], arrays["c"][~hidden])
        assert (draw[hidden] > 0).all()
    assert not np.array_equal(arrays["x"][:, 0], arrays["x"][:, 1])


def test_what_is_written_is_what_the_model_makes_of_the_condition(trained, pictures, tmp_path):
    arrays = translated(trained("quadrants"), tmp_path / "out.npz", f"input={pictures}", "n=200")
    model = Run.load(trained("quadrants"), device="cpu").model
    context = model.condition(torch.from_numpy(arrays["c"])).repeat_interleave(2000, 0)
    torch.manual_seed(0)
    expected = model.sample(len(context), context).unflatten(0, (3, 2000)).mean(1)
    hidden = np.broadcast_to(visible_quadrants(expected, 2).numpy() == 0, expected.shape)
    np.testing.assert_allclose(arrays["x"].mean(1)[hidden], expected.numpy()[hidden], atol=0.02)


def test_one_picture_and_an_array_of_it_give_the_same(trained, pictures, tmp_path):
    run = trained("quadrants")
    np.savez(tmp_path / "in.npz", c=pixels_of(pictures)[:1])
    np.savez(tmp_path / "bytes.npz", (pixels_of(pictures)[:1, 0] * 255).round().astype(np.uint8))
    inputs = (pictures / "a.png", tmp_path / "in.npz", tmp_path / "bytes.npz")
    found = [translated(run, tmp_path / f"{i}.npz", f"input={path}") for i, path in enumerate(inputs)]
    for other in found[1:]:
        np.testing.assert_allclose(other["c"], found[0]["c"], atol=1e-6)
        np.testing.assert_allclose(other["x"], found[0]["x"], atol=1e-5)


def test_a_target_is_made_a_condition_first(trained, pictures, tmp_path):
    run = trained("edges")
    made = translated(run, tmp_path / "made.npz", f"input={pictures}", "input_is=target")
    given = translated(run, tmp_path / "given.npz", f"input={pictures}")
    condition = Run.load(run, device="cpu").model.condition
    np.testing.assert_allclose(made["c"], condition.of(torch.from_numpy(pixels_of(pictures))), atol=1e-6)
    np.testing.assert_allclose(given["c"], pixels_of(pictures), atol=1e-6)


def test_a_folder_of_images_holds_each_draw(trained, pictures, tmp_path):
    run = trained("quadrants")
    assert main(["translate", f"run={run}", f"input={pictures}", "n=2", f"out={tmp_path / 'out'}"]) == 0
    names = [f"{name}_{i}.png" for name in "abc" for i in (1, 2)]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == names
    x = translated(run, tmp_path / "out.npz", f"input={pictures}", "n=2")["x"]
    np.testing.assert_allclose(pixels_of(tmp_path / "out"), x.reshape(6, 1, 8, 8), atol=0.6 / 255)


def test_the_same_seed_gives_the_same_draws_and_another_one_others(trained, pictures, tmp_path):
    found = [
        translated(trained("quadrants"), tmp_path / f"{i}.npz", f"input={pictures}", f"seed={seed}")["x"]
        for i, seed in enumerate((1, 1, 2))
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vae", "its model knows no conditions; translate needs one trained with condition=image"),
        ("cvae", "its model is not conditioned on pictures; type vae-run sample run="),
    ],
)
def test_other_models_are_refused(name, said, trained, refused):
    run = trained(name)
    assert said in refused("translate", f"run={run}", unchanged=run)


def test_a_model_of_pairs_cannot_make_a_condition_of_a_target(trained, refused, pictures):
    run = trained("pairs")
    line = refused("translate", f"run={run}", f"input={pictures}", "input_is=target", unchanged=run)
    assert "trained on pairs" in line
    assert main(["translate", f"run={run}"]) == 0


def test_unfit_inputs_are_refused(trained, refused, pictures, tmp_path):
    run = trained("quadrants")
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 8, 8)), b=np.zeros((2, 8, 8)))
    np.savez(tmp_path / "shape.npz", c=np.zeros((2, 3, 5, 5)))
    (tmp_path / "broken.png").write_bytes(b"no")
    for given, said in [
        (tmp_path / "nothing.png", "there is no such file or folder"),
        (pictures / "notes.txt", "an image, a folder of images or a .npz is needed"),
        (tmp_path / "two.npz", "holds a, b; call the pictures c"),
        (tmp_path / "shape.npz", "c has shape (2, 3, 5, 5); this model needs (N, 1, 8, 8)"),
        (tmp_path / "broken.png", f"input={tmp_path / 'broken.png'}: not a readable image"),
    ]:
        assert said in refused("translate", f"run={run}", f"input={given}", unchanged=run)


def test_what_input_holds_is_nothing_without_input(trained, refused):
    run = trained("edges")
    line = refused("translate", f"run={run}", "input_is=target", unchanged=run)
    assert line == "input_is=target: says what input= holds; give input=FILE, or leave it out"


def test_pictures_of_other_sizes_are_resized_with_a_word(trained, pictures, capsys):
    for i, size in enumerate([(16, 16), (32, 24), (64, 64), (5, 5)]):  # (width, height)
        PIL.Image.new("L", size).save(pictures / f"other{i}.png")
    capsys.readouterr()
    assert main(["translate", f"run={trained('quadrants')}", f"input={pictures}"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        f"input={pictures}: 4 of 7 pictures resized from 5x5, 16x16, 24x32 and 1 more to 8x8 (height x width); "
        f"1 with other proportions, so that what is beyond the middle is cut off"
    )


def test_a_folder_is_not_called_like_a_picture(trained, refused, tmp_path):
    run = trained("quadrants")
    line = refused("translate", f"run={run}", f"out={tmp_path / 'x.PNG'}", unchanged=tmp_path)
    assert line == (
        f"out={tmp_path / 'x.PNG'}: is to be a directory, for many images; type out={tmp_path / 'x'}, or "
        f"out={tmp_path / 'x.npz'}"
    )


def test_what_is_there_is_never_overwritten_unasked(trained, refused, pictures, tmp_path):
    run = trained("quadrants")
    line = refused("translate", f"run={run}", f"input={pictures}", f"out={pictures}", unchanged=tmp_path)
    assert "is there already, with files in it" in line
    (tmp_path / "x.npz").touch()
    line = refused("translate", f"run={run}", f"out={tmp_path / 'x.npz'}", unchanged=tmp_path)
    assert "is there already; type another name, or overwrite=true" in line
    line = refused("translate", f"run={run}", f"out={tmp_path / 'no' / 'folder'}", unchanged=tmp_path)
    assert "does not exist" in line
