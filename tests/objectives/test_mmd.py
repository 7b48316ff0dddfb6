import math

import numpy as np
import pytest
import torch

from tests.helpers import config_of
from tests.objectives.playing import playing
from vae_runner.errors import UserError
from vae_runner.objectives.aggregate import codes_and_draws
from vae_runner.objectives.mmd import squared_mmd

SCALES = torch.tensor([0.2, 1.0, 5.0], dtype=torch.double)


def slow_mmd(x, y, kernel, scales):
    """Pair by pair, from the definition of the U-statistic."""
    x, y = x.numpy(), y.numpy()
    n = len(x)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    unit = np.mean([np.sum((y[i] - y[j]) ** 2) for i, j in pairs])

    def k(a, b):
        distance = np.linalg.norm(a - b) ** 2
        return sum(
            s * unit / (s * unit + distance) if kernel == "imq" else np.exp(-distance / (s * unit)) for s in scales
        )

    within = np.mean([k(x[i], x[j]) + k(y[i], y[j]) for i, j in pairs])
    return within - 2 * np.mean([[k(a, b) for a in x] for b in y])


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_it_equals_the_estimate_pair_by_pair(kernel):
    torch.manual_seed(0)
    x, y = torch.randn(12, 3).double() * 2 + 1, torch.randn(12, 3).double()
    assert float(squared_mmd(x, y, kernel, SCALES)) == pytest.approx(slow_mmd(x, y, kernel, SCALES.tolist()), rel=1e-9)


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_it_is_zero_on_average_for_samples_of_one_distribution(kernel):
    torch.manual_seed(0)
    estimates = torch.stack([squared_mmd(*torch.randn(2, 16, 4).double(), kernel, SCALES) for _ in range(400)])
    assert abs(float(estimates.mean())) < 3.5 * float(estimates.std()) / math.sqrt(400)
    assert (estimates < 0).any()


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_it_is_that_of_two_gaussians_in_closed_form(shift):
    """x - y ~ N(m, 2I): E exp(-|x - y|^2 / s) = (1 + 4 / s)^(-D/2) exp(-|m|^2 / (s + 4))."""
    torch.manual_seed(0)
    dimensions = 2
    x, y = torch.randn(2, 30, 300, dimensions).double()
    x[..., 0] += shift
    s = 2.0 * dimensions  # the mean squared distance in the prior, times a scale of 1
    same = (1 + 4 / s) ** (-dimensions / 2)
    expected = 2 * same - 2 * same * math.exp(-(shift**2) / (s + 4))
    given = [float(squared_mmd(a, b, "rbf", torch.ones(1, dtype=torch.double))) for a, b in zip(x, y, strict=True)]
    assert sum(given) / 30 == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_it_grows_with_the_distance_between_the_two(kernel):
    torch.manual_seed(0)
    x, y = torch.randn(2, 200, 4)
    distances = [float(squared_mmd(x + shift, y, kernel, SCALES.float())) for shift in (0, 0.5, 1, 2, 4)]
    assert distances == sorted(distances)


def test_codes_that_coincide_have_a_gradient():
    x = torch.zeros(8, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(squared_mmd(x, torch.randn(8, 3), "imq", SCALES.float()), x)
    assert gradient.isfinite().all()


def test_one_example_is_no_reason_to_fail():
    assert squared_mmd(torch.ones(1, 3), torch.zeros(1, 3), "imq", SCALES.float()).isfinite()


def test_alpha_is_the_share_of_the_kl_that_is_left_out():
    game = playing("objective=info", "objective.alpha=0.25", "kl.weight=2")
    losses, evidence = game.losses()
    assert losses["model"].keys() == {"reconstruction", "kl", "divergence"}
    assert losses["model"]["kl"].item() == pytest.approx(0.75 * 2 * evidence.kl.mean().item(), rel=1e-6)


def test_without_a_kl_codes_may_be_deterministic():
    losses, _ = playing("variant=wae_mmd").losses()
    assert losses["model"].keys() == {"reconstruction", "divergence"}


def test_a_condition_stands_beside_codes_and_draws_alike():
    game = playing("variant=wae_mmd", "condition=label")
    _, evidence = game.losses()
    codes, draws = codes_and_draws(game.model, evidence)
    assert codes.shape == draws.shape == (6, 3 + 3)
    assert torch.equal(codes[:, 3:], draws[:, 3:])
    assert torch.equal(codes[:, 3:], evidence.context.double())


def test_the_embedding_of_a_condition_does_not_move_to_make_codes_and_draws_look_alike():
    game = playing("variant=wae_mmd", "condition=label")
    _, evidence = game.losses()
    evidence.context = evidence.context.requires_grad_()
    codes, _ = codes_and_draws(game.model, evidence)
    assert torch.autograd.grad(codes.sum(), evidence.context, allow_unused=True) == (None,)


def test_codes_that_fill_the_prior_but_not_for_each_condition_are_told():
    torch.manual_seed(0)
    z, draws = torch.randn(2, 1000, 2)
    context = torch.nn.functional.one_hot((z[:, 0] > 0).long(), 2)
    apart = squared_mmd(torch.cat([z, context], 1), torch.cat([draws, context], 1), "imq", SCALES.float())
    assert float(apart) > 5 * abs(float(squared_mmd(z, draws, "imq", SCALES.float())))


@pytest.mark.parametrize("variant", ["wae_mmd", "swae", "aae"])
@pytest.mark.parametrize("setting", ["kl.weight=2", "kl.free_bits=0.1", "kl.capacity=3", "kl=linear"])
def test_a_kl_that_is_not_in_the_loss_cannot_be_set(variant, setting):
    config_of(f"variant={variant}", "posterior=gaussian")
    with pytest.raises(UserError, match="leave the kl group as it is"):
        config_of(f"variant={variant}", "posterior=gaussian", setting)


def test_a_deterministic_code_has_no_kl_to_leave_in():
    with pytest.raises(UserError, match=r"objective\.alpha is below 1"):
        config_of("variant=info_vae", "posterior=delta")
