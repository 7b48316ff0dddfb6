"""Steps of several runs as one: each run moves as by itself, and what cannot be one says why."""

import json
import math

import pytest
import torch

from tests.helpers import config_of, fit
from vae_runner.build import build_experiment, build_trainer
from vae_runner.config import Tree, configs_directory
from vae_runner.run_directory import RunDirectory
from vae_runner.training import checkpoint
from vae_runner.training.budget import Block
from vae_runner.training.fitting import Fitting
from vae_runner.training.recording import compiled
from vae_runner.training.stacked.lockstep import Lockstep
from vae_runner.training.stacked.stack import DoesNotStack, Stack, Whole, require_alike
from vae_runner.training.stacked.steps import StackedSteps, release

PLAYERS = ("aae", "factor_vae", "piwae", "vae_gan")
OPERATORS = ("rae_gp", "svae", "vq_vae", "vrae", "vrnn")  # for which torch has no batched form, or no gradient
QUICK = ["trainer.batch_size=64", "architecture.width=16"]
STACKING = [v for v in Tree([configs_directory()]).options("variant") if v not in PLAYERS + OPERATORS]


def fitting_of(tmp_path, *overrides):
    config = config_of(*QUICK, *overrides)
    directory = RunDirectory(tmp_path / str(abs(hash(overrides))))
    return Fitting(build_trainer(config), build_experiment(config), directory)


def order(fitting, step):
    size = fitting.trainer.batch_size
    return fitting.budget.order(fitting.experiment.seed, 0)[step * size : (step + 1) * size]


def weights(fitting):
    return torch.cat([tensor.detach().flatten().clone() for tensor in fitting.experiment.model.state_dict().values()])


def take_alone(fitting, steps, start=0):
    for step in range(start, steps):
        fitting.step(Block(order(fitting, step)), step)


def take_as_one(steps, n, start=0):
    for step in range(start, n):
        steps.step([Block(order(fitting, step)) for fitting in steps.fittings], step)


AE = ["variant=ae"]
SETTINGS = [
    [*AE, "seed=0"],
    [*AE, "seed=1", "optimizer.lr=1e-2"],
    [*AE, "seed=2", "optimizer=sgd", "scheduler=cosine"],
    [*AE, "seed=3"],
    [*AE, "seed=4", "optimizer=rmsprop", "optimizer.momentum=0.5"],
]


@pytest.mark.parametrize(
    "shared",
    [
        [],
        ["trainer.gradient_clip=0.5"],
        ["trainer.ema=0.9"],
        ["trainer.nonfinite=skip"],
    ],
)
def test_runs_without_noise_move_as_each_does_by_itself(tmp_path, shared):
    alone = [fitting_of(tmp_path, *settings, *shared) for settings in SETTINGS]
    for fitting in alone:
        take_alone(fitting, 8)
    together = [fitting_of(tmp_path, *settings, *shared) for settings in SETTINGS]
    take_as_one(StackedSteps(together), 8)
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(weights(other), weights(one), rtol=1e-3, atol=1e-5)
        with one.averaged(), other.averaged():
            torch.testing.assert_close(weights(other), weights(one), rtol=1e-3, atol=1e-5)
        own, shared_sums = one.sums.window(), other.sums.window()
        assert list(own) == list(shared_sums)
        assert shared_sums == pytest.approx(own, rel=1e-4)


@pytest.mark.parametrize("settings", [["architecture.normalisation=batch"], ["variant=vq_vae", "prior=uniform"]])
def test_what_a_model_remembers_of_its_batches_is_its_own(tmp_path, settings):
    # by gradient descent, for Adam makes steps of the rounding where a gradient is zero
    settings = [*settings, "optimizer=sgd", "optimizer.lr=1e-4"]
    alone, together = ([fitting_of(tmp_path, *settings, f"seed={seed}") for seed in (0, 1)] for _ in range(2))
    for fitting in alone:
        torch.manual_seed(0)
        take_alone(fitting, 1)
    steps = StackedSteps(together)
    torch.manual_seed(0)
    take_as_one(steps, 1)
    buffers = [dict(fitting.experiment.model.named_buffers()) for fitting in (*alone, *together)]
    changed = [name for name in buffers[0] if not torch.allclose(buffers[0][name].float(), buffers[1][name].float())]
    assert changed
    for name in changed:  # of the first run, whose noise is the same both times
        torch.testing.assert_close(buffers[2][name], buffers[0][name], rtol=1e-3, atol=1e-5)
        assert not torch.allclose(buffers[3][name].float(), buffers[2][name].float())


