import pytest
import torch
import torch.nn.functional as F

from tests.objectives.playing import IMAGES, assert_equal_gradients, playing
from vae_runner.data.space import Space
from vae_runner.errors import UserError

VECTORS = Space((12,), "unit", classes=3)


def parts(game):
    """What each player is judged by, on the noise that `losses` draws: all from the paper's algorithm 1."""
    torch.manual_seed(1)
    evidence = game.model(game.batch)
    fantasy = game.model.decode(game.model.sample_latents(6), None).mean
    (f_x, real), (f_r, fake), (_, fantasy) = map(game.objective.discriminator, (evidence.x, evidence.px.mean, fantasy))
    features = -torch.distributions.Normal(f_r, 1.0).log_prob(f_x).sum(1).mean()
    return evidence, features, real.sigmoid(), torch.cat([fake, fantasy]).sigmoid()


def gradient(loss, parameters):
    return torch.autograd.grad(loss, parameters, allow_unused=True)


def test_three_players_share_all_parameters_among_them():
    game = playing("variant=vae_gan")
    phases = game.objective.phases(game.model)
    assert [*phases] == ["model", "decoder", "discriminator"]
    moved = [id(parameter) for phase in phases.values() for parameter in phase.parameters]
    everything = [*game.model.parameters(), *game.objective.parameters()]
    assert sorted(moved) == sorted(map(id, everything))


@pytest.mark.parametrize("space", [IMAGES, VECTORS], ids=["images", "vectors"])
def test_the_encoder_minimises_the_kl_and_the_error_of_features(space):
    game = playing("variant=vae_gan", "kl.weight=2", space=space)
    evidence, features, _, _ = parts(game)
    expected = gradient(2 * evidence.kl.mean() + features, game.model.inference_parameters)
    assert_equal_gradients(game.gradients("model"), expected)


@pytest.mark.parametrize("space", [IMAGES, VECTORS], ids=["images", "vectors"])
def test_the_decoder_also_makes_images_that_pass_for_real(space):
    game = playing("variant=vae_gan", "objective.feature_weight=0.3", space=space)
    _, features, _, fake = parts(game)
    fooled = F.binary_cross_entropy(fake, torch.ones(12).double())
    expected = gradient(0.3 * features + fooled, game.model.generative_parameters)
    assert_equal_gradients(game.gradients("decoder"), expected)


def test_the_discriminator_tells_examples_from_reconstructions_and_samples():
    game = playing("variant=vae_gan")
    _, _, real, fake = parts(game)
    loss = F.binary_cross_entropy(real, torch.ones(6).double()) + F.binary_cross_entropy(fake, torch.zeros(12).double())
    assert_equal_gradients(game.gradients("discriminator"), gradient(loss, list(game.objective.parameters())))


def test_a_condition_is_seen_by_the_discriminator():
    game = playing("variant=vae_gan", "condition=label")
    assert game.objective.discriminator.describe[0].in_channels == 1 + 3
    game.losses()


def test_what_does_not_count_is_not_judged():
    game = playing("variant=vae_gan")
    game.batch.mask = torch.zeros(6, 1, 8, 8)
    losses, _ = game.losses()
    assert losses["model"]["features"].item() == 0


def test_there_is_no_discriminator_of_sequences():
    with pytest.raises(UserError, match="no discriminator of sequences"):
        playing("variant=vae_gan", space=Space((5, 2), "unit"))
