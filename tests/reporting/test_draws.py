"""The number of draws behind the name of a figure."""

import pytest

from vae_runner.reporting.draws import without_draws


@pytest.mark.parametrize(
    ("figure", "name"),
    [
        ("log_likelihood_5000", "log_likelihood"),
        ("iw_bound_50", "iw_bound"),
        ("frechet_distance_2000", "frechet_distance"),
        ("auc_distortion_standard_error_50", "auc_distortion_standard_error"),
        ("log_likelihood", "log_likelihood"),
        ("ridge_r2_0", "ridge_r2_0"),
        ("linear_probe_accuracy_12", "linear_probe_accuracy_12"),
    ],
)
def test_a_number_is_of_draws_behind_the_figures_that_are_made_of_them_alone(figure, name):
    assert without_draws(figure) == name
