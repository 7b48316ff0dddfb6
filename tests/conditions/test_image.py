"""Pictures as a condition: made from the target, or paired with it."""

import numpy as np
import PIL.Image
import pytest
import torch
from scipy import ndimage

from tests.data.test_batches import NoSynchronisation
from tests.helpers import config_of
from vae_runner.build import build_experiment
from vae_runner.conditions.image import Image
from vae_runner.conditions.pictures import edges, gray, low_resolution, visible_quadrants
from vae_runner.data.images import Images
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError

COLOUR, GREY = Space((3, 8, 12), "unit"), Space((1, 9, 7), "unit")
QUICK = ["trainer=debug", "architecture.width=8", "latent_dim=2"]
TRANSFORMS = [
    ("gray", {}, (1, 8, 12)),
    ("edges", {}, (1, 8, 12)),
    ("low_resolution", {"factor": 2}, (3, 4, 6)),
    ("low_resolution", {}, (3, 2, 3)),
    ("quadrants", {"visible": 2}, (3, 8, 12)),
]


def pictures(space: Space, n: int = 5) -> torch.Tensor:
    return torch.rand(n, *space.shape, generator=torch.Generator().manual_seed(0))


def batch_of(space: Space) -> Batch:
    x = pictures(space)
    return Batch(x=x, input=x)


def test_grey_is_the_luminance_of_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    expected = np.asarray(PIL.Image.fromarray(pixels).convert("L")) / 255
    found = gray(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)[0, 0]
    np.testing.assert_allclose(found, expected, atol=0.6 / 255)


def test_edges_are_the_sobel_gradient_of_scipy():
    x = pictures(GREY)
    for picture, found in zip(x[:, 0].double().numpy(), edges(x)[:, 0], strict=True):
        across, down = (ndimage.sobel(picture, axis, mode="nearest") for axis in (1, 0))
        np.testing.assert_allclose(found, np.hypot(across, down) / np.sqrt(32), atol=1e-6)


def test_edges_of_values_within_zero_and_one_are_too():
    corner = torch.zeros(1, 1, 8, 8)
    corner[..., 4:, 4:] = 1
    for x in (corner, pictures(GREY).round()):
        assert 0 <= float(edges(x).min()) <= float(edges(x).max()) <= 1


def test_low_resolution_averages_squares():
    x = pictures(COLOUR)
    expected = x.view(5, 3, 4, 2, 6, 2).mean((3, 5))
    torch.testing.assert_close(low_resolution(x, 2), expected)


@pytest.mark.parametrize(
    ("visible", "seen"),
    [(1, [[0, 0], [1, 0]]), (2, [[1, 0], [1, 0]]), (3, [[1, 1], [1, 0]])],
)
def test_the_quadrants_that_are_visible(visible, seen):
    found = visible_quadrants(torch.zeros(2, 1, 28, 28), visible)
    assert found.shape == (2, 1, 28, 28)
    assert torch.equal(found[:, 0, ::14, ::14], torch.tensor([seen, seen]).float())
    assert float(found.mean()) == visible / 4


@pytest.mark.parametrize(("transform", "settings", "shape"), TRANSFORMS)
def test_the_shape_is_that_of_what_is_made(transform, settings, shape):
    condition = Image(COLOUR, transform=transform, **settings)
    batch = condition.complete(batch_of(COLOUR))
    assert condition.shape == shape
    assert batch.c.shape == (5, *shape)
    assert condition(batch.c).shape == (5, *shape)
    assert torch.equal(batch.x, pictures(COLOUR))
    assert (batch.mask is None) == (transform != "quadrants")


@pytest.mark.parametrize(("transform", "settings", "shape"), TRANSFORMS)
def test_a_condition_is_made_without_waiting_for_the_device(transform, settings, shape):
    condition, batch = Image(COLOUR, transform=transform, **settings), batch_of(COLOUR)
    with NoSynchronisation() as watched:
        condition.complete(batch)
    assert watched.seen


def test_visible_pixels_are_told_and_get_no_likelihood():
    condition = Image(GREY, transform="quadrants", visible=1)
    batch = condition.complete(batch_of(GREY))
    seen = visible_quadrants(batch.x, 1) > 0
    assert torch.equal(batch.c[seen], batch.x[seen])
    assert float(batch.c[~seen].abs().sum()) == 0
    assert torch.equal(batch.mask > 0, ~seen)


def test_the_loss_is_that_of_the_hidden_pixels():
    experiment = build_experiment(config_of(*QUICK, "condition=image", "condition.transform=quadrants"))
    model, data = experiment.model, experiment.data
    batch = data.batch(data.train, torch.arange(6))
    px = model.decode(model.encode(batch), model.context(batch))
    hidden = visible_quadrants(batch.x, 1) == 0
    by_hand = torch.stack(
        [
            torch.distributions.Bernoulli(mean[where], validate_args=False).log_prob(x[where]).sum()
            for mean, x, where in zip(px.mean, batch.x, hidden, strict=True)
        ]
    )
    torch.testing.assert_close(px.log_prob(batch.x, batch.mask), by_hand)
    evidence = model(batch, samples=3)
    assert evidence.log_px.shape == (3, 6)
    changed = batch.x.where(hidden, 1 - batch.x)
    assert torch.equal(px.log_prob(changed, batch.mask), px.log_prob(batch.x, batch.mask))


def test_a_mask_of_the_data_is_kept():
    batch = batch_of(GREY)
    batch.mask = (pictures(GREY) > 0.5).float()
    narrowed = Image(GREY, transform="quadrants", visible=3).complete(batch).mask
    assert torch.equal(narrowed, batch.mask * (1 - visible_quadrants(batch.x, 3)))


