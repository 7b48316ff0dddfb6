"""Which way a figure is better."""

import math

import pytest

from vae_runner.reporting.better import best, is_better


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
    assert best(figure) == (math.inf if high else -math.inf)
    assert is_better(2.0, 1.0, best(figure)) == high
    assert is_better(1.0, 2.0, best(figure)) != high


def test_samples_are_best_as_sharp_as_the_data():
    assert best("sharpness_ratio") == best("sharpness_ratio (samples=100)") == 1
    assert is_better(0.9, 1.5, 1.0)
    assert is_better(1.2, 0.5, 1.0)
    assert not is_better(0.2, 1.5, 1.0)
