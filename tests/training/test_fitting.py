"""What the loop does around its steps: stopping, warning, keeping the best, and saying what broke."""

import logging
import math

import pytest
import torch

from tests.helpers import QUICK, config_of, fit
from vae_runner.build import build_experiment, build_trainer
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.training import checkpoint
from vae_runner.training.nonfinite import NonFinite
from vae_runner.training.step import TrainingStep

RUN = [*QUICK, "data.limit=300"]


def poison(monkeypatch, at, value=math.nan, forever=False):
    original = TrainingStep.gradients

    def poisoned(self, batch, playing):
        step = int(self.sums.step)
        if step == at or (forever and step > at):
            batch.x[0] = value
        return original(self, batch, playing)

    monkeypatch.setattr(TrainingStep, "gradients", poisoned)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_step_term_and_cause(tmp_path, monkeypatch):
    poison(monkeypatch, at=7)
    with pytest.raises(NonFinite, match=r"step 8: the loss is not finite, in its term reconstruction.*likely cause"):
        fit(tmp_path, *RUN, "trainer.epochs=4", "trainer.checkpoint_steps=5")


def test_the_last_good_checkpoint_is_kept(tmp_path, monkeypatch):
    poison(monkeypatch, at=7)
    with pytest.raises(NonFinite, match=r"the last good checkpoint is .*last\.pt"):
        fit(tmp_path, *RUN, "trainer.epochs=4", "trainer.checkpoint_steps=5")
    state = checkpoint.load(RunDirectory(tmp_path).last)
    assert state["step"] == 5
    assert all(value.isfinite().all() for value in state["model"].values())