@pytest.mark.parametrize("variant", STACKING)
def test_a_recipe_in_a_stack_of_one_takes_the_steps_it_takes_by_itself(tmp_path, variant):
    alone, stacked = (fitting_of(tmp_path, f"variant={variant}", "seed=0") for _ in range(2))
    torch.manual_seed(1)
    take_alone(alone, 3)
    steps = StackedSteps([stacked])
    torch.manual_seed(1)
    take_as_one(steps, 3)
    assert stacked.sums.window() == pytest.approx(alone.sums.window(), rel=1e-3, abs=1e-4)
    torch.testing.assert_close(weights(stacked), weights(alone), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("variant", PLAYERS + OPERATORS)
def test_a_recipe_that_does_not_stack_says_why(variant):
    experiments = [build_experiment(config_of(*QUICK, f"variant={variant}", f"seed={seed}")) for seed in (0, 1)]
    data = experiments[0].data
    batch = data.batch(data.train, torch.arange(8).repeat(2))
    why = ["its objective has several players", "torch has no batched form of", "it takes a gradient within the step"]
    reason = why[0] if variant in PLAYERS else why[2] if variant == "rae_gp" else why[1]
    with pytest.raises(DoesNotStack, match=reason):
        Stack(experiments).try_out(batch, "fp32")


def test_a_run_in_a_stack_is_left_alone_by_the_others(tmp_path):
    def first_of(*other):
        pair = [fitting_of(tmp_path, "seed=0"), fitting_of(tmp_path, "seed=1", *other)]
        steps = StackedSteps(pair)
        torch.manual_seed(0)
        take_as_one(steps, 4)
        return [weights(fitting) for fitting in pair]

    (one, other), (same, changed) = first_of(), first_of("kl.weight=30", "optimizer.lr=0.02")
    torch.testing.assert_close(same, one)
    assert not torch.allclose(changed, other, atol=1e-3)


def test_each_run_has_its_own_weight_of_the_kl_at_every_step(tmp_path):
    settings = [["kl.weight=3"], ["kl=linear", "kl.length=8", "kl.unit=steps"], ["kl.weight=0.5", "seed=2"]]
    runs = [fitting_of(tmp_path, *of_run) for of_run in settings]
    take_as_one(StackedSteps(runs), 5)
    means = [fitting.sums.window() for fitting in runs]
    assert means[0]["loss_kl"] == pytest.approx(3 * means[0]["kl"], rel=1e-4)
    assert 0 < means[1]["loss_kl"] < 0.6 * means[1]["kl"]
    assert means[2]["loss_kl"] == pytest.approx(0.5 * means[2]["kl"], rel=1e-4)


@pytest.mark.parametrize("key", ["kl.free_bits", "kl.capacity"])
def test_floors_and_capacities_may_differ_and_act(tmp_path, key):
    runs = [fitting_of(tmp_path, f"{key}={value}", f"seed={value}") for value in (2, 5)]
    alone = [fitting_of(tmp_path, f"{key}={value}", f"seed={value}") for value in (2, 5)]
    take_as_one(StackedSteps(runs), 1)
    for fitting in alone:
        take_alone(fitting, 1)
    for one, other in zip(alone, runs, strict=True):  # the KL of the first step has no noise in it
        assert other.sums.window()["loss_kl"] == pytest.approx(one.sums.window()["loss_kl"], rel=1e-5)


def test_numbers_of_an_objective_may_differ_and_act(tmp_path):
    runs = [fitting_of(tmp_path, "variant=rae_l2", f"objective.code_norm={value}") for value in (0.1, 0.4)]
    take_as_one(StackedSteps(runs), 1)
    few, many = (fitting.sums.window()["loss_code_norm"] for fitting in runs)
    assert many == pytest.approx(few * 4, rel=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (["kl.free_bits=0.1"], ["kl.free_bits=0"], "has_floor"),
        (["kl.capacity=5"], ["kl.capacity=null"], "full_capacity"),
        (["latent_dim=3"], ["latent_dim=4"], "of different shapes"),
        (["variant=iwae"], ["variant=vae"], "another kind"),
        (["variant=iwae"], ["variant=iwae", "objective.samples=3"], "iw_bound_5 in one and not in another"),
    ],
)
def test_differences_in_more_than_numbers_are_told(one, other, why):
    wholes = [Whole(build_experiment(config_of(*QUICK, *overrides))) for overrides in (one, other)]
    with pytest.raises(DoesNotStack, match=why):
        require_alike(wholes)


