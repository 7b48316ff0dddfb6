import pytest
import torch

from tests.helpers import config_of
from tests.objectives.playing import playing
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.objectives.regularised import squared_jacobian

SMOOTH = ["variant=rae_gp", "architecture.activation=tanh"]


def test_the_penalty_is_the_squared_jacobian_of_the_decoder():
    """By central differences, against the mean over many random products at one code."""
    game = playing(*SMOOTH)
    game.batch.x = game.batch.input = game.batch.x[:1].repeat(3000, 1, 1, 1)
    evidence = game.model(game.batch)
    z, step = evidence.top.code[:1].detach(), 1e-5
    expected = 0.0
    for offset in step * torch.eye(3).double():
        column = (game.model.decode([z + offset]).mean - game.model.decode([z - offset]).mean) / (2 * step)
        expected += column.square().sum().item()
    assert squared_jacobian(game.model, evidence).item() == pytest.approx(expected, rel=0.05)


def test_the_gradient_of_the_penalty_is_that_of_finite_differences():
    game = playing(*SMOOTH, "objective.gradient_penalty=3")
    step = 1e-6
    for parameter in (game.model.posterior_heads[0].weight, game.model.likelihood_head[-2].weight):
        losses, _ = game.losses()
        (gradient,) = torch.autograd.grad(losses["model"]["gradient_penalty"], parameter)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter[1, 2] += sign * step
            values.append(game.losses()[0]["model"]["gradient_penalty"].item())
            with torch.no_grad():
                parameter[1, 2] -= sign * step
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(gradient[1, 2]), rel=1e-4, abs=1e-9)


def test_the_penalty_has_a_value_where_gradients_are_off():
    game = playing(*SMOOTH)
    losses, _ = game.losses()
    with torch.no_grad():
        evaluated, _ = game.losses()
    assert evaluated["model"]["gradient_penalty"].item() == pytest.approx(losses["model"]["gradient_penalty"].item())


def test_weight_decay_pulls_at_the_weights_of_the_decoder_and_at_nothing_else():
    game = playing("variant=rae_l2", "objective.weight_decay=0.5")
    losses, _ = game.losses()
    named = dict(game.model.named_parameters())
    gradients = torch.autograd.grad(losses["model"]["weight_decay"], list(named.values()), allow_unused=True)
    pulled = {name for name, gradient in zip(named, gradients, strict=True) if gradient is not None}
    assert pulled == {
        name for name in named if name.startswith(("decoder", "likelihood_head")) and name.endswith("weight")
    }
    for (_, weight), gradient in zip(named.items(), gradients, strict=True):
        if gradient is not None:
            torch.testing.assert_close(gradient, weight)


def test_the_code_norm_pulls_each_code_to_zero():
    game = playing("variant=rae_l2", "objective.code_norm=0.7")
    losses, evidence = game.losses()
    (gradient,) = torch.autograd.grad(losses["model"]["code_norm"], evidence.top.q.mean)
    torch.testing.assert_close(gradient, 0.7 * evidence.top.code / 6)


def test_the_two_recipes_differ_in_their_regulariser():
    assert playing("variant=rae_l2").losses()[0]["model"].keys() == {"reconstruction", "code_norm", "weight_decay"}
    assert playing("variant=rae_gp").losses()[0]["model"].keys() == {"reconstruction", "code_norm", "gradient_penalty"}


def test_an_encoder_with_noise_is_refused():
    with pytest.raises(UserError, match="posterior=delta"):
        config_of("objective=rae_l2")


def test_tokens_have_no_gradient_to_penalise():
    game = playing("variant=rae_gp")
    game.model.space = Space((9,), "categorical", categories=5)
    with pytest.raises(UserError, match="tokens have no gradient"):
        type(game.objective)(game.model, 100, gradient_penalty=0.1)
