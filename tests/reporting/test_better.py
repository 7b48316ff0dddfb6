"""Which way a figure is better."""

import pytest

from vae_runner.reporting.better import is_better_high


@pytest.mark.parametrize(
    ("figure", "high"),
    [
        ("elbo", True),
        ("iw_bound_50", True),
        ("log_likelihood_5000", True),
        ("log_likelihood_of_these_100", True),
        ("ridge_r2", True),
        ("ridge_r2_position_x", True),
        ("ridge_r2_0", True),
        ("mig (bins=50)", True),
        ("log_likelihood_5000 (limit=100)", True),
        ("perplexity_5000 (limit=100)", False),
        ("linear_probe_accuracy_shape", True),
        ("latents_mutual_information", True),
        ("codebook_perplexity", True),
        ("level_2_active_units", True),
        ("level_2_kl", False),
        ("linear_probe_accuracy_shape_standard_error", False),
        ("loss", False),
        ("kl", False),
        ("frechet_distance", False),
        ("perplexity_500", False),
    ],
)
def test_bounds_are_better_high_whatever_their_draws(figure, high):
    assert is_better_high(figure) == high
