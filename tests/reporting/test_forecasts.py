"""A forecast says what is true, what is drawn, and where the known part ends."""

import numpy as np
import pytest
import torch

from vae_runner.data.space import Space
from vae_runner.reporting import figures, grids, texts
from vae_runner.reporting.forecasts import draw_forecasts

LINES, ROLL = Space((20, 1), "real"), Space((20, 88), "binary", ragged=True)
TEXT = Space((6,), "categorical", categories=4, vocabulary=("", "?", "a", "b"))


def marks(image):
    """The columns in which there is the colour of the border."""
    return np.unique(np.nonzero((np.asarray(image) == grids.MARK).all(-1))[1])


def test_texts_are_named_and_have_a_line_after_the_known_letters(monkeypatch):
    pages = []

    def spy(rows, *args, **settings):
        pages.append((rows, settings))
        return page(rows, *args, **settings)

    page = texts.page
    monkeypatch.setattr(texts, "page", spy)
    x = torch.full((2, 6), 2)
    image = draw_forecasts(TEXT, x, x.expand(5, -1, -1), x, 4, title="best weights")
    rows, settings = pages[0]
    assert [row.label for row in rows] == ["truth", "draw 1", "draw 2", "draw 3"] * 2
    assert settings["title"] == "best weights; known up to the red line"
    assert len(marks(image)) == 1
    later = draw_forecasts(TEXT, x, x.expand(5, -1, -1), x, 5, title="best weights")
    letter = grids.font_of(grids.LARGEST_FONT, "DejaVuSansMono").getlength("m")
    assert marks(later)[0] - marks(image)[0] == pytest.approx(letter, abs=1)


def test_a_text_that_ends_at_once_has_the_line_too():
    x = torch.tensor([[2, 2, 2, 2, 0, 0]])
    assert len(marks(texts.page([texts.Row(x[0], "truth", known=4)], TEXT.vocabulary))) == 1
    long = torch.full((100,), 2)
    assert len(marks(texts.page([texts.Row(long, known=100)], TEXT.vocabulary))) == 1


def test_rolls_are_named_and_have_a_line_after_the_known_steps(monkeypatch):
    given = []

    def spy(*args, **settings):
        given.append(settings)
        return grid(*args, **settings)

    grid = grids.grid
    monkeypatch.setattr(grids, "grid", spy)
    x = torch.zeros(3, 20, 88)
    image = draw_forecasts(ROLL, x, x.expand(2, -1, -1, -1), x, 5)
    assert given[0]["column_labels"] == ["truth", "draw 1", "draw 2"]
    at = marks(image)
    assert len(at) == 3
    width = at[1] - at[0] - grids.GAP
    assert at[0] - grids.MARGIN == pytest.approx(width / 4, abs=1)


def lines_of(monkeypatch):
    seen = []

    def spy(series, *args, **settings):
        seen.append((series, settings["title"]))
        return line_plots(series, *args, **settings)

    line_plots = figures.line_plots
    monkeypatch.setattr(figures, "line_plots", spy)
    return seen


def test_missing_steps_are_gaps_in_the_truth_and_in_what_begins_with_them(monkeypatch):
    seen = lines_of(monkeypatch)
    mask = torch.ones(1, 20, 1)
    mask[:, [3, 9, 15]] = 0
    x = torch.randn(1, 20, 1) * mask
    draw_forecasts(LINES, x, torch.randn(2, 1, 20, 1), torch.randn(1, 20, 1), 10, mask=mask, title="test")
    series, title = seen[0]
    assert series["truth"][0, :, 0].isnan().nonzero().flatten().tolist() == [3, 9, 15]
    for name in ("forecast", "a draw"):
        assert series[name][0, :, 0].isnan().nonzero().flatten().tolist() == list(range(10))
    assert title.endswith("gaps: missing values")


def test_nothing_is_said_of_gaps_where_there_are_none(monkeypatch):
    seen = lines_of(monkeypatch)
    x, mask = torch.randn(1, 20, 1), torch.ones(1, 20, 1)
    mask[:, 15:] = 0
    space = Space((20, 1), "real", ragged=True)
    draw_forecasts(space, x, torch.randn(2, 1, 20, 1), torch.randn(1, 20, 1), 10, mask=mask, title="test")
    series, title = seen[0]
    assert series["truth"][0, :, 0].isfinite().sum() == 15
    assert title == "test; known up to the red line"


def test_missing_notes_of_a_roll_are_striped():
    x, mask = torch.zeros(1, 20, 88), torch.ones(1, 20, 88)
    mask[:, 12, 40] = mask[:, 2, 40] = 0
    image = np.asarray(draw_forecasts(ROLL, x, x.expand(1, -1, -1, -1), x, 5, mask=mask))
    striped = (image == grids.STRIPES[0]).all(-1) | (image == grids.STRIPES[1]).all(-1)
    side = 3  # pixels of a step: 88 keys become 264
    # both in the truth, and what was known in the draw
    assert striped.sum() == 3 * side**2
