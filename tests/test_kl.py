import runpy
from pathlib import Path

import pytest
import torch

from vae_runner.errors import UserError
from vae_runner.kl import KL, Constant, Cosine, Cyclical, Linear, Sigmoid

RAMPS = [Linear, Cosine, Sigmoid]
ALL = [Constant, *RAMPS, Cyclical]
UNITS = torch.tensor([[0.1, 2.0, 0.0], [0.3, 4.0, 0.1]])  # means 0.2, 3, 0.05


@pytest.mark.parametrize("schedule", RAMPS)
def test_a_ramp_starts_at_zero_passes_one_half_and_stays_at_one(schedule):
    kl = schedule(50, 400, length=4)
    assert [kl.schedule(step) for step in (0, 100, 200, 201, 10**9)] == pytest.approx([0, 0.5, 1, 1, 1], abs=1e-12)
    assert kl.schedule(200) == 1.0


@pytest.mark.parametrize("schedule", RAMPS)
def test_a_ramp_never_falls(schedule):
    kl = schedule(50, 400, length=4)
    values = [kl.schedule(step) for step in range(250)]
    assert values == sorted(values)


def test_the_constant_schedule_is_always_one():
    assert [Constant(50, 50).schedule(step) for step in (0, 1, 10**9)] == [1, 1, 1]


def test_the_linear_schedule_rises_evenly():
    assert [Linear(50, 5000, length=4).schedule(step) for step in (20, 50, 150)] == pytest.approx([0.1, 0.25, 0.75])


def test_cosine_is_flat_at_both_ends_and_steep_in_the_middle():
    kl = Cosine(100, 10000, length=1)
    assert kl.schedule(1) < 0.001
    assert kl.schedule(99) > 0.999
    assert kl.schedule(51) - kl.schedule(50) == pytest.approx(torch.pi / 200, rel=1e-3)


def test_a_steep_sigmoid_is_the_logistic_function_of_bowman():
    kl = Sigmoid(1000, 100000, length=1, steepness=40)
    steps = torch.arange(0, 1000, 50)
    expected = torch.sigmoid(40 * (steps / 1000 - 0.5))
    assert [kl.schedule(int(step)) for step in steps] == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_gentle_sigmoid_is_a_straight_line():
    kl = Sigmoid(100, 10000, length=1, steepness=0.01)
    assert [kl.schedule(step) for step in range(0, 101, 20)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1], abs=1e-4)


def test_a_cycle_rises_holds_and_starts_again_until_the_last():
    kl = Cyclical(100, 10000, length=1, cycles=2, ramp=0.5)
    steps = [0, 25, 50, 99, 100, 125, 150, 199, 200, 10**9]
    assert [kl.schedule(step) for step in steps] == pytest.approx([0, 0.5, 1, 1, 0, 0.5, 1, 1, 1, 1])


@pytest.mark.parametrize("schedule", [*RAMPS, Cyclical])
def test_a_length_in_epochs_is_that_many_steps(schedule):
    epochs, steps = schedule(30, 400, length=2.5), schedule(30, 400, length=75, unit="steps")
    assert [epochs.schedule(step) for step in range(400)] == [steps.schedule(step) for step in range(400)]


@pytest.mark.parametrize("schedule", RAMPS)
def test_without_a_length_the_rise_takes_a_quarter_of_the_run(schedule):
    default, given = schedule(30, 400), schedule(30, 400, length=100, unit="steps")
    assert [default.schedule(step) for step in range(400)] == [given.schedule(step) for step in range(400)]


def test_without_a_length_the_cycles_fill_the_run():
    kl = Cyclical(30, 400, cycles=2)
    assert [kl.schedule(step) for step in (0, 50, 199, 200, 250, 399)] == [0, 0.5, 1, 0, 0.5, 1]


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("capacity", [None, 8.0])
def test_a_resumed_schedule_equals_an_uninterrupted_one(schedule, capacity):
    settings = {"weight": 2.0, "capacity": capacity}
    uninterrupted, resumed = schedule(10, 400, **settings), schedule(10, 400, **settings)
    for step in range(138):
        uninterrupted.advance(step)
    resumed.load_state_dict(uninterrupted.state_dict())
    for step in range(137, 200):
        uninterrupted.advance(step)
        resumed.advance(step)
        assert uninterrupted([UNITS]) == resumed([UNITS])


@pytest.mark.parametrize("schedule", ALL)
def test_there_is_no_state_to_save(schedule):
    assert not schedule(10, 400, weight=2.0, capacity=3.0).state_dict()
    schedule(10, 400, weight=[1.0, 2.0]).load_state_dict(schedule(10, 400).state_dict())


def test_the_term_is_the_weight_times_the_mean_of_the_summed_kl():
    assert Constant(10, 10)([UNITS]).item() == pytest.approx(3.25)
    assert Constant(10, 10, weight=4.0)([UNITS]).item() == pytest.approx(13)


def test_a_schedule_warms_up_to_the_weight():
    kl = Linear(10, 1000, length=1, weight=4.0)
    terms = []
    for step in (0, 5, 10, 20):
        kl.advance(step)
        terms.append(kl([UNITS]).item())
    assert terms == pytest.approx([0, 6.5, 13, 13])


