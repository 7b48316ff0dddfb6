"""Variants multiply: what the table of combinations accepts trains, is saved, read back and sampled."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import fit
from vae_runner.build import Run
from vae_runner.config import choices_of, compose

REPOSITORY = Path(__file__).parents[1]
SHORT = ["trainer=debug", "trainer.steps=2", "trainer.evaluation_examples=8", "trainer.batch_size=8"]
SHORT += ["architecture.width=8"]


def load_combinations():
    spec = importlib.util.spec_from_file_location("docs_combinations", REPOSITORY / "docs" / "combinations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COMBINATIONS = load_combinations()


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A small file of each kind of data that a user brings."""
    folder, random = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    y = np.arange(40) % 3
    # smooth blobs, so that structural similarity has something to see
    centres = random.random((40, 2, 1, 1)) * 16
    rows, columns = np.mgrid[:16, :16]
    grey = np.exp(-((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2) / 20)
    colours = (255 * grey[:, None] * random.random((40, 3, 1, 1))).astype(np.uint8)
    np.savez(folder / "colour images.npz", x=colours, y=y)
    np.savez(folder / "vectors.npz", x=random.normal(size=(40, 12)), y=y)
    lengths = {split: random.integers(5, 12, size=n) for split, n in (("train", 20), ("valid", 6), ("test", 6))}
    rolls = {f"{split}_lengths": n for split, n in lengths.items()}
    rolls |= {f"{s}_frames": (random.random((int(n.sum()), 88)) < 0.05).astype(np.uint8) for s, n in lengths.items()}
    np.savez(folder / "piano rolls.npz", **rolls)
    return folder


def typed(kind: str, files: Path) -> list[str]:
    return [text.replace("FILE.npz", str(files / f"{kind}.npz")) for text in COMBINATIONS.KINDS[kind].typed]


def train_and_sample(directory: Path, *overrides: str) -> None:
    summary = fit(directory, *overrides, *SHORT)
    assert math.isfinite(summary["test"]["loss"])
    model, run = Run.load(directory).model, Run.load(directory)
    batch = run.data.batch(run.data.test, torch.arange(3))
    samples = model.sample(3, model.context(batch))
    assert samples.shape == (3, *model.space.shape)
    assert bool(samples.float().isfinite().all())


NAMED = {
    "conditional hierarchical importance-weighted": ["variant=[cvae,iwae,hvae]"],
    "conditional recurrent": ["variant=[cvae,vrae]"],
    "conditional adversarial": ["variant=[cvae,aae]"],
    "semi-supervised hierarchical with free bits": ["variant=[ss_vae,hvae]", "kl.free_bits=0.1", "data.labels=100"],
    "VampPrior ladder": ["variant=[vamp_vae,hvae]"],
}


@pytest.mark.parametrize("name", NAMED)
def test_variants_multiply(tmp_path, name):
    train_and_sample(tmp_path, *NAMED[name])


def test_an_importance_weighted_convolutional_one_takes_colour_images(tmp_path, files):
    train_and_sample(tmp_path, "variant=iwae", *typed("colour images", files))


@pytest.mark.parametrize("kind", COMBINATIONS.KINDS)
@pytest.mark.parametrize("variant", ["vae", "cvae", "iwae", "aae"])
def test_a_variant_takes_the_kinds_of_data_that_the_table_says(tmp_path, files, variant, kind):
    overrides = [f"variant={variant}", *COMBINATIONS.KINDS[kind].typed]
    if COMBINATIONS.refusal(overrides, COMBINATIONS.KINDS[kind].space) is not None:
        pytest.skip("refused")
    train_and_sample(tmp_path, f"variant={variant}", *typed(kind, files))


def test_a_pair_that_chooses_differently_in_one_group_is_refused():
    assert (
        COMBINATIONS.pair_refusal("iwae", "beta_tcvae")
        == "both choose the objective: type objective=... besides, for which"
    )


@pytest.mark.slow
@pytest.mark.parametrize("cell", COMBINATIONS.by_kind_keys(), ids=lambda cell: "-".join(cell))
def test_every_variant_and_kind_that_the_table_accepts(tmp_path, files, cell):
    variant, kind = cell
    if COMBINATIONS.refusal([f"variant={variant}", *COMBINATIONS.KINDS[kind].typed], COMBINATIONS.KINDS[kind].space):
        pytest.skip("refused")
    few = ["data.labels=6"] if variant == "ss_vae" and "data=arrays" in COMBINATIONS.KINDS[kind].typed else []
    train_and_sample(tmp_path, f"variant={variant}", *typed(kind, files), *few)


@pytest.mark.slow
@pytest.mark.parametrize("pair", COMBINATIONS.pairs(), ids="-".join)
def test_every_pair_that_the_table_accepts(tmp_path, pair):
    if COMBINATIONS.pair_refusal(*pair):
        pytest.skip("refused")
    override = f"variant=[{pair[0]},{pair[1]}]"
    classes = ["data.labels=50"] if choices_of(compose([override]))["condition"] == "inferred_label" else []
    train_and_sample(tmp_path, override, *classes)


def test_the_page_of_combinations_is_up_to_date():
    """Its tables name every variant; what they say of a handful of cells is what is so."""
    page = COMBINATIONS.PAGE.read_text(encoding="utf-8")
    assert all(f"| `{variant}` |" in page for variant in COMBINATIONS.VARIANTS)
    for first, second in [("cvae", "hvae"), ("iwae", "hvae"), ("aae", "cvae")]:
        row = next(line for line in reversed(page.splitlines()) if line.startswith(f"| `{first}` |"))
        assert f"`{second}`" in row.split("|")[2]
        assert COMBINATIONS.pair_refusal(*sorted((first, second))) is None
