"""Values that are missing from the data."""

import csv
import math

import numpy as np
import pytest
import torch

from tests.helpers import config_of, fit
from vae_runner.build import build_experiment
from vae_runner.corruptions.missing import Missing
from vae_runner.data.arrays import Arrays
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError

QUICK = ["trainer=debug", "architecture.width=8", "latent_dim=2", "likelihood=gaussian", "data=arrays"]


@pytest.fixture
def holey(tmp_path):
    """A file of vectors, a fifth of their values missing; and the vectors, whole."""
    random = np.random.default_rng(0)
    whole = random.normal(size=(120, 5)).astype(np.float32)
    x = np.where(random.random(whole.shape) < 0.2, np.nan, whole)
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "x.npy", x, whole


def batch_with(x: np.ndarray, content: float) -> Batch:
    """A batch in which a missing value is stored with some content or other."""
    batch = Missing(Space((5,), "real"))(Batch(x=torch.from_numpy(x), input=torch.from_numpy(x)))
    batch.x = torch.where(batch.mask > 0, batch.x, content)
    return batch


def test_a_missing_value_is_zero_to_the_encoder_and_masked(holey):
    _, x, _ = holey
    batch = Missing(Space((5,), "real"))(Batch(x=torch.from_numpy(x), input=torch.from_numpy(x)))
    known = ~np.isnan(x)
    assert np.array_equal(batch.mask.numpy(), known)
    assert np.array_equal(batch.input.numpy(), np.where(known, x, 0))
    assert np.array_equal(batch.x.numpy(), np.where(known, x, 0))


def test_what_stands_at_a_missing_value_changes_neither_the_loss_nor_its_gradient(holey):
    path, x, _ = holey
    experiment = build_experiment(config_of(*QUICK, f"data.path={path}", "corruption=missing"))
    model, outcomes = experiment.model, []
    for content in (0.0, 1e3):
        torch.manual_seed(0)
        losses, _ = experiment.objective.losses(model, batch_with(x, content), experiment.kl)
        loss = sum(losses["model"].values())
        gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        outcomes.append([loss, *[gradient for gradient in gradients if gradient is not None]])
    assert all(torch.equal(first, second) for first, second in zip(*outcomes, strict=True))
    assert any(bool(gradient.abs().sum() > 0) for gradient in outcomes[0][1:])


def test_what_is_hidden_besides_still_counts(holey):
    _, x, _ = holey
    batch = Missing(Space((5,), "real"), level=0.5)(Batch(x=torch.from_numpy(x), input=torch.from_numpy(x)))
    known = ~np.isnan(x)
    hidden = (batch.input.numpy() == 0) & known
    assert np.array_equal(batch.mask.numpy(), known)
    assert hidden.sum() / known.sum() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(batch.x.numpy()[known], x[known])


def test_the_mask_of_a_ragged_sequence_is_kept():
    x = torch.ones(2, 4, 3)
    x[0, 1, 2] = math.nan
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1.0]])[..., None]
    counts = Missing(Space((4, 3), "real", ragged=True))(Batch(x=x, input=x, mask=mask)).mask
    expected = mask.expand(2, 4, 3).clone()
    expected[0, 1, 2] = 0
    assert torch.equal(counts.expand(2, 4, 3), expected)


@pytest.mark.parametrize("scale", ["none", "unit", "standardize"])
def test_a_model_trains_on_data_with_holes(holey, tmp_path, scale):
    path, *_ = holey
    summary = fit(tmp_path, *QUICK, f"data.path={path}", f"data.scale={scale}", "corruption=missing")
    assert math.isfinite(summary["test"]["elbo"])


def test_holes_are_refused_without_it(holey):
    path, *_ = holey
    with pytest.raises(UserError, match="where NaN stands for what is not known, type corruption=missing"):
        build_experiment(config_of(*QUICK, f"data.path={path}"))


def test_infinite_values_are_never_missing_ones(holey):
    path, x, _ = holey
    x[3, 1] = np.inf
    np.save(path, x)
    with pytest.raises(UserError, match=": infinite values in training example 3,"):
        Arrays(path=str(path)).open(missing=True)


def test_scaling_goes_by_the_values_that_are_there(holey):
    path, x, _ = holey
    splits = {"validation": 0, "test": 0}
    unit = Arrays(path=str(path), scale="unit", **splits).open(missing=True)
    assert unit.space.support == "unit"
    scaled = unit.train.take(torch.arange(120))[0].numpy()
    assert np.array_equal(np.isnan(scaled), np.isnan(x))
    assert np.nanmin(scaled, 0).tolist() == [0] * 5
    assert np.nanmax(scaled, 0).tolist() == [1] * 5
    standard = Arrays(path=str(path), scale="standardize", **splits).open(missing=True)
    scaled = standard.train.take(torch.arange(120))[0].numpy()
    np.testing.assert_allclose(np.nanmean(scaled, 0), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(scaled, 0), 1, atol=1e-5)


def test_a_column_without_a_value_cannot_be_scaled(holey):
    path, x, _ = holey
    x[:, 2] = np.nan
    np.save(path, x)
    for scale in ("unit", "standardize"):
        with pytest.raises(UserError, match=f"data.scale={scale}: a column of .* holds no value"):
            Arrays(path=str(path), scale=scale).open(missing=True)


def test_an_empty_cell_of_a_csv_is_a_missing_value(tmp_path):
    with (tmp_path / "x.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], [1, ""], [2, 3], ["", 5]])
    data = Arrays(path=str(tmp_path / "x.csv"), validation=0, test=0).open(missing=True)
    x = data.train.take(torch.arange(3))[0].numpy()
    np.testing.assert_array_equal(x, [[1, np.nan], [2, 3], [np.nan, 5]])


def test_black_and_white_data_with_holes_is_still_that(tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (50, 6)).astype(np.float32)
    x[::7, 2] = np.nan
    np.save(tmp_path / "x.npy", x)
    assert Arrays(path=str(tmp_path / "x.npy")).open(missing=True).space.support == "binary"


def test_holes_cannot_be_made_black_or_white(holey):
    path, *_ = holey
    with pytest.raises(UserError, match="with corruption=missing: what is missing would become black"):
        Arrays(path=str(path), scale="unit", binarize="threshold").open(missing=True)
