"""What is shown of samples beside the training examples that they may have copied."""

import pytest
import torch

from tests.helpers import config_of
from vae_runner.build import build_experiment
from vae_runner.evaluation.features.networks import Components
from vae_runner.evaluation.groups import GROUPS
from vae_runner.evaluation.groups.subject import Settings, Subject


@pytest.fixture
def subject():
    experiment = build_experiment(config_of("architecture.width=8"))
    data, pixels = experiment.data, Components((1, 8, 8), 64)
    pixels.directions.copy_(torch.eye(64))
    return Subject(experiment.model, data, data.test, experiment.device, lambda: pixels, settings=Settings(samples=100))


def test_copies_stand_first_beside_the_training_examples_that_they_are_of(subject, monkeypatch):
    copied = [3, 700, 1200]

    def drawn(model, n, *rest, **more):
        x = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        x[torch.tensor([40, 7, 99])] = subject.data.batch(subject.data.train, torch.tensor(copied)).x
        yield None, x

    monkeypatch.setitem(GROUPS["samples"].__globals__, "sample_blocks", drawn)
    GROUPS["samples"](subject)
    found = subject.neighbours
    assert found.samples.shape == (10, 1, 8, 8)
    assert found.nearest.shape == (10, 5, 1, 8, 8)
    assert torch.equal(found.samples[:3], found.nearest[:3, 0])
    assert found.distances[:3].tolist() == pytest.approx([0, 0, 0], abs=1e-3)
    assert min(found.distances[3:].tolist()) > found.of_held_out > 0
    # the others, in the order in which they were drawn, are of no such choice
    x = next(drawn(None, 100))[1]
    assert torch.equal(found.samples[5], x[0])


def test_of_training_examples_there_are_none(subject):
    subject.split = subject.data.train
    GROUPS["samples"](subject)
    assert subject.neighbours is None