def test_what_a_condition_shows_is_put_into_what_is_made():
    condition, batch = Image(GREY, transform="quadrants", visible=2), batch_of(GREY)
    c, made = condition.complete(batch).c, torch.zeros_like(batch.x) - 1
    seen = visible_quadrants(batch.x, 2) > 0
    whole = condition.reveal(made, c)
    assert torch.equal(whole[seen], batch.x[seen])
    assert torch.equal(whole[~seen], made[~seen])
    assert Image(GREY).reveal(made, edges(batch.x)) is made


def test_pairs_of_arrays_arrive_together(tmp_path):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (40, 6, 6), dtype=np.uint8)
    np.savez(tmp_path / "pairs.npz", x=x, maps=x[:, ::2, ::2])
    arguments = ["data=arrays", f"data.path={tmp_path / 'pairs.npz'}", "data.c=maps"]
    data = build_experiment(config_of(*QUICK, *arguments, "condition=image", "condition.transform=null")).data
    for split in (data.train, data.validation, data.test):
        batch = data.batch(split, torch.arange(len(split)))
        assert torch.equal(batch.c, batch.x[:, :, ::2, ::2])


def test_pairs_of_splits_arrive_together(tmp_path):
    random = np.random.default_rng(0)
    arrays = {f"x_{split}": random.random((30, 5, 5), dtype=np.float32) for split in ("train", "test")}
    np.savez(tmp_path / "pairs.npz", **arrays, **{name.replace("x", "c"): 1 - x for name, x in arrays.items()})
    arguments = ["data=arrays", f"data.path={tmp_path / 'pairs.npz'}", "data.c=c", "data.scale=unit"]
    data = build_experiment(config_of(*QUICK, *arguments, "condition=image", "condition.transform=null")).data
    found = data.batch(data.test, torch.arange(30)).c
    assert np.array_equal(found[:, 0].numpy(), 1 - arrays["x_test"])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "data.c=c: .* holds x"),
        ({"c": np.zeros((19, 2))}, "c must hold a condition, without NaN, for each of 20 examples"),
        ({"c": np.full((20, 2), np.nan)}, "c must hold a condition, without NaN"),
    ],
)
def test_unfit_conditions_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((20, 5)), **arrays)
    with pytest.raises(UserError, match=words):
        build_experiment(config_of(*QUICK, "data=arrays", f"data.path={tmp_path / 'data.npz'}", "data.c=c"))


@pytest.fixture
def folders(tmp_path):
    """Photos in two classes, and sketches of the same names in another format, each as bright as its photo is dark."""
    for i in range(24):
        for folder, ending, value in (("photos", "png", 10 * i), ("sketches", "bmp", 255 - 10 * i)):
            file = tmp_path / folder / f"class{i % 2}" / f"{i}.{ending}"
            file.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.new("RGB", (8, 6), (value,) * 3).save(file)
    return tmp_path


def open_folders(folders, **settings):
    return Images(path=str(folders / "photos"), c=str(folders / "sketches"), validation=0, test=0, **settings).open()


def test_pairs_of_folders_arrive_together(folders):
    data = open_folders(folders)
    everything = torch.arange(24)
    x, c = data.train.take(everything)[0], data.train.context(everything)
    assert data.space.context == (3, 6, 8)
    assert torch.equal(x, 255 - c)


def test_an_unreadable_picture_goes_with_its_partner(folders):
    (folders / "photos" / "class1" / "5.png").write_bytes(b"")
    data = open_folders(folders, skip_unreadable=True)
    everything = torch.arange(23)
    assert torch.equal(data.train.take(everything)[0], 255 - data.train.context(everything))


def test_a_picture_without_a_partner_is_named(folders):
    (folders / "sketches" / "class1" / "5.bmp").unlink()
    with pytest.raises(UserError, match=r"sketches: has no picture for class1/5\.png"):
        open_folders(folders)


def test_an_unreadable_partner_is_named(folders):
    (folders / "sketches" / "class1" / "5.bmp").write_bytes(b"")
    with pytest.raises(UserError, match=r"sketches: class1/5.bmp \(no known image format\) is no picture"):
        open_folders(folders)


@pytest.mark.parametrize(
    ("space", "settings", "words"),
    [
        (Space((4,), "unit"), {"transform": "edges"}, "makes pictures from pictures"),
        (GREY, {"transform": "gray"}, "these pictures are grey already"),
        (GREY, {"transform": None}, r"needs a picture beside each example: for arrays data\.c=NAME"),
        (GREY, {"transform": "low_resolution", "factor": 8}, "factor=8: .* type at most 7"),
        (GREY, {"transform": "edges", "factor": 2}, "factor=2: belongs to condition.transform=low_resolution"),
        (GREY, {"transform": "gray", "visible": 2}, "visible=2: belongs to condition.transform=quadrants"),
    ],
)
def test_what_makes_no_picture_is_refused(space, settings, words):
    with pytest.raises(UserError, match=words):
        Image(space, **settings)


def test_a_file_is_read_as_the_condition_that_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "x.png")
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    file = str(tmp_path / "x.png")
    torch.testing.assert_close(Image(COLOUR, transform="gray").parse(file), gray(x), atol=0.6 / 255, rtol=0)
    assert Image(COLOUR, transform="low_resolution").parse(file).shape == (1, 3, 2, 3)
    torch.testing.assert_close(Image(COLOUR, transform="quadrants").parse(file), x * visible_quadrants(x, 1))


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no")
    with pytest.raises(UserError, match=r"x\.png: not a readable image"):
        Image(GREY).parse(str(tmp_path / "x.png"))
    with pytest.raises(UserError, match=r"give them in a \.npz"):
        Image(Space((1, 4, 4), "real")).parse(str(tmp_path / "x.png"))
