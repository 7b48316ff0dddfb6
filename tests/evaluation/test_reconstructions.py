"""Rate and distortion where both have a closed form."""

import math

import torch

from tests.objectives.linear_gaussian import LinearGaussian, examples
from vae_runner.evaluation.reconstructions import rate_distortion


def test_they_are_those_of_a_linear_gaussian_model_whose_expectations_have_a_closed_form():
    torch.manual_seed(0)
    model, batch, draws = LinearGaussian(), examples(40), 4000
    found = rate_distortion(model, batch, draws)
    with torch.no_grad():
        mean, variance = model.encoder(batch.x), model.log_variance.exp()
        q = torch.distributions.Normal(mean, variance.sqrt())
        rate = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
        spread = model.decoder.weight.square() @ variance
        error = (batch.x - model.decoder(mean)).square().sum(1) + spread.sum()
        distortion = error / (2 * model.scale**2) + 1.5 * math.log(2 * math.pi * model.scale**2)
        at_mean = distortion - spread.sum() / (2 * model.scale**2)
    torch.testing.assert_close(found.rate, rate)
    assert (found.distortion - distortion).abs().max() < 0.15
    # no point of the plane is below -log p(x); with what is found at the mean some would be
    assert (found.rate + found.distortion > -model.log_likelihood(batch.x) - 0.15).all()
    assert (distortion - at_mean).min() > 0.3
