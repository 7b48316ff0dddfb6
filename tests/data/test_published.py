"""The published data sets, from tiny files in their official formats and from the real ones."""

import gzip
import hashlib
import pickle
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data import official_files
from vae_runner.data.published.celeba import CelebA
from vae_runner.data.published.cifar10 import CIFAR10
from vae_runner.data.published.emnist import CLASSES, EMNIST
from vae_runner.data.published.mnist import MNIST
from vae_runner.data.published.omniglot import Omniglot
from vae_runner.data.published.published import Download
from vae_runner.data.published.svhn import SVHN
from vae_runner.data.space import Space
from vae_runner.errors import UserError


def everything(split):
    return split.take(torch.arange(len(split)))


def offline(root: Path, **settings) -> dict:
    return {"root": str(root), "download": False, "validation": 0, **settings}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that reaches for the network is told that there is none."""

    def refuse(*_, **__):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def contents(root: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_the_sets_in_the_format_of_mnist(tmp_path, name, packed):
    arrays = official_files.mnist(tmp_path, name, packed)
    before = contents(tmp_path)
    data = MNIST(name=name, **offline(tmp_path)).open()
    assert data.space == Space((1, 28, 28), "unit", 10)
    assert len(data.space.class_names) == 10
    x, y = everything(data.train)
    assert np.array_equal(x[:, 0].numpy(), arrays["train-images-idx3-ubyte"])
    assert y.tolist() == arrays["train-labels-idx1-ubyte"].tolist()
    x, y = everything(data.test)
    assert np.array_equal(x[:, 0].numpy(), arrays["t10k-images-idx3-ubyte"])
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("name", "mean"), [("MNIST", 0.1306604762738429), ("FashionMNIST", 0.2860405969887955)])
def test_the_real_sets_have_their_known_sizes_and_means(shared_data, name, mean):
    data = MNIST(name=name, **offline(shared_data)).open()
    x, y = everything(data.train)
    assert x.shape == (60000, 1, 28, 28)
    assert len(data.test) == 10000
    assert float(x.sum(dtype=torch.float64)) / x.numel() / 255 == pytest.approx(mean, abs=1e-9)
    assert y.bincount().min() > 5000


@pytest.mark.parametrize("form", ["idx", "gz", "zip"])
def test_emnist_stands_upright_in_every_form(tmp_path, form):
    arrays = official_files.emnist(tmp_path, "balanced", 0, 47, form)
    before = contents(tmp_path)
    data = EMNIST(**offline(tmp_path)).open()
    assert data.space == Space((1, 28, 28), "unit", 47)
    x, y = everything(data.train)
    stored = arrays["emnist-balanced-train-images-idx3-ubyte"]
    assert np.array_equal(x[3, 0].numpy(), stored[3].T)
    assert y.tolist() == [i % 47 for i in range(94)]
    assert contents(tmp_path) == before


def test_the_letters_of_emnist_are_counted_from_zero(tmp_path):
    official_files.emnist(tmp_path, "letters", 1, 26, "gz")
    data = EMNIST(part="letters", **offline(tmp_path)).open()
    assert data.space.classes == 26
    assert data.space.class_names[0] == "a"
    assert everything(data.test)[1].tolist() == list(range(26))


def test_the_classes_of_emnist_are_those_torchvision_lists():
    from torchvision.datasets import EMNIST as KNOWN

    for part, names in CLASSES.items():
        assert list(names) == [name for name in KNOWN.classes_split_dict[part] if name != "N/A"]


@pytest.mark.parametrize("packed", [True, False])
def test_omniglot_has_bright_strokes_and_other_characters_in_test(tmp_path, packed):
    official_files.omniglot(tmp_path, packed)
    before = contents(tmp_path)
    data = Omniglot(**offline(tmp_path)).open()
    assert data.space == Space((1, 28, 28), "unit", 5)
    x, y = everything(data.train)
    assert y.tolist() == [i // 4 for i in range(16)]
    bright = (x[:, 0, :, 14] > 127).float().argmax(1)  # the first row of the bar
    assert torch.allclose(bright.float(), y * 20 * 28 / 105, atol=1)
    assert float(x.float().mean()) / 255 == pytest.approx(20 / 105, abs=0.02)
    assert everything(data.test)[1].tolist() == [4] * 4
    assert data.space.class_names[4] == "Angelic/character01"
    assert contents(tmp_path) == before


@pytest.mark.parametrize("packed", [True, False])
def test_cifar10(tmp_path, packed):
    batches = official_files.cifar10(tmp_path, packed)
    before = contents(tmp_path)
    data = CIFAR10(**offline(tmp_path)).open()
    assert data.space == Space((3, 32, 32), "unit", 10)
    x, y = everything(data.train)
    assert np.array_equal(x[20:30].numpy().reshape(10, -1), batches["data_batch_3"])
    assert y.tolist() == list(range(10)) * 5
    assert np.array_equal(everything(data.test)[0].numpy().reshape(10, -1), batches["test_batch"])
    assert data.space.class_names[3] == "cat"
    assert contents(tmp_path) == before


def test_svhn_calls_the_digit_zero_zero(tmp_path):
    arrays = official_files.svhn(tmp_path)
    data = SVHN(**offline(tmp_path)).open()
    assert data.space == Space((3, 32, 32), "unit", 10)
    x, y = everything(data.train)
    assert np.array_equal(x[7].numpy(), arrays["train"][:, :, :, 7].transpose(2, 0, 1))
    assert y.tolist() == [(i + 1) % 10 for i in range(30)]


@pytest.mark.parametrize("packed", [True, False])
def test_celeba_has_its_own_splits_and_attributes(tmp_path, packed):
    official_files.celeba(tmp_path, packed)
    before = contents(tmp_path)
    data = CelebA(**offline(tmp_path, validation=None)).open()
    assert data.space == Space((3, 64, 64), "unit", factors=2, categorical_factors=(0, 1))
    assert data.factor_names == ["Bald", "Smiling"]
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 2, 2)
    x, y = everything(data.train)
    assert (x[:, 0, 30, 30].float() - torch.arange(8) * 10).abs().max() <= 2
    assert y.tolist() == [[i % 2, int(i < 3)] for i in range(8)]
    assert abs(int(everything(data.test)[0][0, 0, 0, 0]) - 100) <= 2
    assert contents(tmp_path) == before


def test_celeba_keeps_the_central_square(tmp_path):
    official_files.celeba(tmp_path, packed=False)
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[59:159, 39:139] = 255
    for file in (tmp_path / "celeba" / "img_align_celeba").iterdir():
        file.write_bytes(official_files.jpeg(pixels))
    x, _ = everything(CelebA(crop=100, size=[10, 10], **offline(tmp_path, validation=None)).open().train)
    assert int(x.min()) > 250


def test_only_the_images_that_are_wanted_are_decoded(tmp_path):
    official_files.celeba(tmp_path, packed=False)
    (tmp_path / "celeba" / "img_align_celeba" / "000001.jpg").write_bytes(b"broken")
    whole = offline(tmp_path, validation=None)
    with pytest.raises(UserError, match=r"000001\.jpg: truncated or corrupt"):
        CelebA(**whole).open()
    for seed in range(20):
        order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
        if 0 not in order[:2]:
            assert len(CelebA(**whole, limit=2, split_seed=seed).open().train) == 2
            return
    raise AssertionError("no seed leaves the first image out")


SOURCES = {
    "MNIST": (MNIST, "raw/train-images-idx3-ubyte.gz", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    "EMNIST": (EMNIST, "raw/gzip.zip", "https://www.nist.gov"),
    "Omniglot": (Omniglot, "images_background.zip", "https://github.com/brendenlake/omniglot"),
    "CIFAR10": (CIFAR10, "cifar-10-python.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar.html"),
    "SVHN": (SVHN, "train_32x32.mat", "http://ufldl.stanford.edu/housenumbers"),
    "CelebA": (CelebA, "list_attr_celeba.txt", "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"),
}


@pytest.mark.parametrize("download", [True, False])
@pytest.mark.parametrize("name", SOURCES)
def test_missing_files_are_named_with_where_to_put_them_and_where_they_are_from(tmp_path, name, download):
    source, file, page = SOURCES[name]
    with pytest.raises(UserError) as error:
        source(root=str(tmp_path / "data"), download=download).open()
    message = str(error.value)
    assert file in message
    assert str(tmp_path / "data") in message
    assert page in message
    assert "VAE_RUNNER_DATA" in message
    assert "\n" not in message
    assert ("downloading failed" in message) == download
    assert ("data.download=false" in message) != download
    assert not [*tmp_path.iterdir()]


def test_without_leave_to_download_nothing_is_created(tmp_path):
    with pytest.raises(UserError):
        MNIST(**offline(tmp_path / "data")).open()
    assert not (tmp_path / "data").exists()


def serve(monkeypatch, official: Path, damaged: bool = False) -> list[str]:
    """Answers every download with the file of that name below `official`; returns the addresses that were asked for."""
    asked = []

    def download_url(url, root, filename, md5):
        asked.append(url)
        if "first.example" in url:
            raise urllib.error.URLError("the first address is down")
        content = (official / filename).read_bytes()
        Path(root, filename).write_bytes(content[:-1] if damaged else content)

    def downloads(self):
        mirrors = ("https://first.example/", "https://second.example/")
        return {
            f"raw/{path.name}": Download(
                tuple(m + path.name for m in mirrors), hashlib.md5(path.read_bytes()).hexdigest()
            )
            for path in official.iterdir()
        }

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download_url)
    monkeypatch.setattr(MNIST, "downloads", downloads)
    return asked


def test_missing_files_are_downloaded_and_those_that_are_there_are_not(tmp_path, monkeypatch):
    official_files.mnist(tmp_path / "official", "MNIST")
    there = tmp_path / "data" / "MNIST" / "raw"
    there.mkdir(parents=True)
    source = tmp_path / "official" / "MNIST" / "raw"
    (there / "train-images-idx3-ubyte.gz").write_bytes((source / "train-images-idx3-ubyte.gz").read_bytes())
    asked = serve(monkeypatch, source)
    data = MNIST(root=str(tmp_path / "data"), validation=0).open()
    assert len(data.train) == 40
    assert sorted(path.name for path in there.iterdir()) == sorted(path.name for path in source.iterdir())
    assert not any("train-images" in url for url in asked)
    assert sum("second.example" in url for url in asked) == 3
    asked.clear()
    MNIST(root=str(tmp_path / "data"), validation=0).open()
    assert not asked


def test_a_download_that_arrives_damaged_is_not_kept(tmp_path, monkeypatch):
    official_files.mnist(tmp_path / "official", "MNIST")
    serve(monkeypatch, tmp_path / "official" / "MNIST" / "raw", damaged=True)
    with pytest.raises(UserError, match="arrived damaged"):
        MNIST(root=str(tmp_path / "data")).open()
    assert not (tmp_path / "data").exists()


def test_the_downloads_cover_everything_that_may_be_missing():
    for source, *_ in SOURCES.values():
        made = source()
        assert {piece.official for piece in made.pieces().values()} <= made.downloads().keys()


def damage_gzip(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def damage_shape(path: Path) -> None:
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:-5]))


def damage_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # of the checksum
    path.write_bytes(content)


def damage_kind(path: Path) -> None:
    path.write_bytes(gzip.compress(b"<html>not found</html>"))


def damage_axes(path: Path) -> None:
    path.write_bytes(gzip.compress(official_files.idx(np.zeros((2, 2), np.uint8))))


@pytest.mark.parametrize("damage", [damage_gzip, damage_shape, damage_bit, damage_kind, damage_axes])
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_damaged_idx_file_is_named(tmp_path, file, damage):
    official_files.mnist(tmp_path, "MNIST")
    damage(tmp_path / "MNIST" / "raw" / file)
    with pytest.raises(UserError, match=f"{file}: truncated or corrupt") as error:
        MNIST(**offline(tmp_path)).open()
    assert "\n" not in str(error.value)


def test_labels_that_do_not_go_with_the_images_are_refused(tmp_path):
    official_files.mnist(tmp_path, "MNIST")
    labels = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(official_files.idx(np.zeros(7, np.uint8))))
    with pytest.raises(UserError, match="7 labels for 40 images"):
        MNIST(**offline(tmp_path)).open()


@pytest.mark.parametrize(
    ("write", "source", "file"),
    [
        (lambda root: official_files.emnist(root, "balanced", 0, 47, "zip"), EMNIST, "EMNIST/raw/gzip.zip"),
        (official_files.omniglot, Omniglot, "omniglot-py/images_evaluation.zip"),
        (official_files.cifar10, CIFAR10, "cifar-10-python.tar.gz"),
        (official_files.svhn, SVHN, "train_32x32.mat"),
        (official_files.celeba, CelebA, "celeba/img_align_celeba.zip"),
        (official_files.celeba, CelebA, "celeba/list_attr_celeba.txt"),
        (official_files.celeba, CelebA, "celeba/list_eval_partition.txt"),
    ],
)
def test_a_truncated_file_is_named(tmp_path, write, source, file):
    write(tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=Path(file).name) as error:
        source(**offline(tmp_path)).open()
    assert "\n" not in str(error.value)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_cifar10_file_built_to_run_code_is_refused_and_runs_nothing(tmp_path):
    official_files.cifar10(tmp_path, packed=False)
    trap = pickle.dumps({"data": Trap(tmp_path / "trace"), "labels": []})
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(trap)
    with pytest.raises(UserError, match="data_batch_2: truncated or corrupt"):
        CIFAR10(**offline(tmp_path)).open()
    assert not (tmp_path / "trace").exists()
