"""Features as files."""

import pytest
import torch

from tests.evaluation.features.conftest import draws
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.evaluation.features import InceptionFeatures, load, save, train_features


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
