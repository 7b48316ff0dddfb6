import itertools

import pytest
import torch

from vae_runner.training import schedulers
from vae_runner.training.optimizers import SGD


def rates(factory, steps, steps_per_epoch=10, total=100):
    optimizer = SGD(lr=1.0)([torch.nn.Parameter(torch.zeros(1))])
    scheduler = factory(optimizer, steps_per_epoch, total)
    found = []
    for _ in range(steps):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return found


def test_cosine_warms_up_linearly_and_ends_at_its_final_share():
    found = rates(schedulers.Cosine(warmup=2, final=0.1), 101)
    assert found[10] == pytest.approx(0.5)
    assert found[20] == pytest.approx(1.0)
    assert found[60] == pytest.approx(0.55)
    assert found[100] == pytest.approx(0.1)
    assert all(later <= earlier for earlier, later in itertools.pairwise(found[20:]))


def test_cosine_agrees_with_torch():
    optimizer = SGD(lr=1.0)([torch.nn.Parameter(torch.zeros(1))])
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    expected = []
    for _ in range(100):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    assert rates(schedulers.Cosine(), 100) == pytest.approx(expected, abs=1e-9)


def test_step_drops_at_the_end_of_every_interval():
    found = rates(schedulers.Step(every=3, gamma=0.5), 61)
    assert found[29], found[30] == (1.0, 0.5)
    assert found[60] == pytest.approx(0.25)


def test_exponential_multiplies_by_gamma_over_an_epoch():
    found = rates(schedulers.Exponential(gamma=0.9), 21)
    assert found[10] == pytest.approx(0.9)
    assert found[20] == pytest.approx(0.81)


def test_plateau_drops_when_the_figure_stops_improving():
    optimizer = SGD(lr=1.0)([torch.nn.Parameter(torch.zeros(1))])
    scheduler = schedulers.Plateau(gamma=0.5, patience=1)(optimizer, 10, 100)
    for value in (3.0, 2.0, 2.0):
        scheduler.step(value)
    assert optimizer.param_groups[0]["lr"] == 1.0
    scheduler.step(2.0)
    assert optimizer.param_groups[0]["lr"] == 0.5
