"""Inception features of a file of weights."""

import pytest
import torch
from torchvision.models import inception_v3

from vae_runner.errors import UserError
from vae_runner.evaluation.features import InceptionFeatures, save


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
