import pytest
import torch

from vae_runner.architectures import MLP, Conv, ResNet
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.models.heads import head

SHAPES = [(1, 8, 8), (1, 28, 28), (1, 17, 23), (3, 32, 32), (3, 48, 64), (3, 64, 64)]


def there_and_back(architecture, shape, latent_dim=5, context=0):
    """Runs an example up to latents and down to its own shape, as a model would."""
    space = Space(shape, "unit")
    (up,) = architecture.bottom_up(space, 1, context)
    latent_shape = architecture.latent_shape(up.shape, latent_dim)
    down = architecture.top_down(latent_shape, shape, context)
    c = torch.randn(2, context) if context else None
    features = up(torch.rand(2, *shape), c)
    z = head(up.shape, latent_shape)(features)
    x = head(down.shape, shape)(down(z, c))
    return up, features, z, x


@pytest.mark.parametrize("shape", [(64,), *SHAPES])
def test_an_mlp_takes_any_shape(shape):
    up, features, z, x = there_and_back(MLP(width=7, depth=2), shape)
    assert features.shape == (2, *up.shape) == (2, 7)
    assert z.shape == (2, 5)
    assert x.shape == (2, *shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [Conv, ResNet])
@pytest.mark.parametrize("spatial", [False, True])
def test_images_of_any_size_come_back_at_their_size(kind, shape, spatial):
    up, features, z, x = there_and_back(kind(width=4, spatial=spatial), shape)
    assert features.shape == (2, *up.shape)
    assert z.shape == ((2, 5, *up.shape[1:]) if spatial else (2, 5))
    assert x.shape == (2, *shape)


@pytest.mark.parametrize("architecture", [MLP(width=6), Conv(width=4), ResNet(width=4), Conv(width=4, spatial=True)])
def test_a_context_changes_the_features_and_the_output(architecture):
    space = Space((1, 8, 8), "unit")
    (up,) = architecture.bottom_up(space, 1, 3)
    x = torch.rand(2, 1, 8, 8)
    one, other = (up(x, torch.full((2, 3), value)) for value in (0.0, 5.0))
    assert not torch.equal(one, other)
    latent_shape = architecture.latent_shape(up.shape, 2)
    down = architecture.top_down(latent_shape, space.shape, 3)
    z = torch.randn(2, *latent_shape)
    one, other = (down(z, torch.full((2, 3), value)) for value in (0.0, 5.0))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kind", [Conv, ResNet])
def test_vectors_are_refused_by_what_needs_images(kind):
    with pytest.raises(UserError, match=r"needs images.*use architecture=mlp"):
        kind().bottom_up(Space((64,), "unit"), 1, 0)


@pytest.mark.parametrize("kind", [Conv, ResNet])
def test_a_depth_that_the_image_has_no_pixels_for_is_refused(kind):
    with pytest.raises(UserError, match=r"architecture\.depth=5: images of 8x8 pixels can be halved 3 times"):
        kind(depth=5).bottom_up(Space((1, 8, 8), "unit"), 1, 0)


def test_depth_is_the_number_of_halvings():
    (up,) = Conv(width=4, depth=3).bottom_up(Space((1, 32, 32), "unit"), 1, 0)
    assert up.shape == (16, 4, 4)


def test_without_a_depth_the_shorter_side_stays_at_four_pixels_or_more():
    (up,) = Conv(width=4).bottom_up(Space((3, 48, 64), "unit"), 1, 0)
    assert up.shape[1:] == (6, 8)


def test_an_mlp_of_depth_zero_is_linear():
    (up,) = MLP(depth=0).bottom_up(Space((1, 4, 4), "unit"), 1, 0)
    assert up.shape == (16,)
    assert not list(up.parameters())


@pytest.mark.parametrize("kind", [MLP, Conv, ResNet])
@pytest.mark.parametrize("normalisation", ["batch", "layer"])
def test_normalisation_adds_parameters_and_normalises(kind, normalisation):
    plain, normal = kind(width=8), kind(width=8, normalisation=normalisation)
    space = Space((1, 8, 8), "unit")
    count = [sum(p.numel() for p in a.bottom_up(space, 1, 0).parameters()) for a in (plain, normal)]
    assert count[1] > count[0]
    up = normal.bottom_up(space, 1, 0)[0]
    scale = [up(torch.rand(16, 1, 8, 8) * factor).std() for factor in (1.0, 1000.0)]
    # unnormalised, a thousand times larger inputs would give features larger by hundreds
    assert scale[1] < 10 * scale[0]


@pytest.mark.parametrize("kind", [MLP, Conv, ResNet])
def test_dropout_acts_in_training_alone(kind):
    up = kind(width=32, dropout=0.5).bottom_up(Space((1, 8, 8), "unit"), 1, 0)[0]
    x = torch.rand(1, 1, 8, 8)
    assert not torch.equal(up.train()(x), up(x))
    assert torch.equal(up.eval()(x), up(x))


def test_a_residual_block_starts_as_the_identity():
    from vae_runner.architectures.resnet import ResidualBlock

    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(ResidualBlock(3, "silu", "none")(x), x)
