"""Attributes and other numbers as a condition."""

import numpy as np
import pytest
import torch

from tests.helpers import config_of, fit
from vae_runner import Run
from vae_runner.build import build_experiment
from vae_runner.conditions.attributes import Attributes
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError

QUICK = ["trainer=debug", "architecture.width=8", "latent_dim=2", "likelihood=gaussian", "data=arrays"]


@pytest.fixture
def path(tmp_path):
    """Vectors with attributes in units of their own, the last of which never changes; and a factor of three values."""
    random = np.random.default_rng(0)
    attributes = np.stack([random.normal(50, 7, 90), random.random(90) < 0.2, np.full(90, 3)], 1)
    factors = random.integers(0, 3, (90, 2))
    np.savez(tmp_path / "data.npz", x=random.normal(size=(90, 4)), attributes=attributes, y=factors)
    return tmp_path / "data.npz"


def built(path, *overrides):
    return build_experiment(config_of(*QUICK, f"data.path={path}", "condition=attributes", *overrides))


@pytest.mark.parametrize("own", [True, False])
def test_attributes_are_standardised_by_the_training_examples(path, own):
    experiment = built(path, *(["data.c=attributes"] if own else []))
    data = experiment.data
    context = experiment.model.context(data.batch(data.train, torch.arange(len(data.train))))
    assert context.shape == (len(data.train), 3 if own else 2)
    torch.testing.assert_close(context.mean(0), torch.zeros(context.shape[1]), atol=1e-4, rtol=0)
    expected = torch.tensor([1, 1, 0.0] if own else [1, 1.0])
    torch.testing.assert_close(context.std(0, correction=0), expected, atol=1e-4, rtol=0)


def test_the_condition_is_what_the_data_brings_along_rather_than_its_factors(path):
    data = built(path, "data.c=attributes").data
    stored = np.load(path)
    c = torch.cat([data.batch(split, torch.arange(len(split))).c for split in (data.train, data.validation, data.test)])
    np.testing.assert_allclose(np.sort(c[:, 0].numpy()), np.sort(stored["attributes"][:, 0]), rtol=1e-6)
    data = built(path).data
    batch = data.batch(data.train, torch.arange(10))
    assert torch.equal(batch.c, batch.y.float())


def test_a_reloaded_run_standardises_as_it_did(path, tmp_path):
    fit(tmp_path / "run", *QUICK, f"data.path={path}", "data.c=attributes", "condition=attributes")
    condition = Run.load(tmp_path / "run", device="cpu").model.condition
    # the last of these is constant, and nothing but its mean is taken away
    torch.testing.assert_close(condition(condition.parse("50, 0.2, 4"))[0, 2], torch.tensor(1.0))
    assert condition.mean[0] == pytest.approx(50, abs=3)
    assert condition.deviation[0] == pytest.approx(7, abs=2)


@pytest.mark.parametrize("text", ["", "1", "1,2,3,4", "a,b,c", "1,2,nan", "1;2;3"])
def test_what_is_not_as_many_numbers_is_refused(text):
    condition = Attributes(Space((4,), "real", context=(3,)))
    with pytest.raises(UserError, match=f"label={text}: must be 3 numbers with commas between them"):
        condition.parse(text)
    assert condition.parse("1, -2.5,3e2").tolist() == [[1, -2.5, 300]]


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Space((4,), "real", classes=3), r"this data has none: for arrays data\.c=NAME"),
        (Space((1, 8, 8), "unit", context=(1, 8, 8)), "brings pictures along: type condition=image"),
    ],
)
def test_data_without_attributes_is_refused(space, words):
    with pytest.raises(UserError, match=words):
        Attributes(space)


def test_factors_are_numbers_whatever_they_are_stored_as():
    condition = Attributes(Space((4,), "real", factors=2))
    batch = condition.complete(Batch(x=torch.zeros(2, 4), input=torch.zeros(2, 4), y=torch.tensor([[1, 2], [3, 4]])))
    assert condition(batch.c).dtype == torch.float32
