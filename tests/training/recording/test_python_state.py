"""What Python changes of modules and of its own generators is seen, and what only tensors hold is not."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from vae_runner.training.recording.python_state import PythonState


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.calls, self.name, self.seen, self.by_name = 1000, "a", [torch.zeros(3)], {"a": 1}
        self.linear = nn.Linear(2, 2)


def changed(function):
    whole = nn.Sequential(Part())
    before = PythonState([whole])
    function(whole[0])
    return before.changed_to(PythonState([whole]))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda part: setattr(part, "calls", part.calls + 1), "Sequential.0.calls"),
        (lambda part: setattr(part, "new", 1), "Sequential.0.new"),
        (lambda part: setattr(part, "count", part.count + 1), "Sequential.0._buffers"),
        (lambda part: part.seen.append(torch.ones(3)), "Sequential.0.seen"),
        (lambda part: part.by_name.update(a=2), "Sequential.0.by_name"),
        (
            lambda part: setattr(part.linear, "weight", nn.Parameter(torch.ones(2, 2))),
            "Sequential.0.linear._parameters",
        ),
        (lambda part: random.random(), "random"),
        (lambda part: np.random.rand(), "numpy.random"),
    ],
)
def test_what_python_changes_is_told_by_its_name(function, name):
    assert changed(function) == name


@pytest.mark.parametrize(
    "function",
    [
        lambda part: part.count.add_(1),
        lambda part: part.seen[0].add_(1),
        lambda part: part(torch.ones(1)) if part.calls < 0 else part.linear(torch.ones(2)),
        lambda part: setattr(part, "calls", int("1000")),
        lambda part: torch.rand(3),
    ],
)
def test_what_is_in_tensors_or_stays_the_same_is_no_change(function):
    assert changed(function) is None
