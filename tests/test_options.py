"""Every option of every group composes, passes the check, builds, and takes a step on small real data."""

import gzip
import math

import numpy as np
import pytest

from tests.helpers import config_of, with_companions
from vae_runner.build import build_experiment, build_trainer
from vae_runner.config import Tree, configs_directory
from vae_runner.errors import UserError
from vae_runner.evaluation.groups import GROUPS
from vae_runner.reporting.published import Published
from vae_runner.run_directory import RunDirectory

TREE = Tree([configs_directory()])
DEBUG = ["trainer=debug", "architecture.width=8", "latent_dim=20"]
SHORT = {
    ("trainer", "default"): ["trainer.steps=3", "trainer.evaluation_examples=32"],
    ("trainer", "debug"): [],
}
FILES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
# every variant is trained in test_recipes.py
MODELLED = [
    (group, option)
    for group in TREE.groups
    if group not in ("data", "experiment", "variant")
    for option in TREE.options(group)
]


def take_steps(tmp_path, *overrides):
    config = config_of(*overrides)
    run = RunDirectory(tmp_path / "run")
    run.lock()
    try:
        run.config.write_text("seed: 0")
        return build_trainer(config).fit(build_experiment(config), run)
    finally:
        run.unlock()


@pytest.mark.parametrize(("group", "option"), MODELLED, ids=lambda value: value)
def test_an_option_trains(tmp_path, group, option):
    debug = DEBUG[1:] if group == "trainer" else DEBUG
    extra = [text for text in debug if not (group == "architecture" and text.startswith("architecture"))]
    if "data=sprites" in with_companions(group, option):
        extra += ["data.limit=100", "data.test=50", "data.validation=50"]
    summary = take_steps(tmp_path, *with_companions(group, option), *extra, *SHORT.get((group, option), []))
    assert math.isfinite(summary["test"]["loss"])


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = bytes([0, 0, 8, array.ndim])
    path.write_bytes(gzip.compress(kind + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()))


@pytest.mark.parametrize("option", FILES)
def test_a_data_set_of_the_mnist_family_trains(tmp_path, option):
    random = np.random.default_rng(0)
    for split, n in (("train", 90), ("t10k", 40)):
        raw = tmp_path / FILES[option] / "raw"
        write_idx(raw / f"{split}-images-idx3-ubyte.gz", random.integers(0, 256, (n, 28, 28), dtype=np.uint8))
        write_idx(raw / f"{split}-labels-idx1-ubyte.gz", random.integers(0, 10, n, dtype=np.uint8))
    summary = take_steps(
        tmp_path, f"data={option}", f"data.root={tmp_path}", "data.download=false", "data.validation=20", *DEBUG
    )
    assert summary["examples"] == {"train": 64, "validation": 20, "test": 40}


@pytest.mark.parametrize("option", ["emnist", "omniglot", "cifar10", "svhn", "celeba", *FILES])
def test_a_data_set_that_is_not_there_is_asked_for_by_name(tmp_path, option):
    with pytest.raises(UserError, match=str(tmp_path)):
        take_steps(tmp_path, f"data={option}", f"data.root={tmp_path}", "data.download=false", *DEBUG)


def test_sprites_train(tmp_path):
    assert take_steps(tmp_path, "data=sprites", "data.limit=100", "data.test=50", "data.validation=50", *DEBUG)["test"]


def test_images_train(tmp_path):
    from PIL import Image

    for i in range(40):
        folder = tmp_path / "pictures" / f"class{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (12 + i, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    summary = take_steps(
        tmp_path, "data=images", f"data.path={tmp_path / 'pictures'}", "data.size=[16,12]", "architecture=conv", *DEBUG
    )
    assert summary["test"]["loss"] > 0


def test_arrays_train(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(60, 7)), y=np.arange(60) % 3)
    summary = take_steps(tmp_path, "data=arrays", f"data.path={tmp_path / 'x.npz'}", "likelihood=gaussian", *DEBUG)
    assert math.isfinite(summary["test"]["elbo"])


@pytest.mark.parametrize("experiment", TREE.options("experiment"))
def test_an_experiment_runs_through(tmp_path, shared_data, monkeypatch, experiment):
    monkeypatch.setenv("VAE_RUNNER_DATA", str(shared_data))
    # the official files of Omniglot are not among the shared data
    stand_in = ["data=digits", "data.validation=100"] if "omniglot" in experiment else []
    summary = take_steps(tmp_path, f"experiment={experiment}", "trainer=debug", *stand_in)
    assert math.isfinite(summary["test"]["loss"])
    published = Published.of(config_of(f"experiment={experiment}"), tmp_path)
    if published and published.figure.partition(".")[0] not in GROUPS:
        assert published.ours(RunDirectory(tmp_path / "run")).value is not None


@pytest.mark.parametrize("shape", ["[8,8]", "[17,23]", "[28,28]", "[32,32]", "[48,64]", "[64,64]"])
@pytest.mark.parametrize("architecture", ["mlp", "conv", "resnet"])
def test_every_architecture_trains_on_colour_images_of_any_size(tmp_path, architecture, shape):
    height, width = (int(n) for n in shape.strip("[]").split(","))
    images = np.random.default_rng(0).integers(0, 256, (60, 3, height, width), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    summary = take_steps(
        tmp_path,
        *("data=arrays", f"data.path={tmp_path / 'x.npy'}", f"architecture={architecture}", "likelihood=gaussian"),
        *("trainer=debug", "trainer.steps=1", "trainer.evaluation_examples=8", "architecture.width=4", "latent_dim=2"),
    )
    assert math.isfinite(summary["test"]["elbo"])