def test_a_gradient_that_is_not_finite_is_told_from_a_loss(tmp_path, monkeypatch):
    class Cliff(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * math.inf

    config = config_of(*RUN, "trainer.epochs=1")
    experiment = build_experiment(config)
    experiment.model.decoder.register_forward_hook(lambda module, inputs, output: Cliff.apply(output))
    directory = RunDirectory(tmp_path)
    directory.lock()
    directory.config.write_text("seed: 0")
    with pytest.raises(NonFinite, match="step 1: the gradient is not finite though the loss is"):
        build_trainer(config).fit(experiment, directory)
    directory.unlock()


def test_a_bad_step_is_skipped_when_told_to(tmp_path, monkeypatch, caplog):
    poison(monkeypatch, at=7)
    with caplog.at_level(logging.WARNING):
        summary = fit(tmp_path, *RUN, "trainer.epochs=4", "trainer.nonfinite=skip")
    assert math.isfinite(summary["train"]["loss"])
    assert sum("the step was skipped" in record.message for record in caplog.records) == 1
    logged = [line["step"] for line in RunDirectory(tmp_path).read_metrics() if line["split"] == "train"]
    assert logged == [1, 5, 10, 15, 20]


@pytest.mark.parametrize("settings", [["trainer.log_steps=1"], ["trainer.log_steps=7", "trainer.validation_steps=8"]])
def test_a_bad_step_is_skipped_though_no_other_was_taken_since_the_last_line(tmp_path, monkeypatch, settings):
    poison(monkeypatch, at=7)
    summary = fit(tmp_path, *RUN, "trainer.epochs=4", "trainer.nonfinite=skip", *settings)
    assert math.isfinite(summary["train"]["loss"])
    assert summary["steps"] == 20


@pytest.mark.parametrize("log_steps", [1, 20])
def test_skipping_ends_after_ten_bad_steps_in_a_row(tmp_path, monkeypatch, log_steps):
    poison(monkeypatch, at=20, forever=True)
    with pytest.raises(NonFinite):
        fit(tmp_path, *RUN, "trainer.steps=40", "trainer.nonfinite=skip", f"trainer.log_steps={log_steps}")
    logged = [line["step"] for line in RunDirectory(tmp_path).read_metrics() if line["split"] == "train"]
    assert logged[-1] == 20


def test_skipping_ends_when_no_step_is_left(tmp_path, monkeypatch):
    poison(monkeypatch, at=7, forever=True)
    with pytest.raises(NonFinite):
        fit(tmp_path, *RUN, "trainer.epochs=40", "trainer.nonfinite=skip")


def test_early_stopping_ends_a_run_that_no_longer_improves(tmp_path):
    summary = fit(
        tmp_path,
        *RUN,
        "trainer.epochs=500",
        "trainer.validation_epochs=1",
        "trainer.early_stopping=2",
        "optimizer.lr=0.05",
    )
    assert summary["epochs"] < 500
    assert summary["epochs"] == summary["best_epoch"] + 2


def test_the_summary_is_of_the_best_weights(tmp_path):
    summary = fit(tmp_path, *RUN, "trainer.epochs=30", "trainer.validation_epochs=2", "optimizer.lr=0.02")
    run = RunDirectory(tmp_path)
    validations = {line["step"]: line["loss"] for line in run.read_metrics() if line["split"] == "validation"}
    assert min(validations, key=validations.get) == summary["best_step"] == checkpoint.load(run.best)["step"]
    assert summary["validation"]["loss"] == pytest.approx(min(validations.values()), rel=1e-6)


@pytest.mark.parametrize("monitor", ["loss", "elbo", "log_px"])
def test_the_monitored_figure_picks_the_best(tmp_path, monitor):
    summary = fit(
        tmp_path,
        *RUN,
        "trainer.epochs=6",
        "trainer.validation_epochs=1",
        f"trainer.monitor={monitor}",
        "variant=beta_vae",
    )
    lines = [line for line in RunDirectory(tmp_path).read_metrics() if line["split"] == "validation"]
    better = min if monitor == "loss" else max
    assert better(lines, key=lambda line: line[monitor])["step"] == summary["best_step"]


@pytest.mark.parametrize("given", [["trainer.monitor=last"], ["variant=vae_gan", "objective.width=4"]])
def test_the_last_weights_are_the_best_where_that_is_said_or_the_loss_is_a_moving_target(tmp_path, given):
    summary = fit(tmp_path, *RUN, "trainer.epochs=3", "trainer.validation_epochs=1", "optimizer.lr=0.3", *given)
    assert summary["monitor"] == "last"
    assert summary["best_step"] == summary["steps"] == checkpoint.load(RunDirectory(tmp_path).best)["step"]


@pytest.mark.parametrize("given", ["trainer.early_stopping=2", "scheduler=plateau"])
def test_nothing_waits_for_the_last_weights_to_improve(tmp_path, given):
    with pytest.raises(UserError, match=f"^{given.partition('=2')[0]}: waits .* type trainer.monitor=log_px"):
        fit(tmp_path, *RUN, "trainer.epochs=1", "variant=aae", given)


def test_without_a_validation_split_the_last_weights_are_the_best(tmp_path):
    summary = fit(tmp_path, *RUN, "trainer.epochs=3", "data.validation=0")
    assert summary["validation"] is None
    assert summary["best_step"] == summary["steps"]
    assert summary["train"]["loss"] > 0


def test_the_summary_holds_what_others_rely_on(tmp_path):
    summary = fit(tmp_path, *RUN, "trainer.epochs=2")
    for split in ("train", "validation", "test"):
        assert {"loss", "elbo", "log_px", "kl", "active_units", "mutual_information"} <= summary[split].keys()
    assert {"seconds", "examples_per_second", "parameters", "best_epoch", "train_running"} <= summary.keys()
    assert summary["examples"]["train"] == 300
    config = config_of(*RUN)
    assert summary["parameters"] == sum(p.numel() for p in build_experiment(config).model.parameters())


def test_an_autoencoder_has_no_bound(tmp_path):
    summary = fit(tmp_path, *RUN, "trainer.epochs=2", "variant=ae")
    assert summary["test"]["elbo"] is summary["test"]["kl"] is summary["test"]["mutual_information"] is None
    assert summary["kl_estimator"] is None
    assert summary["test"]["loss"] == pytest.approx(-summary["test"]["log_px"])


def test_a_monte_carlo_kl_is_called_an_estimate(tmp_path):
    summary = fit(tmp_path, *RUN, "trainer.epochs=1", "prior=mixture")
    assert summary["kl_estimator"].startswith("Monte Carlo")


def test_the_average_is_what_is_evaluated(tmp_path):
    settings = [*RUN, "trainer.epochs=8", "trainer.monitor=last", "optimizer.lr=0.01"]
    averaged = fit(tmp_path / "averaged", *settings, "trainer.ema=0.9999")
    plain = fit(tmp_path / "plain", *settings)
    run = RunDirectory(tmp_path / "averaged")
    last, best = checkpoint.load(run.last), checkpoint.load(run.best)
    steps = int(last["average"]["steps"])
    assert steps == averaged["steps"]
    # all steps count nearly alike, so that early weights drag the mean behind
    for name, total in zip(
        dict(build_experiment(config_of(*settings)).model.named_parameters()), last["average"]["sums"], strict=True
    ):
        torch.testing.assert_close(best["model"][name], total / (1 - 0.9999**steps), rtol=1e-3, atol=1e-5)
    assert averaged["train_running"]["loss"] == plain["train_running"]["loss"]
    assert averaged["test"]["loss"] != plain["test"]["loss"]


def test_every_scheduler_reaches_the_optimizer(tmp_path):
    for scheduler, rises in [("cosine", False), ("step", False), ("exponential", False), ("none", None)]:
        fit(tmp_path / scheduler, *RUN, "trainer.epochs=11", f"scheduler={scheduler}")
        rates = [
            line["learning_rate"]
            for line in RunDirectory(tmp_path / scheduler).read_metrics()
            if line["split"] == "train"
        ]
        if rises is None:
            assert set(rates) == {rates[0]}
        else:
            assert rates[-1] < rates[0]


def test_plateau_lowers_the_rate_when_validation_stalls(tmp_path):
    fit(
        tmp_path,
        *RUN,
        *("trainer.epochs=12", "trainer.validation_epochs=1", "scheduler=plateau", "scheduler.patience=0"),
        *("optimizer=sgd", "optimizer.lr=1e-7"),
    )
    rates = [line["learning_rate"] for line in RunDirectory(tmp_path).read_metrics() if line["split"] == "train"]
    assert rates[-1] < rates[0]


@pytest.mark.parametrize(("given", "expected"), [([], 100), (["trainer.evaluation_examples=60"], 60)])
def test_at_the_end_a_part_of_a_large_training_split_is_evaluated(tmp_path, monkeypatch, given, expected):
    monkeypatch.setattr("vae_runner.training.summary.TRAINING", 100)
    summary = fit(tmp_path, *QUICK, "trainer.epochs=1", *given)
    assert summary["examples"]["train"] == expected
    assert summary["examples"]["test"] == (60 if given else 297)
