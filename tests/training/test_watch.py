import logging

import pytest
import torch

from tests.helpers import fit
from vae_runner.evaluation.evaluate import Evaluation
from vae_runner.training.watch import Watch

LONG = [
    "trainer.batch_size=64",
    "architecture.width=32",
    "latent_dim=4",
    "trainer.steps=500",
    "trainer.validation_steps=100",
]
LONG += ["optimizer.lr=0.01", "architecture.depth=1"]


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def evaluation(loss=1.0, active=4, information=2.0, diversity=0.8):
    figures = {
        "loss": loss,
        "active_units": active,
        "mutual_information": information,
        "sample_diversity": diversity,
    }
    return Evaluation(figures, [torch.ones(4)], torch.zeros(2, 4), None, False, 100, 4)


def look(watch, n=3, training=None, **figures):
    for i in range(n):
        watch.at_validation(200 + i, evaluation(**figures), training or {}, True)


def test_a_planted_collapse_warns_exactly_once(tmp_path, caplog):
    fit(tmp_path, *LONG, "kl.weight=100")
    assert len(warnings(caplog)) == 1
    assert "posterior collapse: 0 of 4" in warnings(caplog)[0]
    assert "kl=linear" in warnings(caplog)[0]


@pytest.mark.parametrize(("warmup", "warned"), [(1000, True), (1, False)])
def test_a_warm_up_longer_than_the_run_is_taken_for_steps(tmp_path, caplog, warmup, warned):
    fit(
        tmp_path,
        "trainer=debug",
        "trainer.epochs=2",
        "trainer.steps=100",
        "scheduler=cosine",
        f"scheduler.warmup={warmup}",
    )
    said = f"scheduler.warmup={warmup} is in epochs, and the run has 2"
    assert any(said in line for line in warnings(caplog)) == warned


def test_a_healthy_run_is_not_warned_about(tmp_path, caplog):
    fit(tmp_path, *LONG)
    assert warnings(caplog) == []


def test_an_uninformative_latent_space_is_said_once(caplog):
    look(Watch(400), information=0.1)
    (said,) = warnings(caplog)
    assert "uninformative" in said
    assert "normalisation" in said


def test_of_a_ladder_it_is_the_top_level_that_is_uninformative(caplog):
    watch, ladder = Watch(400), evaluation(information=3.0)
    ladder.figures["level_2_mutual_information"] = 0.1
    ladder.kl_units = [torch.ones(4), torch.zeros(2)]
    for step in (200, 201):
        watch.at_validation(step, ladder, {}, True)
    (said,) = warnings(caplog)
    assert "the top level of the ladder is uninformative" in said


def test_samples_that_are_all_alike_are_said_once(caplog):
    look(Watch(400), diversity=0.05)
    (said,) = warnings(caplog)
    assert "samples cover few modes" in said


def test_a_collapse_is_not_said_three_times_in_other_words(caplog):
    look(Watch(400), active=0, information=0.0, diversity=0.0)
    assert len(warnings(caplog)) == 1


def test_a_young_model_may_look_bad(caplog):
    watch = Watch(400)
    for step in (10, 20, 30):
        watch.at_validation(step, evaluation(active=0), {}, True)
    assert warnings(caplog) == []


def test_one_bad_validation_is_no_trend(caplog):
    watch = Watch(400)
    look(watch, 1, active=0)
    look(watch, 1)
    look(watch, 1, active=0)
    assert warnings(caplog) == []


def test_overfitting_is_said_once(caplog):
    watch = Watch(400)
    for i, (train, validation) in enumerate([(10, 10), (8, 8.5), (7, 8), (6, 8.3), (5, 8.6), (4, 9), (3, 9.5)]):
        watch.at_validation(200 + i, evaluation(loss=validation), {"loss": float(train)}, True)
    (said,) = warnings(caplog)
    assert "overfitting: the validation loss has risen from 8 to" in said


def test_the_noise_of_a_run_that_has_settled_is_not_overfitting(caplog):
    watch = Watch(400)
    watch.at_log(50, 38.0)
    validations = [24.6, 24.2, 24.06, 24.08, 24.07, 24.1, 24.08, 23.92]
    for i, validation in enumerate(validations):
        watch.at_validation(200 + i, evaluation(loss=validation), {"loss": 24.5 - 0.1 * i}, True)
    assert warnings(caplog) == []


def test_a_validation_loss_that_follows_training_is_not_overfitting(caplog):
    watch = Watch(400)
    for i in range(10):
        watch.at_validation(200 + i, evaluation(loss=10.0 - i), {"loss": 9.5 - i}, True)
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("accuracy", "verdict", "advice"),
    [
        (0.995, "wins: 99.5%", "smaller objective.discriminator_learning_rate"),
        (0.5, "gives up: 50.0%", "larger objective.discriminator_learning_rate"),
        (0.3, "gives up: 30.0%", "larger objective.discriminator_learning_rate"),
    ],
)
def test_a_game_that_is_over_is_said_once(caplog, accuracy, verdict, advice):
    look(Watch(400), n=5, training={"discriminator_accuracy": accuracy})
    (said,) = warnings(caplog)
    assert verdict in said
    assert advice in said


@pytest.mark.parametrize("accuracy", [0.49, 0.503, 0.6, 0.9])
def test_a_game_that_goes_on_is_not_warned_about(caplog, accuracy):
    look(Watch(400), n=5, training={"discriminator_accuracy": accuracy})
    assert warnings(caplog) == []


def test_a_discriminator_may_win_for_a_moment(caplog):
    watch = Watch(400)
    for accuracy in (0.99, 0.8, 0.99, 0.7, 0.5, 0.6):
        look(watch, 1, training={"discriminator_accuracy": accuracy})
    assert warnings(caplog) == []


@pytest.mark.parametrize("first", [100.0, -100.0])
def test_a_loss_that_diverges_is_said_once(caplog, first):
    watch = Watch(400)
    for step, loss in enumerate([first, first - 10, first + 20, 1e4, 1e6]):
        watch.at_log(step, loss)
    (said,) = warnings(caplog)
    assert "diverges" in said
    assert "optimizer.lr" in said


def test_what_was_said_before_a_resume_is_not_said_again(caplog):
    watch, later = Watch(400), Watch(400)
    look(watch, diversity=0.05)
    later.load_state_dict(watch.state_dict())
    look(later, diversity=0.05)
    assert len(warnings(caplog)) == 1


def test_a_learning_rate_that_explodes_is_called_divergence_and_nothing_else(tmp_path, caplog):
    fit(tmp_path, *LONG, "optimizer.lr=10")
    (said,) = warnings(caplog)
    assert "the loss diverges" in said
