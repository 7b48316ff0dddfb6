"""`vae-run sample` of models that are conditioned on something."""

import numpy as np
import PIL.Image
import pytest
import torch

from vae_runner import Run
from vae_runner.cli import main


def drawn(run, file, *args: str) -> dict[str, np.ndarray]:
    assert main(["sample", f"run={run}", f"out={file}", *args]) == 0
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def test_samples_are_of_the_label_asked_for(trained, tmp_path):
    arrays = drawn(trained("cvae"), tmp_path / "samples.npz", "label=7", "n=5")
    assert arrays["y"].tolist() == [7] * 5
    model = Run.load(trained("cvae"), device="cpu").model
    with torch.no_grad():
        context = model.condition(torch.full((5,), 7))
        expected = model.decode([torch.from_numpy(arrays["z"])], context).mean
    torch.testing.assert_close(torch.from_numpy(arrays["x"]), expected)


def test_classes_take_turns_where_none_is_asked_for(trained, tmp_path):
    arrays = drawn(trained("cvae"), tmp_path / "samples.npz", "n=25")
    assert arrays["y"].tolist() == [i % 10 for i in range(25)]
    few = drawn(trained("cvae"), tmp_path / "few.npz", "n=12")
    assert np.array_equal(few["x"], arrays["x"][:12])


def test_the_picture_has_a_row_for_each_class(trained, tmp_path, monkeypatch):
    from vae_runner.reporting import pictures

    shown = {}
    draw_examples = pictures.draw_examples

    def spy(space, x, **settings):
        shown.update(settings, x=x)
        return draw_examples(space, x, **settings)

    monkeypatch.setattr(pictures, "draw_examples", spy)
    arrays = drawn(trained("cvae"), tmp_path / "samples.npz", "n=34")
    assert shown["row_labels"] == [str(digit) for digit in range(10)]
    assert shown["columns"] == 3
    for digit, row in enumerate(shown["x"].unflatten(0, (10, 3))):
        np.testing.assert_array_equal(row.numpy(), arrays["x"][arrays["y"] == digit][:3])


def test_fewer_samples_than_classes_are_all_shown(trained, capsys):
    assert main(["sample", f"run={trained('cvae')}", "n=4"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("sample_n_4.png")


def test_samples_of_classes_are_data_with_labels(trained, tmp_path):
    drawn(trained("cvae"), tmp_path / "samples.npz", "n=100")
    quick = ["trainer=debug", "architecture.width=4", "latent_dim=2", "variant=cvae"]
    args = ["data=arrays", f"data.path={tmp_path / 'samples.npz'}", f"hydra.run.dir={tmp_path / 'again'}"]
    assert main(["train", *quick, *args]) == 0


def test_attributes_are_asked_for_by_their_numbers(trained, tmp_path):
    arrays = drawn(trained("attributes"), tmp_path / "samples.npz", "label=1,-2.5", "n=3")
    assert arrays["c"].tolist() == [[1, -2.5]] * 3


def test_the_conditions_of_held_out_examples_take_turns_where_there_is_no_list(trained, tmp_path):
    run = trained("attributes")
    arrays = drawn(run, tmp_path / "samples.npz", "n=30")
    data = Run.load(run, device="cpu").data
    held_out = data.test.context(torch.arange(len(data.test))).numpy()
    assert {tuple(c) for c in arrays["c"]} == {tuple(c) for c in held_out}
    more = drawn(run, tmp_path / "more.npz", "n=300")
    np.testing.assert_array_equal(more["c"][:30], arrays["c"])
    np.testing.assert_array_equal(more["x"][:30], arrays["x"])


def test_a_picture_is_a_label_too(trained, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "given.png")
    arrays = drawn(trained("quadrants"), tmp_path / "samples.npz", f"label={tmp_path / 'given.png'}", "n=4")
    np.testing.assert_allclose(arrays["x"][:, 0, :, :4], np.tile(pixels[:, :4] / 255, (4, 1, 1)), atol=1e-6)
    assert (trained("quadrants") / "images" / "samples" / "sample_n_4_label_given.png.png").is_file()


@pytest.mark.parametrize(
    ("height", "width", "said"),
    [
        (32, 32, "the picture resized from 32x32 to 8x8 (height x width)"),
        (101, 100, "the picture resized from 101x100 to 8x8 (height x width)"),
        (
            16,
            24,
            "16x24 to 8x8 (height x width); it has other proportions, so that what is beyond the middle is cut off",
        ),
        (8, 8, None),
    ],
)
def test_a_picture_of_another_size_is_resized_with_a_word(height, width, said, trained, tmp_path, capsys):
    file = tmp_path / "given.png"
    PIL.Image.fromarray(np.zeros((height, width), np.uint8)).save(file)
    capsys.readouterr()
    assert main(["sample", f"run={trained('quadrants')}", f"label={file}", "n=4"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "resized" in line]
    assert len(lines) == (said is not None)
    assert not lines or (lines[0].startswith(f"label={file}: ") and lines[0].endswith(said))


@pytest.mark.parametrize(("name", "said"), [("vae", "one level of latents"), ("levels", "2 levels of latents")])
def test_levels_that_are_not_there_cannot_be_held(name, said, trained, refused):
    run = trained(name)
    line = refused("sample", f"run={run}", "hold=2", unchanged=run)
    assert said in line
    assert line.endswith("leave hold out" if name == "vae" else "type hold=1")


@pytest.mark.parametrize(
    ("name", "label", "said"),
    [
        ("vae", "7", "label=7: this model is not conditioned on anything; train one with variant=cvae"),
        ("cvae", "12", "label=12: must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("cvae", "cat", "label=cat: must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("attributes", "1", "label=1: must be 2 numbers"),
        (
            "quadrants",
            "3",
            "label=3: this model is conditioned on pictures, and there is no such file; give a picture's",
        ),
        ("quadrants", __file__, f"label={__file__}: not a readable image"),
    ],
)
def test_a_label_that_the_model_does_not_know_is_refused(name, label, said, trained, refused):
    run = trained(name)
    assert said in refused("sample", f"run={run}", f"label={label}", unchanged=run)
