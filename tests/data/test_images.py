"""A user's folder of images."""

import io
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from vae_runner.data.decoder import Decoder, size_of
from vae_runner.data.images import Images
from vae_runner.data.space import Space
from vae_runner.errors import UserError


def save(path: Path, colour=(255, 0, 0), size=(10, 12), **options) -> Path:
    """A plain image of (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], colour).save(path, **options)
    return path


def folder(root: Path, names: list[str], **options) -> Path:
    for i, name in enumerate(names):
        save(root / name, (i, 2 * i, 3 * i), **options)
    return root


def everything(split):
    return split.take(torch.arange(len(split)))


FLAT = [f"{i}.png" for i in range(10)]


def test_a_flat_folder_has_no_labels(tmp_path):
    data = Images(path=str(folder(tmp_path, FLAT))).open()
    assert data.space == Space((3, 10, 12), "unit", None)
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 1, 1)
    x, y = everything(data.train)
    assert x.dtype == torch.uint8
    assert y is None


def test_colours_arrive_in_their_channels(tmp_path):
    folder(tmp_path, FLAT)
    x, _ = everything(Images(path=str(tmp_path), validation=0, test=0).open().train)
    assert torch.equal(x[:, :, 0, 0], torch.arange(10, dtype=torch.uint8)[:, None] * torch.tensor([[1, 2, 3]]))


def test_folders_are_classes_in_the_order_of_their_names(tmp_path):
    folder(tmp_path, [f"{animal}/deeper/{i}.png" for animal in ("dog", "cat", "owl") for i in range(4)])
    data = Images(path=str(tmp_path), validation=0, test=0).open()
    assert list(data.space.class_names) == ["cat", "dog", "owl"]
    assert data.space.classes == 3
    x, y = everything(data.train)
    colours = x[:, 0, 0, 0].tolist()
    assert dict(zip(colours, y.tolist(), strict=True)) == {i: {0: 1, 1: 0, 2: 2}[i // 4] for i in range(12)}


def test_train_and_test_folders_are_the_splits(tmp_path):
    for split, n in (("train", 6), ("test", 2), ("val", 2)):
        folder(tmp_path, [f"{split}/{animal}/{i}.png" for animal in ("dog", "cat") for i in range(n)])
    data = Images(path=str(tmp_path), validation=None).open()
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)
    assert list(data.space.class_names) == ["cat", "dog"]
    assert everything(data.test)[1].tolist() == [0, 0, 1, 1]


def test_a_train_folder_alone_and_flat_is_split_further(tmp_path):
    folder(tmp_path / "train", FLAT)
    data = Images(path=str(tmp_path)).open()
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 1, 1)


def test_a_folder_called_train_beside_other_classes_is_a_class(tmp_path):
    folder(tmp_path, [f"{vehicle}/{i}.png" for vehicle in ("train", "bus") for i in range(4)])
    assert list(Images(path=str(tmp_path)).open().space.class_names) == ["bus", "train"]


def test_a_zip_is_read_like_the_folder_it_holds(tmp_path):
    source = folder(tmp_path / "pictures", [f"{animal}/{i}.png" for animal in ("dog", "cat") for i in range(3)])
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for file in source.rglob("*.png"):
            archive.write(file, file.relative_to(tmp_path))
    unpacked, packed = (
        Images(path=str(tmp_path / name), validation=0, test=0).open() for name in ("pictures", "pictures.zip")
    )
    assert packed.space.class_names == unpacked.space.class_names
    assert all(torch.equal(a, b) for a, b in zip(everything(packed.train), everything(unpacked.train), strict=True))


def test_a_relative_path_is_below_the_callers_directory(tmp_path, monkeypatch):
    folder(tmp_path / "pictures", FLAT)
    monkeypatch.chdir(tmp_path)
    assert len(Images(path="pictures").open().train) == 8


def test_other_files_and_hidden_ones_are_left_alone(tmp_path):
    folder(tmp_path, FLAT)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._0.png").write_bytes(b"not an image")
    assert len(Images(path=str(tmp_path), validation=0, test=0).open().train) == 10


def test_a_link_to_a_parent_folder_ends(tmp_path):
    folder(tmp_path, FLAT)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(Images(path=str(tmp_path), validation=0, test=0).open().train) == 10


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".webp", ".tiff", ".JPEG"])
def test_images_of_any_size_are_brought_to_one(tmp_path, suffix):
    for i, size in enumerate([(10, 10), (100, 50), (17, 23), (300, 400)]):
        save(tmp_path / f"{i}{suffix}", (200, 100, 50), size)
    x, _ = everything(Images(path=str(tmp_path), size=[16, 24], validation=0, test=0).open().train)
    assert x.shape == (4, 3, 16, 24)
    assert ((x.float() - torch.tensor([200.0, 100, 50]).view(1, 3, 1, 1)).abs() <= 12).all()


def three_bands() -> Image.Image:
    """Twice as wide as high: red, then green in the middle half, then blue."""
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :20, 0] = pixels[:, 20:60, 1] = pixels[:, 60:, 2] = 255
    return Image.fromarray(pixels)


def test_crop_keeps_the_middle_and_stretch_keeps_everything(tmp_path):
    for i in range(3):
        three_bands().save(tmp_path / f"{i}.png")
    common = {"path": str(tmp_path), "size": [8, 8], "validation": 0, "test": 0}
    cropped, _ = everything(Images(fit="crop", **common).open().train)
    stretched, _ = everything(Images(fit="stretch", **common).open().train)
    assert (cropped[0, 1] > 200).all()  # all green but for the antialiased edge
    assert stretched[0, 0, 4, 0] > 250
    assert stretched[0, 1, 4, 4] > 250
    assert stretched[0, 2, 4, 7] > 250


def test_grey_images_have_one_channel(tmp_path):
    save(tmp_path / "a.png", (255, 255, 255))
    save(tmp_path / "b.png", (255, 0, 0))
    x, _ = everything(Images(path=str(tmp_path), channels=1, validation=0, test=0).open().train)
    assert x.shape == (2, 1, 10, 12)
    assert int(x[0, 0, 0, 0]) == 255
    assert int(x[1, 0, 0, 0]) == round(0.299 * 255)


def test_sixteen_bit_palette_and_transparent_images_look_as_in_a_viewer(tmp_path):
    Image.fromarray(np.full((4, 4), 32768, np.uint16)).save(tmp_path / "a.png")
    Image.new("RGB", (4, 4), (0, 0, 255)).quantize(4).save(tmp_path / "b.png")
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "c.png")
    x, _ = everything(Images(path=str(tmp_path), validation=0, test=0).open().train)
    assert x[:, :, 0, 0].tolist() == [[128] * 3, [0, 0, 255], [255] * 3]


def test_a_photograph_is_turned_as_the_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    for i in range(2):
        three_bands().save(tmp_path / f"{i}.png", exif=exif)
    x, _ = everything(Images(path=str(tmp_path), validation=0, test=0).open().train)
    assert x.shape == (2, 3, 80, 40)
    assert x[0, :, 0, 20].tolist() == [255, 0, 0]


def break_one(root: Path) -> Path:
    """The third of ten images is cut in half."""
    file = root / "2.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (10, 12, 3), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:200])
    return file


@pytest.mark.parametrize("content", [None, b"", b"not an image at all"])
def test_an_unreadable_image_among_good_ones_is_named(tmp_path, content):
    folder(tmp_path, FLAT)
    file = break_one(tmp_path)
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"2\.png: not a readable image .*data\.skip_unreadable=true") as error:
        Images(path=str(tmp_path), size=[10, 12]).open()
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_an_unreadable_image_is_left_out_with_its_label_and_a_warning_when_told_to(tmp_path, caplog):
    names = [f"{animal}/{i}.png" for animal in ("cat", "dog") for i in range(5)]
    folder(tmp_path, names)
    (tmp_path / "cat" / "0.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING, logger="vae_runner"):
        data = Images(path=str(tmp_path), skip_unreadable=True, validation=0, test=0).open()
    x, y = everything(data.train)
    assert x[:, 0, 0, 0].tolist() == list(range(1, 10))
    assert y.tolist() == [0] * 4 + [1] * 5
    assert "skipped 1 unreadable image: cat/0.png" in caplog.text


def test_only_unreadable_images_are_refused_even_when_told_to_skip(tmp_path):
    for name in FLAT:
        (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(UserError, match="none of its 10 images can be read"):
        Images(path=str(tmp_path), skip_unreadable=True).open()
    with pytest.raises(UserError, match="0 examples to train on"):
        Images(path=str(tmp_path), size=[8, 8], skip_unreadable=True).open()


@pytest.mark.parametrize("skip", [False, True])
def test_different_sizes_without_a_size_are_refused_with_the_fix(tmp_path, skip):
    folder(tmp_path, FLAT)
    save(tmp_path / "9.png", size=(30, 30))
    with pytest.raises(UserError, match=r"9\.png is 30x30 .*data\.size=\[height,width\]"):
        Images(path=str(tmp_path), skip_unreadable=skip).open()


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match=f"data.path={tmp_path}: no images in it"):
        Images(path=str(tmp_path)).open()


def test_a_file_that_is_no_folder_is_refused_with_the_data_that_reads_it(tmp_path):
    (tmp_path / "verses.txt").write_text("one\n")
    with pytest.raises(UserError, match=r"not a folder .* data=arrays, or data=series .* text: data=text"):
        Images(path=str(tmp_path / "verses.txt")).open()


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        Images(path=str(tmp_path / "nowhere")).open()


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(UserError, match="data=arrays"):
        Images(path=str(tmp_path / "a.npz")).open()
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    with pytest.raises(UserError, match=r"not a readable \.zip"):
        Images(path=str(tmp_path / "a.zip")).open()


def test_a_single_image_is_refused(tmp_path):
    save(tmp_path / "a.png")
    with pytest.raises(UserError, match="1 example to train on, at least 2"):
        Images(path=str(tmp_path)).open()


def test_images_beside_class_folders_are_refused(tmp_path):
    folder(tmp_path, ["a.png", "cat/b.png", "dog/c.png"])
    with pytest.raises(UserError, match="some images lie directly in it and some in folders"):
        Images(path=str(tmp_path)).open()


def test_classes_in_train_only_are_refused(tmp_path):
    folder(tmp_path, ["train/cat/a.png", "train/dog/b.png", "test/c.png"])
    with pytest.raises(UserError, match="only train has class folders"):
        Images(path=str(tmp_path)).open()


def test_a_size_of_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data\.size=\[0, 8\]"):
        Images(path=str(tmp_path), size=[0, 8])


def test_cifar10_as_a_zip_of_class_folders(shared_data):
    path = shared_data / "cifar10_jpg" / "cifar10_jpg_train10k_test2k.zip"
    if not path.is_file():
        pytest.skip(f"real data: no {path}")
    data = Images(path=str(path), limit=64, validation=32).open()
    assert data.space == Space((3, 32, 32), "unit", 10)
    assert (len(data.train), len(data.validation), len(data.test)) == (64, 32, 2000)
    assert data.space.class_names[0] == "airplane"


@pytest.mark.parametrize(("orientation", "expected"), [(None, (4, 6)), (1, (4, 6)), (3, (4, 6)), (6, (6, 4))])
def test_the_size_of_a_picture_is_that_at_which_it_is_shown(orientation, expected):
    exif = Image.Exif()
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4)).save(buffer, "JPEG", exif=exif)
    assert size_of(buffer.getvalue()) == expected
    assert Decoder(expected, fit="exact")(buffer.getvalue()).shape == (3, *expected)
