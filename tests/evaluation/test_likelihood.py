"""The importance-weighted estimate of log p(x) where log p(x) is known."""

import torch

from tests.objectives.linear_gaussian import LinearGaussian, examples
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
