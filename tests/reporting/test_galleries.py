"""Models side by side."""

import numpy as np
import torch

from vae_runner.data.space import Space
from vae_runner.reporting import grids
from vae_runner.reporting.galleries import Exhibit, gallery


def exhibit(name: str, between: bool = True, shape: tuple[int, ...] = (1, 8, 8)) -> Exhibit:
    random = torch.Generator().manual_seed(0)
    images = torch.rand(60, *shape, generator=random)
    return Exhibit(
        name=name,
        space=Space(shape, "unit", classes=10),
        samples=images[:20],
        ends=images[:4].unflatten(0, (2, 2)),
        between=images[4:20].unflatten(0, (2, 8)) if between else None,
        codes=torch.randn(50, 5, generator=random),
        labels=torch.arange(50) % 10,
        prior=torch.randn(30, 5, generator=random),
    )


def test_each_model_has_a_row():
    one, two = gallery([exhibit("a")]), gallery([exhibit("a"), exhibit("b", shape=(3, 16, 12))])
    assert two.height > 1.8 * one.height


def test_the_examples_stand_at_the_ends_of_what_lies_between():
    given = exhibit("a")
    samples = grids.grid(given.samples, 10, title="samples, z from the prior")
    rows = torch.cat([given.ends[:, :1], given.between, given.ends[:, 1:]], 1).flatten(0, 1)
    labels = ["example", *[""] * 8, "example"]
    part = grids.grid(rows, column_labels=labels, title="decoded between the codes of two examples")
    x, y = samples.width, grids.note("a").height
    found = gallery([given]).crop((x, y, x + part.width, y + part.height))
    assert np.array_equal(np.asarray(found), np.asarray(part))


def test_the_rows_of_samples_and_of_interpolations_are_level():
    given = exhibit("a")
    row = np.asarray(gallery([given]).convert("L")).astype(int)[grids.note("a").height :]
    width = grids.grid(given.samples, 10, title="samples, z from the prior").width
    tops = []
    for panel in (row[:, 8 : 8 + 48], row[:, width + 8 : width + 8 + 48]):
        full = (panel != 255).mean(1) > 0.9
        tops.append(int(full.argmax()))
    assert tops[0] == tops[1] > 0


def test_it_says_where_nothing_lies_between_codes(monkeypatch):
    said, note = [], grids.note
    monkeypatch.setattr(grids, "note", lambda text, width=None: said.append(text) or note(text, width))
    gallery([exhibit("a"), exhibit("b", between=False)])
    assert sorted(said) == [
        "a",
        "b",
        "no interpolation: codes are picks of a few, and nothing lies between two of them",
    ]
