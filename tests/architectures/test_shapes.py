import pytest
import torch

from vae_runner.architectures import MLP, Conv, ResNet
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.models.heads import head

SHAPES = [(1, 8, 8), (1, 28, 28), (1, 17, 23), (3, 32, 32), (3, 48, 64), (3, 64, 64)]


def there_and_back(architecture, shape, latent_dim=5, context=()):
    """Runs an example up to latents and down to its own shape, as a model would."""
    space = Space(shape, "unit")
    (up,) = architecture.bottom_up(space, 1, context)
    latent_shape = architecture.latent_shape(up.shape, latent_dim, top=True)
    down = architecture.decoder(latent_shape, up.shape, space, context)
    c = torch.randn(2, *context) if context else None
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
    (up,) = architecture.bottom_up(space, 1, (3,))
    x = torch.rand(2, 1, 8, 8)
    one, other = (up(x, torch.full((2, 3), value)) for value in (0.0, 5.0))
    assert not torch.equal(one, other)
    latent_shape = architecture.latent_shape(up.shape, 2, top=True)
    down = architecture.decoder(latent_shape, up.shape, space, (3,))
    z = torch.randn(2, *latent_shape)
    one, other = (down(z, torch.full((2, 3), value)) for value in (0.0, 5.0))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("architecture", [MLP(width=6), Conv(width=4), ResNet(width=4), Conv(width=4, spatial=True)])
def test_a_picture_as_context_is_seen_wherever_it_differs(architecture):
    space = Space((1, 12, 8), "unit")
    (up,) = architecture.bottom_up(space, 1, (2, 12, 8))
    latent_shape = architecture.latent_shape(up.shape, 2, top=True)
    down = architecture.decoder(latent_shape, up.shape, space, (2, 12, 8))
    x, z, context = torch.rand(1, 1, 12, 8), torch.randn(1, *latent_shape), torch.rand(1, 2, 12, 8)
    context.requires_grad_()
    seen = torch.autograd.grad(up(x, context).sum() + down(z, context).sum(), context)[0]
    assert (seen != 0).float().mean() > 0.9


@pytest.mark.parametrize("kind", [MLP, Conv, ResNet])
@pytest.mark.parametrize("levels", [2, 3, 5])
def test_a_ladder_goes_up_and_down_through_the_same_shapes(kind, levels):
    space, architecture = Space((1, 17, 23), "unit"), kind(width=4)
    stages = architecture.bottom_up(space, levels, ())
    h, shapes = torch.rand(2, 1, 17, 23), []
    for stage in stages:
        h = stage(h)
        assert h.shape[1:] == stage.shape
        shapes.append(tuple(stage.shape))
    latents = [architecture.latent_shape(shape, 3, top=i == levels - 1) for i, shape in enumerate(shapes)]
    for level in reversed(range(1, levels)):
        down = architecture.top_down(latents[level], shapes[level], shapes[level - 1], ())
        assert down(torch.randn(2, *latents[level])).shape[2:] == shapes[level - 1][1:]
    down = architecture.decoder(latents[0], shapes[0], space, ())
    assert head(down.shape, space.shape)(down(torch.randn(2, *latents[0]))).shape == (2, 1, 17, 23)


@pytest.mark.parametrize("kind", [MLP, Conv, ResNet])
def test_text_is_refused_by_what_computes_with_numbers(kind):
    with pytest.raises(UserError, match="architecture=recurrent"):
        kind().bottom_up(Space((9,), "categorical", categories=30), 1, ())


@pytest.mark.parametrize("kind", [Conv, ResNet])
def test_vectors_are_refused_by_what_needs_images(kind):
    with pytest.raises(UserError, match=r"needs images.*use architecture=mlp"):
        kind().bottom_up(Space((64,), "unit"), 1, ())


@pytest.mark.parametrize("kind", [Conv, ResNet])
def test_a_depth_that_the_image_has_no_pixels_for_is_refused(kind):
    with pytest.raises(UserError, match=r"architecture\.depth=5: images of 8x8 pixels can be halved 3 times"):
        kind(depth=5).bottom_up(Space((1, 8, 8), "unit"), 1, ())


def test_depth_is_the_number_of_halvings():
    (up,) = Conv(width=4, depth=3).bottom_up(Space((1, 32, 32), "unit"), 1, ())
    assert up.shape == (16, 4, 4)


def test_without_a_depth_the_shorter_side_stays_at_four_pixels_or_more():
    (up,) = Conv(width=4).bottom_up(Space((3, 48, 64), "unit"), 1, ())
    assert up.shape[1:] == (6, 8)


def test_an_mlp_of_depth_zero_is_linear():
    (up,) = MLP(depth=0).bottom_up(Space((1, 4, 4), "unit"), 1, ())
    assert up.shape == (16,)
    assert not list(up.parameters())


@pytest.mark.parametrize("kind", [MLP, Conv, ResNet])
@pytest.mark.parametrize("normalisation", ["batch", "layer"])
def test_normalisation_adds_parameters_and_normalises(kind, normalisation):
    plain, normal = kind(width=8), kind(width=8, normalisation=normalisation)
    space = Space((1, 8, 8), "unit")
    count = [sum(p.numel() for p in a.bottom_up(space, 1, ()).parameters()) for a in (plain, normal)]
    assert count[1] > count[0]
    up = normal.bottom_up(space, 1, ())[0]
    scale = [up(torch.rand(16, 1, 8, 8) * factor).std() for factor in (1.0, 1000.0)]
    # unnormalised, a thousand times larger inputs would give features larger by hundreds
    assert scale[1] < 10 * scale[0]


@pytest.mark.parametrize("kind", [MLP, Conv, ResNet])
def test_dropout_acts_in_training_alone(kind):
    up = kind(width=32, dropout=0.5).bottom_up(Space((1, 8, 8), "unit"), 1, ())[0]
    x = torch.rand(1, 1, 8, 8)
    assert not torch.equal(up.train()(x), up(x))
    assert torch.equal(up.eval()(x), up(x))


def test_a_residual_block_starts_as_the_identity():
    from vae_runner.architectures.resnet import ResidualBlock

    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(ResidualBlock(3, "silu", "none")(x), x)
