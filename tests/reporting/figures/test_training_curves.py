"""Curves of runs."""

from tests.reporting.figures.drawn import shows
from vae_runner.reporting import figures


def test_curves_of_several_runs_have_a_colour_each():
    rows = [
        {"split": split, "step": s, "loss": 1.0 / s, "elbo": None} for s in (1, 2, 3) for split in ("train", "test")
    ]
    image = figures.curves({"a": rows, "b": rows[:1], "c": []}, ["loss", "elbo", "kl"], title="runs")
    assert shows(image, "tab:blue")
    assert shows(image, "tab:orange")


def test_curves_of_more_runs_than_the_legend_holds_are_drawn():
    rows = [{"split": "validation", "step": s, "loss": float(s)} for s in (1, 2)]
    few = figures.curves({str(run): rows for run in range(20)}, ["loss"])
    many = figures.curves({str(run): rows for run in range(40)}, ["loss"])
    assert many.height <= few.height + 30
