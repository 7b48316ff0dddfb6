"""A run that was stopped and resumed equals one that was not, to the bit."""

import json
import math
from pathlib import Path

import pytest
import torch

from tests.helpers import QUICK, config_of, fit
from vae_runner.build import build_experiment, build_trainer
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.training import checkpoint
from vae_runner.training.fitting import Fitting

RUN = [*QUICK, "data.limit=300", "trainer.epochs=4", "trainer.validation_epochs=1", "trainer.ema=0.9"]
RUN += ["kl=linear", "kl.length=3", "scheduler=cosine", "data.binarize=stochastic", "architecture.dropout=0.1"]
TIMES = {"examples_per_second", "seconds"}


class Stopped(Exception):
    pass


def stop_at(monkeypatch, step):
    """Kills the run, as SIGKILL would, when it is about to take that step."""
    original = Fitting.step

    def dying(self, batch, at):
        if at == step:
            raise Stopped
        original(self, batch, at)

    monkeypatch.setattr(Fitting, "step", dying)


def stop_there(*_):
    raise Stopped


def what_is_left(directory: Path):
    run = RunDirectory(directory)
    state = checkpoint.load(run.last)
    state.pop("seconds")
    lines = [{key: value for key, value in line.items() if key not in TIMES} for line in run.read_metrics()]
    images = {str(path.relative_to(run.images)): path.read_bytes() for path in run.images.rglob("*.png")}
    summary = {key: value for key, value in run.summary().items() if key not in TIMES}
    return state, checkpoint.load(run.best), lines, images, summary


def assert_equal(one, other, where=""):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{where}[{i}]")
    else:
        assert one == other, where


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    fit(directory, *RUN)
    return what_is_left(directory)


@pytest.mark.parametrize("step", [1, 5, 7, 19], ids=["first epoch", "between epochs", "inside one", "last step"])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, monkeypatch, uninterrupted, figures_drawn, step):
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(Stopped):
            fit(tmp_path, *RUN, "trainer.checkpoint_steps=3")
    fit(tmp_path, *RUN, resume=True)
    for part, whole in zip(what_is_left(tmp_path), uninterrupted, strict=True):
        assert_equal(part, whole)


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_over(
    tmp_path, monkeypatch, uninterrupted, figures_drawn
):
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(Stopped):
            fit(tmp_path, *RUN)
    fit(tmp_path, *RUN, resume=True)
    assert_equal(what_is_left(tmp_path), uninterrupted)


@pytest.mark.parametrize("interval", [None, 15])
def test_so_does_one_whose_best_weights_were_kept_before_its_first_checkpoint(
    tmp_path, monkeypatch, uninterrupted, interval, figures_drawn
):
    settings = [*RUN, *([f"trainer.checkpoint_steps={interval}"] if interval else [])]
    with monkeypatch.context() as patch:
        if interval is None:  # killed between the first validation and the checkpoint that is due with it
            patch.setattr(Fitting, "checkpoint", stop_there)
        else:
            stop_at(patch, 12)
        with pytest.raises(Stopped):
            fit(tmp_path, *settings)
    directory, config = RunDirectory(tmp_path), config_of(*settings)
    assert directory.best.is_file()
    build_trainer(config).require_resumable(build_experiment(config), directory)
    fit(tmp_path, *RUN, resume=True)
    assert_equal(what_is_left(tmp_path), uninterrupted)


def test_a_checkpoint_that_was_lost_is_missed(tmp_path):
    fit(tmp_path, *RUN)
    directory, config = RunDirectory(tmp_path), config_of(*RUN, "trainer.epochs=6")
    directory.last.unlink()
    for left in ("metrics.jsonl", "summary.json"):  # either of them tells that there was one
        kept = (tmp_path / left).read_bytes()
        (tmp_path / left).unlink()
        with pytest.raises(UserError, match=r"last\.pt is not in .*; bring it back, or start a new run"):
            build_trainer(config).require_resumable(build_experiment(config), directory)
        (tmp_path / left).write_bytes(kept)


def test_the_summary_names_the_step_of_the_weights_it_is_of(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 17)  # the best weights of step 15 are kept, and the run stands at step 10
        with pytest.raises(Stopped):
            fit(tmp_path, *RUN, "trainer.checkpoint_steps=10")
    assert checkpoint.load(RunDirectory(tmp_path).best)["step"] == 15
    monkeypatch.setattr(Fitting, "_monitored", lambda *_: math.inf)  # as if it never came to as good a figure again
    summary = fit(tmp_path, *RUN, resume=True)
    assert summary["best_step"] == checkpoint.load(RunDirectory(tmp_path).best)["step"]
    assert summary["best_epoch"] == summary["best_step"] / 5


