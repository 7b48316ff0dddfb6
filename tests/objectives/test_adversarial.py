import pytest
import torch
import torch.nn.functional as F

from tests.objectives.playing import assert_equal_gradients, playing
from vae_runner.objectives.aggregate import codes_and_draws

VARIANTS = [["variant=aae"], ["variant=aae", "posterior=delta"], ["variant=aae", "condition=label"]]


def parts(game):
    """The codes and the draws of the prior, on the noise that `losses` draws."""
    torch.manual_seed(1)
    evidence = game.model(game.batch, 1)
    return evidence, *codes_and_draws(game.model, evidence)


def verdicts(game, codes):
    return game.objective.discriminator(codes).sigmoid()


def test_the_model_and_the_discriminator_move_apart_from_each_other():
    game = playing("variant=aae")
    phases = game.objective.phases(game.model)
    assert [*phases] == ["model", "discriminator"]
    assert {id(p) for p in phases["model"].parameters} == {id(p) for p in game.model.parameters()}
    assert {id(p) for p in phases["discriminator"].parameters} == {id(p) for p in game.objective.parameters()}


@pytest.mark.parametrize("overrides", VARIANTS, ids=" ".join)
def test_the_model_is_told_to_pass_its_codes_for_draws_from_the_prior(overrides):
    game = playing(*overrides, "objective.weight=5")
    evidence, codes, _ = parts(game)
    fooled = F.binary_cross_entropy(verdicts(game, codes), torch.ones(6).double())
    expected = torch.autograd.grad(
        5 * fooled - evidence.log_px.mean(), list(game.model.parameters()), allow_unused=True
    )
    assert_equal_gradients(game.gradients("model"), expected)


@pytest.mark.parametrize("overrides", VARIANTS, ids=" ".join)
def test_the_discriminator_is_told_codes_from_draws(overrides):
    game = playing(*overrides, "objective.gradient_penalty=0")
    _, codes, draws = parts(game)
    loss = F.binary_cross_entropy(verdicts(game, codes.detach()), torch.zeros(6).double())
    loss = loss + F.binary_cross_entropy(verdicts(game, draws.detach()), torch.ones(6).double())
    expected = torch.autograd.grad(loss, list(game.objective.parameters()))
    assert_equal_gradients(game.gradients("discriminator"), expected)


def test_a_learned_prior_moves_to_meet_the_codes():
    game = playing("variant=aae", "condition=label", "prior=conditional", "objective.weight=10", dtype=torch.float32)
    _, codes, draws = parts(game)
    fooled = F.binary_cross_entropy(verdicts(game, codes), torch.ones(6))
    fooled = fooled + F.binary_cross_entropy(verdicts(game, draws), torch.zeros(6))
    learned = {id(p) for p in game.model.prior.parameters()}
    index = [i for i, p in enumerate(game.model.parameters()) if id(p) in learned]
    expected = torch.autograd.grad(10 * fooled, list(game.model.prior.parameters()), allow_unused=True)
    given = game.gradients("model")
    assert_equal_gradients([given[i] for i in index], expected)
    assert any(gradient is not None and gradient.any() for gradient in expected)


def test_the_discriminator_has_its_own_learning_rate():
    game = playing("variant=aae", "objective.discriminator_learning_rate=3e-5")
    assert game.objective.phases(game.model)["discriminator"].optimizer == {"lr": 3e-5}


def test_the_accuracy_of_the_discriminator_is_on_show():
    game = playing("variant=aae")
    with torch.no_grad():
        for parameter in game.objective.parameters():
            parameter.zero_()
        game.objective.discriminator.layers[-1].bias.fill_(1)  # it takes everything for a draw from the prior
    _, evidence = game.losses()
    assert float(evidence.figures["discriminator_accuracy"]) == 0.5


def test_a_ladder_is_judged_by_all_its_levels():
    game = playing("objective=adversarial", "model=ladder", "latent_dim=4")
    _, codes, draws = parts(game)
    assert codes.shape == draws.shape == (6, sum(shape[0] for shape in game.model.latent_shapes))
    game.losses()


def test_the_condition_is_seen_by_the_discriminator():
    game = playing("variant=aae", "condition=label")
    _, codes, _ = parts(game)
    other = torch.cat([codes[:, :3], codes[:, 3:].roll(1, 0)], 1)
    assert not torch.allclose(game.objective.discriminator(codes), game.objective.discriminator(other))


def test_it_is_evaluated_without_gradients():
    game = playing("variant=aae")
    with torch.no_grad():
        losses, _ = game.losses()
    assert not losses["model"]["adversarial"].requires_grad
