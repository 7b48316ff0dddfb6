"""What features say of examples."""

import math

import pytest
import torch

from tests.evaluation.features.conftest import draws
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.evaluation.coverage import class_coverage, class_shares
from vae_runner.evaluation.features import train_features
from vae_runner.evaluation.frechet import frechet_distance


def test_features_and_probabilities_of_any_number_of_examples(digits, trained):
    train, _ = digits
    x = train.x[:1203]
    features, probabilities = trained.features(x), trained.probabilities(x)
    assert features.shape == (1203, trained.dimensions)
    assert probabilities.shape == (1203, 10)
    assert not features.requires_grad
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1203))
    torch.testing.assert_close(trained.features(x[1000:1003]), features[1000:1003], rtol=1e-4, atol=1e-5)


def test_bytes_are_the_same_images(digits, trained):
    x = (digits[1].x[:20] * 255).round().to(torch.uint8)
    torch.testing.assert_close(trained.features(x), trained.features(x.float() / 255))


def test_a_planted_mode_collapse_is_found(digits, trained):
    train, test = digits
    data = class_shares(trained.probabilities(test.x))
    whole = class_coverage(trained.probabilities(train.x), data)
    assert (whole.present, whole.classes) == (10, 10)
    collapsed = class_coverage(trained.probabilities(train.x[train.y < 3]), data)
    assert collapsed.present == 3
    assert collapsed.kl > math.log(10 / 3) - 0.15 > 10 * whole.kl


def test_distances_grow_with_what_is_done_to_the_data(digits, trained):
    train, test = digits
    x = test.x
    noisy = [x + level * draws(*x.shape) for level in (0.1, 0.3)]
    one_class = train.x[train.y == 4]
    data = trained.features(train.x)
    distances = [frechet_distance(trained.features(part), data) for part in (x, *noisy, one_class)]
    assert distances == sorted(distances)


@pytest.mark.parametrize("shape", [(3, 3, 3), (1, 28, 28), (3, 32, 32), (1, 5, 40), (1, 1, 1), (2, 2, 30), (3, 64, 48)])
@pytest.mark.parametrize("labelled", [True, False])
def test_images_of_any_size(shape, labelled):
    x = draws(24, *shape)
    y = torch.arange(24) % 3 if labelled else None
    found = train_features(x, y, Space(shape, "real"), steps=2)
    assert found.features(x[:5]).shape == (5, 64)
    assert 0 <= found.accuracy <= 1


def test_examples_of_another_shape_or_without_a_value_are_refused(trained):
    with pytest.raises(UserError, match=r"of the shape \(1, 9, 9\)"):
        trained.features(torch.zeros(2, 1, 9, 9))
    with pytest.raises(UserError, match="NaN"):
        trained.features(torch.full((2, 1, 8, 8), math.nan))


def test_constant_images_with_classes_are_no_reason_to_fail():
    found = train_features(torch.ones(30, 1, 8, 8), torch.arange(30) % 2, Space((1, 8, 8), "unit"), steps=3)
    assert found.features(torch.zeros(2, 1, 8, 8)).isfinite().all()


def test_features_of_a_network_have_unit_variance_on_average(digits, trained):
    train, _ = digits
    assert float(trained.features(train.x).var(0).mean()) == pytest.approx(1, rel=0.05)
