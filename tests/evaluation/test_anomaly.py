"""Left-out classes told from the others, where the area under the curve is known or found in another way."""

import sys

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.helpers import QUICK, config_of
from vae_runner.build import build_experiment
from vae_runner.evaluation import likelihood
from vae_runner.evaluation.groups import GROUPS, Inapplicable, Settings, Subject
from vae_runner.evaluation.reconstructions import reconstruct

anomaly = GROUPS["anomaly"]
module = sys.modules[anomaly.__module__]
SCORES = ("negative_elbo", "negative_log_likelihood", "distortion", "reconstruction_error")


def subject_of(experiment, **settings) -> Subject:
    model, data = experiment.model, experiment.data
    return Subject(model, data, data.test, torch.device("cpu"), pytest.fail, settings=Settings(**settings))


def built(*overrides: str):
    return build_experiment(config_of(*QUICK, *overrides))


def taken(*overrides: str, **settings):
    return anomaly(subject_of(built(*overrides), **settings))


@pytest.mark.parametrize("deviation", [1.0, 2.0, 3.0])
def test_the_areas_are_those_in_closed_form_where_the_model_knows_nothing_but_a_gaussian(tmp_path, deviation):
    # networks of zeros: q(z|x) = p(z), p(x|z) = N(0, I), so that each score grows with |x|^2; in two dimensions that
    # is exponentially distributed, with a mean deviation^2 times as large for the anomalies
    random = np.random.default_rng(0)
    y = np.arange(6000) % 2
    x = random.normal(size=(6000, 2)) * np.where(y == 1, deviation, 1.0)[:, None]
    np.savez(tmp_path / "x.npz", x=x.astype(np.float32), y=y)
    where = ["data=arrays", f"data.path={tmp_path / 'x.npz'}", "data.test=4000", "data.leave_out=[1]"]
    experiment = built(*where, "likelihood=gaussian", "likelihood.scale=1")
    with torch.no_grad():
        for parameter in experiment.model.parameters():
            parameter.zero_()
    figures = anomaly(subject_of(experiment, weights=3))
    exact = deviation**2 / (1 + deviation**2)
    for score in SCORES:
        assert figures[f"auc_{score}_standard_error"] < 0.01
        assert abs(figures[f"auc_{score}"] - exact) < 3 * figures[f"auc_{score}_standard_error"]
    assert figures["left_out"] == "1"
    assert figures["examples"] == 4000
    assert 1800 < figures["anomalies"] < 2200


def test_the_figures_are_those_of_scikit_learn_on_scores_taken_in_another_way():
    experiment = built("data.leave_out=[0,6]")
    subject = subject_of(experiment, weights=400)
    figures = anomaly(subject)
    model, test = experiment.model, experiment.data.test
    with subject.preserved():
        batch = experiment.data.batch(test, torch.arange(len(test)))
        error = reconstruct(model, batch).squared_error
        evidence = model(batch, 400)
        bound = evidence.kl - evidence.log_px.mean(0)
        log_px = likelihood.importance_weighted(model, batch, 400)
    positive = (batch.y == 0) | (batch.y == 6)
    assert figures["auc_reconstruction_error"] == pytest.approx(roc_auc_score(positive, error), rel=1e-9)
    expected = average_precision_score(positive, error)
    assert figures["average_precision_reconstruction_error"] == pytest.approx(expected, rel=1e-9)
    # other draws of z
    assert figures["auc_negative_log_likelihood"] == pytest.approx(roc_auc_score(positive, -log_px), abs=0.02)
    assert figures["auc_negative_elbo"] == pytest.approx(roc_auc_score(positive, bound), abs=0.02)
    assert figures["anomalies"] == int(positive.sum())
    assert figures["left_out"] == "0, 6"


def test_draws_made_in_parts_count_as_one_estimate(monkeypatch):
    experiment = built("data.leave_out=[3]")
    batch = experiment.data.batch(experiment.data.test, torch.arange(10))
    whole = module._scores(experiment.model, batch, 2000)
    monkeypatch.setattr(likelihood, "ROWS", 30)
    in_parts = module._scores(experiment.model, batch, 2000)
    for score in SCORES:
        torch.testing.assert_close(in_parts[score], whole[score], atol=0.3, rtol=0)
    assert not torch.equal(in_parts["negative_elbo"], whole["negative_elbo"])


def test_a_code_without_noise_is_scored_by_its_reconstructions_alone():
    figures = taken("variant=ae", "data.leave_out=[1]")
    assert {name for name in figures if name.startswith("auc")} == {
        f"auc_{score}{end}" for score in ("distortion", "reconstruction_error") for end in ("", "_standard_error")
    }


@pytest.mark.parametrize("variant", ["hvae", "iwae", "ss_vae", "vrae", "vrnn", "vq_vae"])
def test_other_kinds_of_models_are_scored_too(variant):
    name = "sine" if variant.startswith("vr") else 1
    figures = taken(f"variant={variant}", f"data.leave_out=[{name}]", "latent_dim=20")
    assert 0 <= figures["auc_distortion"] <= 1
    assert figures["draws"] == 50


def test_a_run_that_left_no_class_out_has_no_anomalies():
    with pytest.raises(Inapplicable, match=r"left no class out; data\.leave_out="):
        taken()


def test_a_model_that_is_told_the_class_is_not_asked():
    with pytest.raises(Inapplicable, match="is told the class"):
        taken("variant=cvae", "data.leave_out=[1]")


def test_a_split_without_anomalies_is_not_scored():
    experiment = built("data.leave_out=[1]")
    subject = subject_of(experiment)
    subject.split = experiment.data.validation
    with pytest.raises(Inapplicable, match="none of these examples is of a class that was left out"):
        anomaly(subject)
