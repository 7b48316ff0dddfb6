import itertools

import pytest
import torch

from vae_runner.training import schedulers
from vae_runner.training.optimizers import SGD


def rates(factory, steps, steps_per_epoch=10, total=100):
    schedule = factory(steps_per_epoch, total)
    return [schedule.factor(step) for step in range(steps)]


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
        expected.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        reference.step()
    assert rates(schedulers.Cosine(), 100) == pytest.approx(expected, abs=1e-9)


def test_step_drops_at_the_end_of_every_interval():
    found = rates(schedulers.Step(every=3, gamma=0.5), 61)
    assert (found[29], found[30]) == (1.0, 0.5)
    assert found[60] == pytest.approx(0.25)


def test_milestones_agree_with_torch():
    optimizer = SGD(lr=1.0)([torch.nn.Parameter(torch.zeros(1))])
    reference = torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 30, 40], 0.7)
    expected = []
    for _ in range(60):
        expected.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        reference.step()
    assert rates(schedulers.Milestones(at=[1, 3, 4], gamma=0.7), 60) == pytest.approx(expected, abs=1e-9)


def test_exponential_multiplies_by_gamma_over_an_epoch():
    found = rates(schedulers.Exponential(gamma=0.9), 21)
    assert found[10] == pytest.approx(0.9)
    assert found[20] == pytest.approx(0.81)


@pytest.mark.parametrize(("patience", "threshold"), [(0, 1e-4), (2, 1e-4), (1, 0.05)])
def test_plateau_agrees_with_torch(patience, threshold):
    optimizer = SGD(lr=1.0)([torch.nn.Parameter(torch.zeros(1))])
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience, threshold=threshold, min_lr=0.1
    )
    schedule = schedulers.Plateau(gamma=0.5, patience=patience, threshold=threshold, minimum=0.1)(10, 100)
    generator = torch.Generator().manual_seed(0)
    figures = 1 + torch.rand(40, generator=generator) / torch.arange(1, 41)
    for step, figure in enumerate(figures.tolist()):
        reference.step(figure)
        schedule.validated(figure)
        assert schedule.factor(step) == optimizer.param_groups[0]["lr"]
    assert schedule.factor(40) < 1


def test_plateau_counts_a_lower_figure_below_zero_as_better():
    schedule = schedulers.Plateau(gamma=0.5, patience=0, threshold=0.01)(10, 100)
    for figure in (-100.0, -102.0, -104.0):
        schedule.validated(figure)
    assert schedule.factor(0) == 1.0
    schedule.validated(-104.5)
    assert schedule.factor(0) == 0.5


def test_plateau_goes_on_from_where_it_was_saved():
    whole, again = (schedulers.Plateau(patience=1)(10, 100) for _ in range(2))
    for figure in (3.0, 3.0):
        whole.validated(figure)
    again.load_state_dict(whole.state_dict())
    for schedule in (whole, again):
        schedule.validated(3.0)
    assert whole.factor(0) == again.factor(0) == 0.5
