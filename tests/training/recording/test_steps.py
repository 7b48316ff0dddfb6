"""Steps that are replayed do what steps do that are taken one by one: a recipe's step leaves nothing to Python."""

from types import SimpleNamespace

import pytest
import torch

from tests.helpers import config_of
from tests.waiting import NoWaiting
from vae_runner.build import build_experiment, build_trainer
from vae_runner.config import Tree, configs_directory
from vae_runner.run_directory import RunDirectory
from vae_runner.training import optimizers
from vae_runner.training.budget import Block
from vae_runner.training.fitting import Fitting
from vae_runner.training.recording.steps import WARM_UP, NotRecorded, RecordedSteps

VARIANTS = [f"variant={name}" for name in Tree([configs_directory()]).options("variant")]
OTHERS = [
    ("optimizer=sgd", "scheduler=cosine", "trainer.gradient_clip=1"),
    ("optimizer=adamw", "scheduler=exponential", "trainer.ema=0.9", "kl=cyclical", "kl.free_bits=0.1"),
    ("kl=linear", "kl.capacity=5"),
    ("optimizer=sgd", "optimizer.nesterov=true", "data.binarize=stochastic", "architecture.dropout=0.2"),
    ("corruption=mask_block", "corruption.level=[0.1,0.5]", "architecture.normalisation=batch"),
    ("architecture=resnet", "architecture.width=4", "trainer.precision=bf16"),
    ("condition=image", "variant=cvae", "architecture=conv", "architecture.width=4"),
    ("variant=vrnn", "data=text", "likelihood=categorical", "data.limit=700"),
    ("variant=vrae", "data=text", "likelihood=categorical", "data.limit=700", "architecture.word_dropout=0.3"),
]


def fitting_of(tmp_path, *overrides):
    torch.manual_seed(0)
    config = config_of("trainer.batch_size=40", "architecture.width=16", *overrides)
    fitting = Fitting(build_trainer(config), build_experiment(config), RunDirectory(tmp_path))
    torch.manual_seed(1)
    return fitting


def state_of(fitting):
    """Every tensor that outlives a step."""
    modules = [tensor for m in fitting.experiment.modules() for tensor in (*m.parameters(), *m.buffers())]
    moments = [
        value
        for player in fitting.players
        for entry in player.optimizer.state.values()
        for value in entry.values()
        if isinstance(value, torch.Tensor)
    ]
    sums = fitting.sums
    averages = [*fitting.average.sums, fitting.average.steps] if fitting.average else []
    return [*modules, *moments, *averages, sums.totals, sums.bad, sums.first_bad]


def steps(fitting, count):
    order = fitting.budget.order(0, 0)
    for step in range(count):
        size, shorter = (40, 0) if step % 3 else (24, 8)  # two kinds of batches
        length = fitting.experiment.data.space.shape[0] - shorter if fitting.experiment.model.any_length else None
        fitting.step(Block(order[step * 40 : step * 40 + size], length), step)


@pytest.mark.parametrize("overrides", [*((variant,) for variant in VARIANTS), *OTHERS], ids=" ".join)
def test_replayed_steps_move_everything_as_plain_ones_do(tmp_path, overrides):
    plain = fitting_of(tmp_path / "plain", *overrides, "trainer.record_steps=false")
    recorded = fitting_of(tmp_path / "recorded", *overrides)
    with NoWaiting():
        steps(plain, 3 * (WARM_UP + 3))
    random = torch.get_rng_state()
    torch.manual_seed(1)
    steps(recorded, 3 * (WARM_UP + 3))
    assert not isinstance(plain.take, RecordedSteps)
    assert not recorded.take.failed
    assert len(recorded.take.recordings) == 2
    assert torch.equal(random, torch.get_rng_state())
    for one, other in zip(state_of(plain), state_of(recorded), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)  # sums depend on where memory happens to lie


