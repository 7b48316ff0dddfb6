"""Tables of runs: what differs, in which order, and in three notations."""

import math

import pytest

from vae_runner.errors import UserError
from vae_runner.reporting import tables
from vae_runner.reporting.formats import cell, duration, number

ROWS = [
    {"run": "a", "kl.weight": 1, "test/elbo": -106.0612345, "seed": 0},
    {"run": "b", "kl.weight": 4.0, "test/elbo": None, "seed": 0, "error": "out of memory, twice"},
    {"run": "c|d", "kl.weight": 1.0, "test/elbo": -98.5, "seed": 0},
]


def test_columns_come_in_the_order_of_first_appearance():
    assert tables.columns_of(ROWS) == ["run", "kl.weight", "test/elbo", "seed", "error"]


def test_columns_that_differ_are_found():
    assert tables.differing(ROWS) == ["run", "kl.weight", "test/elbo", "error"]
    assert tables.differing([ROWS[0], ROWS[2]]) == ["run", "test/elbo"]
    assert tables.differing([{"x": True}, {"x": 1}]) == ["x"]
    assert tables.differing([{"x": [1, 2]}, {"x": [1, 3]}]) == ["x"]
    assert tables.differing([{"x": math.nan}, {"x": math.nan}]) == []
    assert tables.differing([]) == []


@pytest.mark.parametrize(("descending", "order"), [(False, [3, 1, 2, 4]), (True, [2, 1, 3, 4])])
def test_rows_are_sorted_with_the_missing_last(descending, order):
    rows = [{"id": 4}, {"id": 2, "x": 9.0}, {"id": 3, "x": -math.inf}, {"id": 1, "x": 2}]
    assert [row["id"] for row in tables.sorted_by(rows, "x", math.inf if descending else -math.inf)] == order


def test_not_a_number_counts_as_missing_and_text_follows_numbers():
    rows = [{"x": math.nan}, {"x": "b"}, {"x": None}, {"x": 3}, {"x": "a"}]
    assert [row["x"] for row in tables.sorted_by(rows, "x")][:3] == [3, "a", "b"]
    assert [row["x"] for row in tables.sorted_by(rows, "x", math.inf)][:3] == [3, "b", "a"]


def test_equal_rows_keep_their_order():
    rows = [{"id": i, "x": i % 2} for i in range(6)]
    assert [row["id"] for row in tables.sorted_by(rows, "x", math.inf)] == [1, 3, 5, 0, 2, 4]


def test_a_figure_that_no_run_has_is_refused_by_name():
    with pytest.raises(UserError, match=r"sort=elbo: .* test/elbo"):
        tables.sorted_by(ROWS, "elbo")


def test_the_nearest_to_a_value_comes_first():
    rows = [{"x": value} for value in (0.5, None, 1.25, 1.0, 3.0, -1)]
    assert [row["x"] for row in tables.sorted_by(rows, "x", 1.0)] == [1.0, 1.25, 0.5, 3.0, -1, None]


def test_csv_is_read_back_to_equal_values():
    rows = [
        {"text": 'a,b "c"\nd', "float": 0.1 + 0.2, "int": 3, "bool": True, "none": None, "list": [1, "x"]},
        {"text": "3", "float": 1e-300, "int": -1, "bool": False, "none": "true", "list": []},
        {"text": "", "float": math.inf, "int": 10**20, "bool": None, "none": "nan", "list": {"a": 1}},
        {"text": '"', "float": -0.0, "int": 0, "bool": None, "none": "[1", "list": ["ä"]},
    ]
    assert tables.from_csv(tables.as_csv(rows)) == rows


def test_csv_of_a_single_missing_value_keeps_its_row():
    assert tables.from_csv(tables.as_csv([{"x": None}, {"x": 1}])) == [{"x": None}, {"x": 1}]


def test_missing_keys_are_empty_in_csv():
    assert tables.as_csv(ROWS, ["run", "test/elbo", "error"]).splitlines()[1:] == [
        "a,-106.0612345,",
        'b,,"out of memory, twice"',
        "c|d,-98.5,",
    ]


def test_markdown_escapes_what_would_be_markup():
    table = tables.as_markdown([{"log_px": -1.5, "variant": "a|b *c* <d>\n_e_ [f]"}])
    assert table.splitlines() == [
        "| log_px | variant |",
        "| ---: | --- |",
        "| -1.5 | a\\|b \\*c\\* \\<d\\> \\_e\\_ \\[f\\] |",
    ]


def test_text_is_aligned_and_never_wrapped():
    rows = [{"run": "x" * 300, "elbo": -106.0612345}, {"run": "[red]y", "elbo": 3.0}]
    lines = tables.as_text(rows, title="runs").splitlines()
    assert lines[0] == "runs"
    assert lines[-2].startswith("x" * 300)
    assert lines[-2].endswith("-106.06")
    assert lines[-1].startswith("[red]y ")
    assert len(lines[-1]) == len(lines[-2])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (106.0612345, "106.06"),
        (-0.00012345678, "-0.00012346"),
        (1e-9, "1e-09"),
        (123456.7, "123457"),
        (60000, "60000"),
        (0.1, "0.1"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_have_sensible_digits(value, text):
    assert number(value) == text


def test_cells_of_other_kinds():
    assert [cell(value) for value in (None, True, "x", [1, "a"], 3)] == ["-", "true", "x", '[1, "a"]', "3"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.4, "0:08"), (750, "12:30"), (3723, "1:02:03"), (183600, "2d 03:00:00"), (-1, "0:00")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
