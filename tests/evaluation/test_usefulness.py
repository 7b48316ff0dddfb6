"""Which codes readers are fitted to."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.helpers import QUICK, config_of
from vae_runner.build import build_experiment
from vae_runner.evaluation import probes
from vae_runner.evaluation.groups import GROUPS, Inapplicable, Settings, Subject
from vae_runner.evaluation.groups.usefulness import with_edges


def subject_of(*overrides: str, probes: int, limit: int | None = None) -> Subject:
    experiment = build_experiment(config_of(*QUICK, *overrides))
    data, cpu = experiment.data, torch.device("cpu")
    return Subject(experiment.model, data, data.test, cpu, pytest.fail, limit=limit, settings=Settings(probes=probes))


def test_readers_are_fitted_to_as_many_training_codes_as_there_are_labels_for():
    subject = subject_of("data.labels=60", probes=100)
    assert not bool((subject.data.train.targets(torch.arange(100)) >= 0).all())
    assert GROUPS["usefulness"](subject)["training_codes"] == 60


def test_accuracies_come_with_their_errors_and_their_numbers_of_codes():
    subject = subject_of(probes=100)
    found = GROUPS["usefulness"](subject)
    counts = [len(codes) for codes, _ in subject.coded(100)]
    assert [found[f"{split}_codes"] for split in ("training", "validation", "test")] == counts
    # n verdicts of which a share is right have the variance p (1 - p)
    for name in ("linear_probe_accuracy", "knn_accuracy"):
        right = round(found[name] * counts[2])
        verdicts = np.repeat([1.0, 0.0], [right, counts[2] - right])
        assert found[f"{name}_standard_error"] == pytest.approx(verdicts.std() / counts[2] ** 0.5)


@pytest.mark.parametrize("name", ["linear_probe_strength", "ridge_strength"])
def test_it_is_said_where_the_weakest_strength_was_the_best(name):
    said = with_edges({name: min(probes.STRENGTHS)})[f"{name}_at_edge"]
    assert said == "the weakest that is tried is the best on validation: a weaker one might be better"
    for inside in ({name: 1e-4}, {name: max(probes.STRENGTHS)}, {}):  # the strongest is chosen where codes say nothing
        assert with_edges(inside) == inside


def test_readers_of_the_digits_find_a_strength_between_the_edges():
    found = GROUPS["usefulness"](subject_of(probes=1000))
    assert min(probes.STRENGTHS) < found["linear_probe_strength"] < max(probes.STRENGTHS)
    assert "linear_probe_strength_at_edge" not in found


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


def read(codes, factors, **space):
    """The figures of a subject with these codes (3, N, D) and factors (3, N, F) of training, validation and test."""
    names = [f"f{i}" for i in range(factors.shape[2])]
    subject = SimpleNamespace(
        space=SimpleNamespace(**{"factors": len(names), "categorical_factors": (), **space}),
        data=SimpleNamespace(factor_names=names),
        settings=Settings(),
        coded=lambda probes: zip(codes, factors, strict=True),
    )
    return GROUPS["usefulness"](subject)


def test_real_valued_targets_are_regressed_on():
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import r2_score

    torch.manual_seed(0)
    codes = torch.randn(3, 400, 3)
    targets = torch.stack([codes[..., 0] * 3 + 7, codes[..., 1] + torch.randn(3, 400), torch.randn(3, 400)], 2)
    found = read(codes, targets, real_factors=True)
    line = LinearRegression().fit(codes[0], targets[0])
    expected = r2_score(targets[2], line.predict(codes[2]), multioutput="raw_values")
    assert [found[f"ridge_r2_f{i}"] for i in range(3)] == pytest.approx(list(expected), abs=0.02)
    assert found["ridge_r2"] == pytest.approx(np.mean(expected), abs=0.02)
    assert "linear_probe_accuracy" not in found


def test_values_without_an_order_are_told_apart_and_not_regressed_on():
    """An angle is a circle of codes: lines tell its values apart, of which no line is a function."""
    torch.manual_seed(0)
    angle, shape, size = torch.randint(0, 8, (3, 600)), torch.randint(0, 3, (3, 600)), torch.randint(0, 6, (3, 600))
    turn = angle * 2 * torch.pi / 8
    codes = torch.stack([turn.cos(), turn.sin(), size.float()], 2) + 0.01 * torch.randn(3, 600, 3)
    factors = torch.stack([angle, shape, size, torch.zeros_like(size)], 2)
    found = read(codes, factors, categorical_factors=(0, 1))
    assert found["linear_probe_accuracy_f0"] > 0.99
    assert found["linear_probe_accuracy_f1"] == pytest.approx(1 / 3, abs=0.1)
    assert found["linear_probe_accuracy"] == np.mean(
        [found["linear_probe_accuracy_f0"], found["linear_probe_accuracy_f1"]]
    )
    assert found["chance_f1"] == np.mean(factors[2, :, 1].numpy() == factors[0, :, 1].bincount().argmax().item())
    assert found["ridge_r2_f2"] > 0.99
    assert found["ridge_r2"] == found["ridge_r2_f2"]  # what does not vary has none
    assert found["ridge_r2_f3"] is None
    assert "ridge_r2_f0" not in found
    # as numbers in an order, half of the angle would be explained and no more
    assert read(codes, factors)["ridge_r2_f0"] < 0.7


def test_factors_of_names_alone_have_no_r2():
    factors = torch.arange(60).remainder(3).view(1, 60, 1).repeat(3, 1, 1)
    found = read(torch.nn.functional.one_hot(factors[..., 0]).float(), factors, categorical_factors=(0,))
    assert found["linear_probe_accuracy"] == 1
    assert "ridge_r2" not in found


def test_factors_that_do_not_vary_tell_nothing():
    with pytest.raises(Inapplicable, match="no factor has two values"):
        read(torch.randn(3, 20, 2), torch.zeros(3, 20, 2, dtype=torch.long))
