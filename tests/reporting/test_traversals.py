"""Latents of several kinds are drawn one below the other, each with what is done to it."""

from types import SimpleNamespace

import torch

from vae_runner.data.space import Space
from vae_runner.reporting import pictures
from vae_runner.reporting.traversals import draw_traversals


def part(moved, values):
    return SimpleNamespace(
        x=torch.rand(2, len(values), 1, 8, 8),
        values=values,
        names=["a", "b"],
        use="KL (nats)",
        moved=moved,
        scale="classes",
    )


def test_each_kind_has_its_title_and_its_columns(monkeypatch):
    seen = []

    def spy(space, x, values, names, **settings):
        seen.append((values, settings["title"]))
        return draw(space, x, values, names, **settings)

    draw = pictures.draw_traversals
    monkeypatch.setattr(pictures, "draw_traversals", spy)
    parts = [part("moved by standard deviations", [-1.0, 0.0, 1.0]), part("through all 12 classes", list(range(12)))]
    space = Space((1, 8, 8), "unit")
    both = draw_traversals(space, parts, about="epoch 1")
    assert seen[0] == ([-1.0, 0.0, 1.0], "units by KL (nats), moved by standard deviations; epoch 1")
    assert seen[1] == (list(range(12)), "units by KL (nats), through all 12 classes; epoch 1")
    heights = [draw_traversals(space, [one], about="epoch 1").height for one in parts]
    assert both.height == sum(heights)
