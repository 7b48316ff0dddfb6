"""Which codes readers are fitted to."""

import pytest
import torch

from tests.helpers import QUICK, config_of
from vae_runner.build import build_experiment
from vae_runner.evaluation.groups import GROUPS, Settings, Subject


def subject_of(*overrides: str, probes: int, limit: int | None = None) -> Subject:
    experiment = build_experiment(config_of(*QUICK, *overrides))
    data, cpu = experiment.data, torch.device("cpu")
    return Subject(experiment.model, data, data.test, cpu, pytest.fail, limit=limit, settings=Settings(probes=probes))


def test_readers_are_fitted_to_as_many_training_codes_as_there_are_labels_for():
    subject = subject_of("data.labels=60", probes=100)
    assert not bool((subject.data.train.targets(torch.arange(100)) >= 0).all())
    assert GROUPS["usefulness"](subject)["training_codes"] == 60


def test_they_are_of_examples_whose_label_is_told():
    subject = subject_of("data.labels=60", probes=25)
    codes, labels = next(subject.coded(25))
    everything, y = subject.codes(subject.data.train)
    assert codes.shape[0] == len(labels) == 25
    near = torch.cdist(codes, everything).argmin(1)
    assert torch.allclose(codes, everything[near], atol=1e-5)
    assert torch.equal(labels, y[near])
    assert bool((y[near] >= 0).all())


def test_with_all_labels_they_are_the_ones_that_others_look_at_too():
    subject = subject_of(probes=25)
    codes, labels = next(subject.coded(25))
    everything, y = subject.codes(subject.data.train, 25)
    assert torch.equal(codes, everything)
    assert torch.equal(labels, y)


@pytest.mark.parametrize(("limit", "scored"), [(40, 40), (None, 297), (10_000, 297)])
def test_they_are_scored_on_as_many_test_codes_as_are_evaluated(limit, scored):
    found = GROUPS["usefulness"](subject_of(probes=100, limit=limit))
    assert found["test_codes"] == scored
    assert found["training_codes"] == found["validation_codes"] == 100
    assert found["knn_accuracy"] * scored == pytest.approx(round(found["knn_accuracy"] * scored))
