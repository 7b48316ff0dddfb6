"""The examples that figures are of: sequences come in blocks of like lengths, and to the same figures."""

import dataclasses

import pytest
import torch

from tests.helpers import config_of
from vae_runner.build import build_experiment
from vae_runner.data.splits import TensorSplit, mixed
from vae_runner.evaluation import blocks as module
from vae_runner.evaluation import evaluate as evaluating
from vae_runner.evaluation import likelihood
from vae_runner.evaluation.blocks import blocks, means_are_of_any_blocks

CPU = torch.device("cpu")
TEXT = ["data=text", "likelihood=categorical", "architecture.width=8", "latent_dim=2"]
SPLIT = TensorSplit(torch.zeros(330, 30, 2), lengths=torch.arange(1, 31).repeat(11))


def experiment_of(variant, *overrides):
    torch.manual_seed(0)
    return build_experiment(config_of(f"variant={variant}", *TEXT, *overrides))


def longest(split):
    return int(split.lengths.max())


def evaluated(e):
    return evaluating.evaluate(e.model, e.objective, e.kl, e.data, e.data.validation, e.device)


def uncut(monkeypatch, place):
    """From here on the same blocks, as long as sequences are stored."""
    monkeypatch.setattr(place, "blocks", lambda *a, **k: [dataclasses.replace(b, steps=None) for b in blocks(*a, **k)])


def test_blocks_of_like_lengths_are_of_the_same_examples_and_cut_none():
    found = blocks(SPLIT, CPU, 200, size=64, by_length=True)
    order = mixed(330)[:200]
    assert [len(block.indices) for block in found] == [50] * 4  # no fewer than four
    assert torch.equal(torch.cat([block.places for block in found]).sort().values, torch.arange(200))
    assert all(torch.equal(order[block.places], block.indices) for block in found)
    assert [block.steps for block in found] == [int(SPLIT.lengths[block.indices].max()) for block in found]
    assert found[0].steps < 10 < found[-1].steps


def test_other_blocks_are_in_the_order_of_all():
    for split, by_length in ((SPLIT, False), (TensorSplit(torch.zeros(330, 2)), True)):
        found = blocks(split, CPU, 200, size=150, by_length=by_length)
        assert torch.equal(torch.cat([block.indices for block in found]), mixed(330)[:200])
        assert [(len(block.indices), block.steps) for block in found] == [(150, None), (50, None)]


@pytest.mark.parametrize("variant", ["vrae", "vrnn", "[vrae,iwae]", "[vrnn,iwae]"])
def test_figures_are_the_same_as_of_sequences_that_are_not_cut(variant, monkeypatch):
    experiment = experiment_of(variant)
    if "vrnn" in variant:  # what is drawn for a step that is cut off shifts the noise of the blocks after it
        monkeypatch.setattr(module, "LEAST", 1)
        experiment.data.validation = experiment.data.validation.subset(torch.arange(50))
        assert longest(experiment.data.validation) < experiment.data.validation.shape[0]
    cut = evaluated(experiment)
    uncut(monkeypatch, evaluating)
    whole = evaluated(experiment)
    assert cut.figures.keys() == whole.figures.keys()
    for name, value in whole.figures.items():
        assert cut.figures[name] == (None if value is None else pytest.approx(value, rel=1e-5)), name
    assert cut.codes.shape == whole.codes.shape
    torch.testing.assert_close(cut.codes, whole.codes, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(cut.kl_units[0], whole.kl_units[0], rtol=1e-4, atol=1e-6)


def test_a_likelihood_is_the_same_as_of_sequences_that_are_not_cut(monkeypatch):
    experiment = experiment_of("vrae")
    of = (experiment.model, experiment.data, experiment.data.validation, CPU)
    cut = likelihood.bounds(*of, samples=5, limit=120)
    uncut(monkeypatch, likelihood)
    whole = likelihood.bounds(*of, samples=5, limit=120)
    for draws in (1, 2, 5):
        torch.testing.assert_close(cut[draws], whole[draws], rtol=1e-6, atol=1e-5)


def test_codes_and_likelihoods_come_in_the_order_of_all_examples():
    experiment = experiment_of("vrae")
    model, data, split = experiment.model, experiment.data, experiment.data.validation
    batch = data.batch(split, mixed(len(split)))
    with torch.no_grad():
        codes = model.eval().encode(batch)[0]
    torch.testing.assert_close(evaluated(experiment).codes, codes, rtol=1e-4, atol=1e-5)
    bounds = likelihood.bounds(model, data, split, CPU, samples=1)[1]
    lengths = batch.mask.flatten(1).sum(1)  # an untrained model gives every step about the same
    assert torch.corrcoef(torch.stack([-bounds, lengths.double()]))[0, 1] > 0.99


@pytest.mark.parametrize(
    ("overrides", "any_blocks"),
    [
        (["variant=vrae"], True),
        (["variant=vrnn"], True),
        (["variant=vrae", "kl.free_bits=0.5"], False),  # the floor is under the mean of a block
        (["variant=vrae", "kl.capacity=5"], False),
        (["variant=[vrae,dip_vae_i]"], False),
        (["variant=vrae", "architecture.teacher_forcing=false"], False),
    ],
)
def test_blocks_of_like_lengths_are_for_what_is_a_mean_over_examples(overrides, any_blocks):
    e = build_experiment(config_of(*TEXT, *overrides))
    assert means_are_of_any_blocks(e.model, e.objective, e.kl) == any_blocks