def test_a_number_that_decides_what_is_computed_is_told():
    values = (0, 0.5)
    experiments = [build_experiment(config_of(*QUICK, "variant=rae_l2", f"objective.weight_decay={v}")) for v in values]
    data = experiments[0].data
    with pytest.raises(DoesNotStack, match=r"depends on values, such as objective\.weight_decay"):
        Stack(experiments).try_out(data.batch(data.train, torch.arange(8).repeat(2)), "fp32")


def test_trying_out_leaves_no_trace():
    overrides = ["architecture.normalisation=batch", "data.binarize=stochastic"]
    experiments = [build_experiment(config_of(*QUICK, *overrides, f"seed={seed}")) for seed in (0, 1)]
    data = experiments[0].data
    batch = data.batch(data.train, torch.arange(8).repeat(2))
    before = [{k: v.clone() for k, v in experiment.model.state_dict().items()} for experiment in experiments]
    random = torch.get_rng_state()
    Stack(experiments).try_out(batch, "fp32")
    assert torch.equal(torch.get_rng_state(), random)
    for state, experiment in zip(before, experiments, strict=True):
        for name, tensor in experiment.model.state_dict().items():
            assert torch.equal(tensor, state[name])


@pytest.mark.parametrize("settings", [[], ["architecture.normalisation=batch"]])
def test_a_run_that_skips_a_step_leaves_its_own_weights_alone(tmp_path, settings):
    def run(seed):
        return fitting_of(tmp_path, *AE, *settings, "likelihood=gaussian", "trainer.nonfinite=skip", f"seed={seed}")

    runs = [run(0), run(1)]
    steps = StackedSteps(runs)
    take_as_one(steps, 2)
    before = [weights(fitting) for fitting in runs]
    data = runs[0].experiment.data
    honest = data.batch

    def corrupt(*chosen, **how):
        batch = honest(*chosen, **how)
        batch.x[-1] = math.nan  # an example of the last run
        return batch

    data.batch = corrupt
    take_as_one(steps, 3, start=2)
    assert not torch.equal(weights(steps.fittings[0]), before[runs.index(steps.fittings[0])])
    assert torch.equal(weights(steps.fittings[1]), before[runs.index(steps.fittings[1])])
    assert steps.fittings[0].sums.take_bad() is None
    assert steps.fittings[1].sums.take_bad()[0] == 2


def test_a_checkpoint_of_a_run_in_a_stack_holds_that_run_alone(tmp_path):
    runs = [fitting_of(tmp_path, f"seed={seed}") for seed in range(6)]
    alone = fitting_of(tmp_path, "seed=7")
    for fitting in [*runs, alone]:
        fitting.directory.path.mkdir()
    take_as_one(StackedSteps(runs), 2)
    take_alone(alone, 2)
    runs[3].checkpoint(2, 0.0)
    alone.checkpoint(2, 0.0)
    size, expected = (fitting.directory.last.stat().st_size for fitting in (runs[3], alone))
    assert size < 1.1 * expected


def test_a_run_that_leaves_a_stack_replays_nothing_that_was_recorded_before_it(tmp_path):
    def run(*settings):
        first, second = (fitting_of(tmp_path, *AE, f"seed={seed}", *settings) for seed in (0, 1))
        take_alone(first, 6)
        take_alone(second, 6)
        take_as_one(StackedSteps([first, second]), 8, start=6)
        release(first, 8)
        take_alone(first, 14, start=8)
        return first

    plain, recorded = run("trainer.record_steps=false"), run()
    assert recorded.take.recordings
    torch.testing.assert_close(weights(recorded), weights(plain), rtol=1e-3, atol=1e-5)


