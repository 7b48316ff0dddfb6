"""The importance-weighted estimate of log p(x) where log p(x) is known."""

import math

import numpy as np
import pytest
import torch

from tests.objectives.linear_gaussian import LinearGaussian, examples
from vae_runner.data.space import Batch
from vae_runner.evaluation import likelihood


def test_the_estimate_grows_with_the_draws_to_the_exact_likelihood_of_a_linear_gaussian_model():
    torch.manual_seed(0)
    model, batch = LinearGaussian(), examples(400)
    exact = model.log_likelihood(batch.x)
    with torch.no_grad():
        errors = {k: likelihood.importance_weighted(model, batch, k) - exact for k in (1, 10, 5000)}
    assert errors[1].mean() < errors[10].mean() < errors[5000].mean() + 1e-3
    standard_error = errors[5000].std() / 400**0.5
    assert abs(errors[5000].mean()) < 3 * standard_error + 1e-3


def test_draws_made_in_parts_count_as_one_bound(monkeypatch):
    torch.manual_seed(0)
    model, batch = LinearGaussian(), examples(4)
    estimates = []
    for rows in (10_000, 20):
        monkeypatch.setattr(likelihood, "ROWS", rows)
        torch.manual_seed(1)
        with torch.no_grad():
            estimates.append(likelihood.importance_weighted(model, batch, 2000))
    torch.testing.assert_close(estimates[0], estimates[1], atol=0.1, rtol=0)
    assert not torch.equal(estimates[0], estimates[1])


@pytest.mark.parametrize(("shape", "draws"), [((64,), 200), ((1, 28, 28), 200), ((3, 64, 64), 13), ((3, 512, 512), 1)])
def test_on_a_cpu_no_more_is_decoded_at_once_than_memory_has_room_for(shape, draws):
    x = torch.zeros(1).expand(50, *shape)
    assert likelihood.draws_at_once(Batch(x, x)) == draws


def test_each_bound_is_the_mean_over_groups_of_draws_that_share_none():
    weights = np.random.default_rng(0).normal(size=(11, 3))
    for draws in (1, 2, 5, 11):
        groups = [weights[start : start + draws] for start in range(0, 11 - draws + 1, draws)]
        expected = np.mean([np.log(np.exp(group).mean(0)) for group in groups], axis=0)
        np.testing.assert_allclose(likelihood.bound(torch.from_numpy(weights), draws), expected)
    assert [11 // draws for draws in (1, 2, 5, 11)] == [11, 5, 2, 1]


def test_the_bound_of_one_draw_is_the_elbo_that_a_linear_gaussian_model_has_in_closed_form():
    torch.manual_seed(0)
    model, batch = LinearGaussian(), examples(40)
    with torch.no_grad():
        log_w = likelihood.log_weights(model, batch, 4000)
        mean, variance = model.encoder(batch.x), model.log_variance.exp()
        error = (batch.x - model.decoder(mean)).square().sum(1) + (model.decoder.weight.square() @ variance).sum()
        log_px = -error / (2 * model.scale**2) - 1.5 * math.log(2 * math.pi * model.scale**2)
        elbo = log_px - 0.5 * (variance + mean.square() - 1 - variance.log()).sum(1)
    standard_errors = log_w.std(0) / 4000**0.5
    assert ((likelihood.bound(log_w, 1) - elbo) / standard_errors).abs().max() < 4


def test_draws_are_counted_in_ones_twos_and_fives():
    assert likelihood.numbers_of_draws(1) == [1]
    assert likelihood.numbers_of_draws(10) == [1, 2, 5, 10]
    assert likelihood.numbers_of_draws(70) == [1, 2, 5, 10, 20, 50, 70]
    assert likelihood.numbers_of_draws(5000)[-3:] == [1000, 2000, 5000]