def test_a_step_that_is_not_finite_moves_nothing_when_it_is_replayed(tmp_path):
    fitting = fitting_of(tmp_path, "trainer.nonfinite=skip", "architecture.normalisation=batch")
    count = 3 * (WARM_UP + 3)
    steps(fitting, count)
    before = [tensor.clone() for m in fitting.experiment.modules() for tensor in m.state_dict().values()]
    x = fitting.experiment.data.train.x
    kept = x.clone()
    x.fill_(float("nan"))
    fitting.step(Block(fitting.budget.order(0, 0)[:40]), count)
    x.copy_(kept)  # other tests have the same
    assert len(fitting.take.recordings) == 2
    after = [tensor for m in fitting.experiment.modules() for tensor in m.state_dict().values()]
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    step, names = fitting.sums.take_bad()
    assert step == count
    assert "loss" in names


def test_an_optimizer_that_counts_in_python_is_not_recorded(tmp_path):
    assert not isinstance(fitting_of(tmp_path, "optimizer=rmsprop").take, RecordedSteps)


@pytest.mark.parametrize("takes", [True, False])
def test_a_step_that_cannot_be_recorded_is_taken_plainly_and_said_once(tmp_path, caplog, takes):
    plain = fitting_of(tmp_path / "plain", "trainer.record_steps=false")
    recorded = fitting_of(tmp_path / "recorded")

    def refuse(function, earlier):
        if takes:
            function()
        raise NotRecorded("operation not permitted", taken=takes)

    recorded.take = RecordedSteps(plain=recorded.take.plain, step=recorded.take.plain, record=refuse)
    with caplog.at_level("INFO"):
        steps(plain, 15)
        torch.manual_seed(1)
        steps(recorded, 15)
    said = [record.message for record in caplog.records if "recorded" in record.message]
    assert said == ["every step runs its Python anew, for it cannot be recorded: operation not permitted"]
    for one, other in zip(state_of(plain), state_of(recorded), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("factor", "in_module", "why"),
    [
        (lambda taken: taken, False, "Python gives aten::mul.Tensor something else in each"),
        (lambda taken: 1 + (taken > 15), True, "Python changes ELBO.taken"),  # which acts later
    ],
)
def test_a_step_that_python_changes_is_not_recorded(tmp_path, caplog, factor, in_module, why):
    def fit(name, *overrides):
        fitting = fitting_of(tmp_path / name, *overrides)
        objective = fitting.experiment.objective
        terms, kept = objective.terms, objective if in_module else SimpleNamespace()
        kept.taken = 0

        def changed(evidence, kl):
            kept.taken += 1
            return {name: term * factor(kept.taken) for name, term in terms(evidence, kl).items()}

        objective.terms = changed
        torch.manual_seed(1)
        steps(fitting, 20)
        return fitting

    with caplog.at_level("INFO"):
        plain, recorded = fit("plain", "trainer.record_steps=false"), fit("recorded")
    assert recorded.take.failed
    assert f"it cannot be recorded: {why}" in caplog.text
    for one, other in zip(state_of(plain), state_of(recorded), strict=True):
        assert torch.equal(one, other)


def test_a_step_that_asks_a_tensor_for_its_number_is_not_recorded(tmp_path, caplog):
    plain = fitting_of(tmp_path / "plain", "trainer.record_steps=false")
    recorded = fitting_of(tmp_path / "recorded")
    take = recorded.take.step
    recorded.take.step = lambda block, playing: (float(block.indices.sum()), take(block, playing))
    with caplog.at_level("INFO"):
        steps(plain, 15)
        torch.manual_seed(1)
        steps(recorded, 15)
    assert recorded.take.failed
    assert "Python reads what aten::_local_scalar_dense gives" in caplog.text
    for one, other in zip(state_of(plain), state_of(recorded), strict=True):
        assert torch.equal(one, other)


def test_the_learning_rate_is_saved_as_a_number_and_read_back_where_it_was_kept(tmp_path):
    fitting = fitting_of(tmp_path, "scheduler=exponential", "scheduler.gamma=0.5", "data.limit=400")
    optimizer = fitting.players[0].optimizer
    kept = optimizer.param_groups[0]["lr"]
    steps(fitting, 10)
    state = optimizers.state_of(optimizer)
    assert state["param_groups"][0]["lr"] == pytest.approx(1e-3 * 0.5 ** (9 / fitting.budget.steps_per_epoch))
    optimizers.restore_state(optimizer, state)
    assert optimizer.param_groups[0]["lr"] == kept
    assert optimizer.param_groups[0]["fused"]