def test_a_smaller_stack_goes_on_where_a_larger_one_was(tmp_path):
    whole, parted = ([fitting_of(tmp_path, *settings) for settings in SETTINGS] for _ in range(2))
    take_as_one(StackedSteps(whole), 6)
    take_as_one(StackedSteps(parted), 3)
    rest = [parted[0], parted[2], parted[3]]
    take_as_one(StackedSteps(rest), 6, start=3)
    for fitting in (parted[1], parted[4]):
        take_alone(fitting, 6, start=3)
    for one, other in zip(whole, parted, strict=True):
        torch.testing.assert_close(weights(other), weights(one), rtol=1e-3, atol=1e-5)
        states = [json.dumps(sorted(map(str, fitting.players[0].optimizer.state_dict()))) for fitting in (one, other)]
        assert states[0] == states[1]


@pytest.mark.parametrize("settings", [[], ["optimizer=sgd", "trainer.gradient_clip=1"], ["trainer.ema=0.9"]])
def test_a_step_waits_for_nothing(tmp_path, no_waiting, settings):
    runs = [fitting_of(tmp_path, *settings, f"seed={seed}") for seed in (0, 1)]
    steps = StackedSteps(runs)
    with no_waiting():
        take_as_one(steps, 3)


@pytest.mark.parametrize("compiles", [False, True])
def test_recorded_and_compiled_steps_are_the_steps_themselves(tmp_path, monkeypatch, compiles):
    def stacked(*settings):
        different = (["seed=0"], ["seed=1", "optimizer.lr=1e-2"])
        return StackedSteps([fitting_of(tmp_path, *of_run, "kl=linear", *settings) for of_run in different])

    monkeypatch.setattr(compiled, "AFTER", 0)
    monkeypatch.setattr(compiled, "COMPILER", {"backend": "aot_eager"})
    plain, recorded = stacked("trainer.record_steps=false"), stacked(f"trainer.compile={compiles}")
    for steps in (plain, recorded):
        torch.manual_seed(0)
        take_as_one(steps, 9)
    (recording,) = recorded.take.recordings.values()
    assert isinstance(recording.replay, compiled.CompiledStep) == compiles
    assert not compiles or recording.replay._take is not recording.replay._plain
    for one, other in zip(plain.fittings, recorded.fittings, strict=True):
        torch.testing.assert_close(weights(other), weights(one), rtol=1e-3, atol=1e-5)
        assert other.sums.window() == pytest.approx(one.sums.window(), rel=1e-4)


def test_a_run_that_goes_on_from_an_earlier_step_catches_up_as_it_would_by_itself(tmp_path):
    def settings(seed, steps):
        budget = [f"trainer.steps={steps}", "trainer.validation_steps=100"]
        return [*QUICK, *AE, f"seed={seed}", *budget, "optimizer.lr=0.01"]

    for name, seed, steps in (("alone", 0, 10), ("behind", 0, 10), ("ahead", 1, 15)):
        fit(tmp_path / name, *settings(seed, steps))
    fit(tmp_path / "alone", *settings(0, 20), resume=True)

    configs = [config_of(*settings(seed, 20)) for seed in (0, 1)]
    experiments = [build_experiment(config) for config in configs]
    data = experiments[0].data
    Stack(experiments).try_out(data.batch(data.train, torch.arange(8).repeat(2)), "fp32")
    directories = [RunDirectory(tmp_path / name) for name in ("behind", "ahead")]
    trainings = [
        build_trainer(config).training(experiment, directory, resume=True)
        for config, experiment, directory in zip(configs, experiments, directories, strict=True)
    ]
    together = Lockstep(trainings, lambda numbers: None, lambda due: None)
    together.run()
    assert [result["steps"] for result in together.results] == [20, 20]
    one, other = (checkpoint.load(RunDirectory(tmp_path / name).last)["model"] for name in ("alone", "behind"))
    for name, tensor in one.items():
        # the prior is fitted to the codes in many steps, which make differences of rounding larger
        torch.testing.assert_close(other[name], tensor, rtol=1e-2 if "prior" in name else 1e-3, atol=1e-5)