@pytest.mark.parametrize("schedule", ALL)
def test_a_finished_schedule_is_at_full_strength(schedule):
    weighed, bounded = schedule(10, 400, weight=4.0), schedule(10, 400, capacity=3.0)
    weighed.finish()
    bounded.finish()
    assert weighed([UNITS]).item() == pytest.approx(13)
    assert bounded([UNITS]).item() == pytest.approx(0.25)


def test_the_figures_are_the_weight_and_the_capacity_in_force():
    weighed, levels, bounded = (
        Linear(10, 400, weight=4.0),
        Linear(10, 400, weight=[1.0, 3.0]),
        Linear(10, 400, weight=2.0, capacity=6.0),
    )
    for kl in (weighed, levels, bounded):
        kl.advance(25)
    assert weighed.figures() == {"kl_weight": 1.0}
    assert levels.figures() == {"kl_weight": 0.5}
    assert bounded.figures() == {"kl_weight": 2.0, "kl_capacity": 1.5}


def test_a_new_term_is_that_of_the_first_step():
    assert Linear(10, 1000)([UNITS]) == 0


def test_the_levels_of_a_ladder_are_summed():
    assert Constant(10, 10)([UNITS, 2 * UNITS]).item() == pytest.approx(9.75)


def test_each_level_may_have_its_own_weight():
    kl = Linear(10, 1000, length=1, weight=[1.0, 0.5])
    kl.advance(5)
    assert kl([UNITS, 2 * UNITS]).item() == pytest.approx(0.5 * (3.25 + 0.5 * 6.5))


def test_free_bits_floor_each_unit_after_the_batch_mean():
    # floored before the mean, the first unit would cost (0.25 + 0.3) / 2
    assert Constant(10, 10, free_bits=0.25)([UNITS]).item() == pytest.approx(0.25 + 3 + 0.25)


def test_a_unit_below_its_free_bits_has_no_gradient():
    units = UNITS.clone().requires_grad_()
    Constant(10, 10, free_bits=0.25)([units]).backward()
    assert units.grad.tolist() == [[0, 0.5, 0], [0, 0.5, 0]]


def test_each_level_may_have_its_own_free_bits():
    assert Constant(10, 10, free_bits=[0.25, 0.0])([UNITS, UNITS]).item() == pytest.approx(3.5 + 3.25)


def test_an_estimate_below_zero_is_not_clamped_without_free_bits():
    assert Constant(10, 10)([-UNITS]).item() == pytest.approx(-3.25)


@pytest.mark.parametrize(("step", "capacity"), [(0, 0), (5, 2.5), (10, 5), (30, 5)])
def test_the_schedule_moves_the_capacity_and_not_the_weight(step, capacity):
    kl = Linear(10, 1000, length=1, weight=10.0, capacity=5.0)
    kl.advance(step)
    assert kl([UNITS]).item() == pytest.approx(10 * abs(3.25 - capacity))
    assert kl.weight.item() == 10
    assert kl.capacity.item() == capacity


def test_a_capacity_of_zero_is_a_capacity():
    assert Constant(10, 10, capacity=0.0)([-UNITS]).item() == pytest.approx(3.25)


def test_the_capacity_is_for_the_sum_of_levels():
    assert Constant(10, 10, capacity=9.0)([UNITS, 2 * UNITS]).item() == pytest.approx(0.75)


@pytest.mark.parametrize("settings", [{"weight": [1.0, 1.0]}, {"free_bits": [0.1, 0.1]}])
def test_a_list_that_does_not_fit_the_levels_is_refused_by_name(settings):
    with pytest.raises(UserError, match=f"kl.{next(iter(settings))}: 2 numbers for 1 level"):
        Constant(10, 10, **settings).require_levels(1)


def test_weights_per_level_are_refused_with_a_capacity():
    with pytest.raises(UserError, match=r"kl.weight=.*kl.capacity"):
        Constant(10, 10, weight=[1.0, 2.0], capacity=3.0)


@pytest.mark.parametrize(
    ("schedule", "settings", "named"),
    [
        (Constant, {"weight": 4.0}, "kl.weight=4.0"),
        (Constant, {"weight": [1.0, 2.0]}, "kl.weight="),
        (Constant, {"free_bits": 0.1}, "kl.free_bits=0.1"),
        (Constant, {"capacity": 0.0}, "kl.capacity=0.0"),
        (Linear, {}, "kl=linear"),
        (Cyclical, {"weight": 1.0}, "kl=cyclical"),
    ],
)
def test_a_term_that_acts_on_the_kl_needs_a_density(schedule: type[KL], settings, named):
    needs = schedule.needs(settings)
    assert set(needs) == {"posterior.density"}
    assert needs["posterior.density"].startswith(named)


def test_a_plain_term_needs_nothing():
    assert Constant.needs({"weight": 1.0, "free_bits": 0.0, "capacity": None}) == {}
    assert Constant.needs({}) == {}


def test_the_picture_of_the_schedules_is_drawn(tmp_path: Path, figures_drawn):
    script = Path(__file__).parents[1] / "docs" / "pictures" / "kl_schedules.py"
    runpy.run_path(str(script))["draw"](tmp_path / "kl.png")
    assert (tmp_path / "kl.png").read_bytes().startswith(b"\x89PNG")
