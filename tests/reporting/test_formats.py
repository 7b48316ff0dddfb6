"""Numbers as a person reads them."""

from vae_runner.reporting.formats import with_errors


def test_a_standard_error_stands_beside_its_figure():
    figures = {"elbo": -105.8123, "elbo_standard_error": 0.3456, "examples": 100}
    assert with_errors(figures) == {"elbo": "-105.81 ± 0.35", "examples": 100}


def test_a_figure_without_an_error_stays_as_it_is_and_an_error_without_a_figure_too():
    assert with_errors({"a": 1.5, "a_standard_error": None}) == {"a": 1.5}
    assert with_errors({"a": None, "a_standard_error": None}) == {"a": None}
    assert with_errors({"b_standard_error": 0.1}) == {"b_standard_error": 0.1}