def test_no_step_is_logged_twice(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 14)
        with pytest.raises(Stopped):
            fit(tmp_path, *RUN, "trainer.checkpoint_steps=8")
    fit(tmp_path, *RUN, resume=True)
    logged = [(line["step"], line["split"]) for line in RunDirectory(tmp_path).read_metrics()]
    assert len(logged) == len(set(logged))
    assert logged == sorted(logged, key=lambda line: line[0])


def test_tensorboard_shows_each_step_once_after_a_kill_before_the_first_checkpoint(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(Stopped):
            fit(tmp_path, *RUN, "trainer.log_steps=1")
    fit(tmp_path, *RUN, "trainer.log_steps=1", resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/train")] == list(range(1, 21))


def test_a_torn_line_of_a_crash_is_dropped(tmp_path):
    run = RunDirectory(tmp_path)
    run.append_metrics({"step": 1, "loss": 2.0})
    with open(run.metrics, "a") as file:
        file.write('{"step": 2, "lo')
    run.cut_metrics(5)
    assert [json.loads(line) for line in run.metrics.read_text().splitlines()] == [{"step": 1, "loss": 2.0}]


def test_a_completed_run_goes_on_when_given_more_epochs(tmp_path):
    first = fit(tmp_path, *RUN)
    more = [text for text in RUN if not text.startswith("trainer.epochs")] + ["trainer.epochs=6"]
    second = fit(tmp_path, *more, resume=True)
    assert (first["epochs"], second["epochs"]) == (4, 6)
    assert second["train"]["loss"] < first["train"]["loss"]


def test_a_run_that_stopped_early_and_was_killed_when_it_went_on_goes_on_again(tmp_path, monkeypatch):
    settings = [*RUN, "trainer.epochs=500", "trainer.early_stopping=2", "optimizer.lr=0.05"]
    first = fit(tmp_path, *settings)
    assert first["epochs"] < 500
    directory, config = RunDirectory(tmp_path), config_of(*settings)
    with monkeypatch.context() as patch:
        stop_at(patch, first["steps"] + 1)
        with pytest.raises(Stopped):
            build_trainer(config).fit(build_experiment(config), directory, resume=True, extended=True)
    assert fit(tmp_path, *settings, resume=True)["steps"] >= first["steps"] + 10


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    fit(tmp_path, *RUN)
    with pytest.raises(UserError, match=r"last\.pt: does not fit the config beside it"):
        fit(tmp_path, *RUN, "latent_dim=5", "trainer.epochs=6", resume=True)


def test_fewer_epochs_than_are_done_are_refused(tmp_path):
    fit(tmp_path, *RUN)
    config = config_of(*RUN, "trainer.epochs=2")
    with pytest.raises(UserError, match="20 steps are done, more than the 10 asked for"):
        build_trainer(config).require_resumable(build_experiment(config), RunDirectory(tmp_path))


def test_data_that_has_lost_examples_since_is_refused(tmp_path):
    fit(tmp_path, *RUN)
    more = [text for text in RUN if not text.startswith("data.limit")]
    config = config_of(*more, "data.limit=290", "trainer.epochs=6")
    with pytest.raises(UserError, match=r"has \d+ examples to train on now, and the run began with \d+; bring them"):
        build_trainer(config).require_resumable(build_experiment(config), RunDirectory(tmp_path))


def test_validation_leaves_the_training_noise_as_it_was(tmp_path):
    runs = []
    for interval in (1, 2):
        config = config_of(*RUN, f"trainer.validation_epochs={interval}")
        directory = RunDirectory(tmp_path / str(interval))
        directory.lock()
        directory.config.write_text("seed: 0")
        runs.append(build_trainer(config).fit(build_experiment(config), directory))
        directory.unlock()
    assert runs[0]["train_running"] == runs[1]["train_running"]


def test_a_complete_run_that_another_limit_ends_is_refused_with_what_to_type(tmp_path):
    fit(tmp_path, *QUICK, "data.limit=300", "trainer.steps=4")
    config = config_of(*QUICK, "data.limit=300", "trainer.steps=4", "trainer.epochs=100")
    trainer, experiment = build_trainer(config), build_experiment(config)
    trainer.require_resumable(experiment, RunDirectory(tmp_path))
    with pytest.raises(UserError, match=r"all 4 steps are done, and trainer\.steps=4 ends it there: type .*=8 too"):
        trainer.require_resumable(experiment, RunDirectory(tmp_path), extended=True)
