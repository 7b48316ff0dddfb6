import math

import pytest
import torch
from torchvision.models import inception_v3

from vae_runner.data.digits import Digits
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.evaluation.coverage import class_coverage, class_shares
from vae_runner.evaluation.features import InceptionFeatures, load, save, shifted, train_features, turned
from vae_runner.evaluation.frechet import frechet_distance

DIGITS = Space((1, 8, 8), "unit", classes=10)


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def digits():
    stored = Digits().load()
    return stored.train, stored.test


@pytest.fixture(scope="module")
def trained(digits):
    train, _ = digits
    return train_features(train.x, train.y, DIGITS, steps=200)


def same(a, b):
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def test_digits_are_told_and_the_accuracy_is_of_unseen_ones(digits, trained):
    _, test = digits
    right = (trained.probabilities(test.x).argmax(1) == test.y).double().mean()
    assert right > 0.95
    assert trained.accuracy == pytest.approx(float(right), abs=0.04)
    assert "convolutional network trained to tell 10 classes" in trained.name


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


def test_the_same_seed_makes_the_same_network_and_the_global_state_stays(digits):
    train, _ = digits
    state = torch.random.get_rng_state()
    one, two, other = (train_features(train.x, train.y, DIGITS, steps=3, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same(one, two)
    assert not same(one, other)
    with torch.no_grad():
        assert same(one, train_features(train.x, train.y, DIGITS, steps=3))


def test_images_without_classes_are_told_by_their_turns(digits):
    train, test = digits
    found = train_features(train.x, None, DIGITS, steps=150)
    assert found.probabilities(test.x) is None
    assert found.accuracy > 0.5  # of chance 0.25; many an 0 and 8 is as good upside down
    assert "4 turns" in found.name
    assert found.features(test.x).shape == (297, 64)


def test_turns_are_quarter_turns_and_of_long_images_half_turns():
    x = torch.arange(4.0).view(1, 1, 2, 2)
    images, turns = turned(x, 4)
    assert turns.tolist() == [0, 1, 2, 3]
    assert images.flatten(1).tolist() == [[0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0], [2, 0, 3, 1]]
    long, turns = turned(torch.arange(3.0).view(1, 1, 1, 3), 2)
    assert turns.tolist() == [0, 1]
    assert long.flatten(1).tolist() == [[0, 1, 2], [2, 1, 0]]


def test_where_the_centre_lies_does_not_tell_the_turn():
    # a dot off the centre by half a pixel both ways would, at each turn elsewhere
    x = torch.zeros(200, 1, 16, 16)
    x[:, :, 7, 7] = 1
    x = x + 0.05 * draws(200, 1, 16, 16)
    # shifts by 2 each way leave 36 places of the 25 that each of 4 turns has: none tells more than 0.36
    assert train_features(x, None, Space((1, 16, 16), "real"), steps=60).accuracy < 0.5


def test_shifts_reach_an_eighth_of_a_side_and_repeat_the_border():
    x = (10 * torch.arange(8.0)[:, None] + torch.arange(16)).expand(400, 2, 8, 16)
    found = shifted(x, torch.Generator().manual_seed(0))
    assert torch.equal(found[:, 0], found[:, 1])
    # one step of rows is 10 and of columns 1
    middles = (found[:, 0, 4, 8] - 48).tolist()
    assert set(middles) == {10 * i + j for i in (-1, 0, 1) for j in (-2, -1, 0, 1, 2)}
    moved = found[middles.index(12), 0]
    assert moved[0].tolist() == [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 25, 25]
    assert moved[:, 0].tolist() == [12, 22, 32, 42, 52, 62, 72, 72]


def test_features_of_a_network_have_unit_variance_on_average(digits, trained):
    train, _ = digits
    assert float(trained.features(train.x).var(0).mean()) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("shape", [(3, 3, 3), (1, 28, 28), (3, 32, 32), (1, 5, 40), (1, 1, 1), (2, 2, 30), (3, 64, 48)])
@pytest.mark.parametrize("labelled", [True, False])
def test_images_of_any_size(shape, labelled):
    x = draws(24, *shape)
    y = torch.arange(24) % 3 if labelled else None
    found = train_features(x, y, Space(shape, "real"), steps=2)
    assert found.features(x[:5]).shape == (5, 64)
    assert 0 <= found.accuracy <= 1


def test_vectors_with_classes_get_a_network():
    y = torch.arange(400) % 3
    x = 3 * torch.nn.functional.one_hot(y, 3).float() + draws(400, 3)
    found = train_features(1000 * x + 5e4, y, Space((3,), "real"), steps=100)
    assert found.accuracy > 0.85
    assert found.probabilities(1000 * x + 5e4).shape == (400, 3)
    assert "fully connected" in found.name


def test_hidden_classes_are_left_out():
    y = torch.arange(60) % 3
    x = draws(60, 4)
    hidden = torch.cat([y, torch.full((40,), -1)])
    space = Space((4,), "real", classes=3)
    assert same(
        train_features(torch.cat([x, draws(40, 4)]), hidden, space, steps=3), train_features(x, y, space, steps=3)
    )
    assert train_features(x, torch.full((60,), -1), space).probabilities(x) is None


@pytest.mark.parametrize("n", [30, 4000])
def test_vectors_without_classes_get_white_components(n):
    x = draws(n, 5) @ draws(5, 5, seed=1) + 100
    found = train_features(x, None, Space((5,), "real"))
    values = found.features(x).double()
    assert found.accuracy is None
    assert found.probabilities(x) is None
    assert found.name == "5 whitened principal components of this data"
    # whole up to how much of the data was looked at
    torch.testing.assert_close(values.mean(0), torch.zeros(5).double(), rtol=0, atol=1e-3 if n == 30 else 0.1)
    torch.testing.assert_close(values.T.cov(), torch.eye(5).double(), rtol=0, atol=1e-2 if n == 30 else 0.15)


def test_components_are_as_many_as_the_data_has_and_64_at_most():
    flat = torch.cat([draws(100, 2), torch.full((100, 3), 7.0)], 1)
    assert train_features(flat, None, Space((5,), "real")).dimensions == 2
    assert train_features(draws(300, 10, 20), None, Space((10, 20), "real")).features(draws(4, 10, 20)).shape == (4, 64)


def test_components_are_white_where_dimensions_outnumber_examples():
    x = draws(50, 3) @ draws(3, 200, seed=1) + 5
    found = train_features(x, None, Space((200,), "real"))
    assert found.dimensions == 3
    torch.testing.assert_close(found.features(x).T.cov(), torch.eye(3), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["images", "turns", "vectors", "components"])
def test_what_is_saved_is_what_is_loaded(kind, tmp_path):
    shape = (1, 6, 6) if kind in ("images", "turns") else (7,)
    x = draws(40, *shape)
    y = torch.arange(40) % 4 if kind in ("images", "vectors") else None
    found = train_features(x, y, Space(shape, "real"), steps=4)
    save(found, tmp_path / "made" / "features.pt")
    state = torch.random.get_rng_state()
    again = load(tmp_path / "made" / "features.pt")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (again.name, again.accuracy, again.dimensions) == (found.name, found.accuracy, found.dimensions)
    assert torch.equal(again.features(x), found.features(x))
    if y is None:
        assert again.probabilities(x) is None
    else:
        assert torch.equal(again.probabilities(x), found.probabilities(x))


@pytest.mark.parametrize("content", [b"", b"PK no archive", None])
def test_a_file_of_something_else_is_refused(content, tmp_path):
    path = tmp_path / "features.pt"
    if content is None:
        torch.save({"weight": torch.zeros(3)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"features\.pt: not"):
        load(path)
    with pytest.raises(UserError, match=r"features\.pt: not"):
        InceptionFeatures(path)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.pt: cannot be read"):
        load(tmp_path / "nowhere.pt")
    with pytest.raises(UserError, match=r"nowhere\.pt: cannot be read"):
        InceptionFeatures(tmp_path / "nowhere.pt")


X = draws(20, 3)


@pytest.mark.parametrize(
    ("x", "y", "space", "message"),
    [
        (torch.zeros(20, 5, dtype=torch.int64), None, Space((5,), "categorical"), "text has none"),
        (X, None, Space((4,), "real"), "not of the shape"),
        (X * math.nan, None, Space((3,), "real"), "NaN"),
        (X[:5], None, Space((3,), "real"), "5 examples to learn from"),
        (torch.ones(20, 3), None, Space((3,), "real"), "all training examples are the same"),
        (X, torch.zeros(20, 2), Space((3,), "real"), "classes are integers"),
        (X, torch.zeros(20, dtype=torch.int64), Space((3,), "real"), "two classes at least"),
        (X, torch.full((20,), 7), Space((3,), "real", classes=3), "a class is 7, and the data has 3"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused(x, y, space, message):
    with pytest.raises(UserError, match=message):
        train_features(x, y, space, steps=2)


def test_examples_of_another_shape_or_without_a_value_are_refused(trained):
    with pytest.raises(UserError, match=r"of the shape \(1, 9, 9\)"):
        trained.features(torch.zeros(2, 1, 9, 9))
    with pytest.raises(UserError, match="NaN"):
        trained.features(torch.full((2, 1, 8, 8), math.nan))


def test_constant_images_with_classes_are_no_reason_to_fail():
    found = train_features(torch.ones(30, 1, 8, 8), torch.arange(30) % 2, Space((1, 8, 8), "unit"), steps=3)
    assert found.features(torch.zeros(2, 1, 8, 8)).isfinite().all()


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """A file of random weights for 7 classes, and the network that they are of."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = inception_v3(weights=None, init_weights=False, num_classes=7, transform_input=False).eval()
    path = tmp_path_factory.mktemp("inception") / "random.pt"
    torch.save({name: value.half() for name, value in network.state_dict().items()}, path)
    network.load_state_dict(torch.load(path))
    return path, network


def test_inception_features_are_those_of_the_file(inception):
    path, network = inception
    state = torch.random.get_rng_state()
    found = InceptionFeatures(path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert "Inception v3 (torchvision) with the weights random.pt" in found.name
    grey = torch.rand(2, 1, 5, 9, generator=torch.Generator().manual_seed(0))
    pooled = []
    network.avgpool.register_forward_hook(lambda _, __, output: pooled.append(output.flatten(1)))
    large = torch.nn.functional.interpolate(grey, (299, 299), mode="bilinear", align_corners=False)
    with torch.no_grad():
        expected = network((large.repeat(1, 3, 1, 1) - 0.5) / 0.5).softmax(1)
    features = found.features(grey)
    assert features.shape == (2, found.dimensions) == (2, 2048)
    # features of random weights are small: compared by their own size
    assert float((features - pooled[0]).norm() / pooled[0].norm()) < 1e-4
    assert float((features[0] - features[1]).norm() / features.norm()) > 1e-3
    torch.testing.assert_close(found.probabilities(grey), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="one or three channels"):
        found.features(torch.zeros(1, 2, 8, 8))
    with pytest.raises(UserError, match="kept as that file"):
        save(found, path)


def test_weights_of_another_network_are_refused(inception, tmp_path):
    weights = torch.load(inception[0])
    torch.save({"fc.weight": weights["fc.weight"]}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt: not the weights of torchvision's inception_v3"):
        InceptionFeatures(tmp_path / "other.pt")
