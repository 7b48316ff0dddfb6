"""Sequences are trained on in batches of like lengths, and no step beyond the longest of a batch is computed."""

import pytest
import torch

from tests.helpers import config_of, fit
from tests.training.test_resume import Stopped, assert_equal, stop_at, what_is_left
from vae_runner.build import build_experiment, build_trainer
from vae_runner.evaluation.evaluate import Preserved
from vae_runner.training.batches import batches
from vae_runner.training.buckets import POOL, Buckets
from vae_runner.training.budget import Budget

TEXT = ["data=text", "likelihood=categorical", "data.limit=200", "architecture.width=8", "latent_dim=2"]
LENGTHS = torch.arange(1, 31).repeat(11)  # 330 examples


def arranged(epoch, lengths=LENGTHS, count=6, batch_size=20):
    """The blocks of an epoch, and the buckets."""
    buckets = Buckets(lengths, 30, count)
    budget = Budget.of(len(lengths), batch_size, epoch + 1, None, 1)
    return [*budget.blocks(0, epoch * budget.steps_per_epoch, "cpu", buckets)], buckets


def experiment_of(*overrides):
    torch.manual_seed(0)
    return build_experiment(config_of(*TEXT, *overrides))


def test_every_example_is_in_one_block_of_an_epoch():
    blocks, _ = arranged(0)
    assert [len(block.indices) for block in blocks] == [20] * 16 + [10]
    assert torch.equal(torch.cat([block.indices for block in blocks]).sort().values, torch.arange(330))


def test_no_sequence_is_cut_and_few_lengths_are_padded_to():
    blocks, _ = arranged(0)
    assert all(block.steps >= LENGTHS[block.indices].max() for block in blocks)
    assert {block.steps for block in blocks} <= {5, 10, 15, 20, 25, 30}


def test_what_is_computed_is_little_more_than_what_there_is():
    blocks, _ = arranged(0)
    computed = sum(len(block.indices) * block.steps for block in blocks)
    assert computed < 1.3 * LENGTHS.sum()  # the longest of random batches would make it 1.9


def test_batches_of_another_epoch_are_others_and_their_lengths_come_in_another_order():
    (one, _), (other, _) = arranged(0), arranged(1)
    assert {frozenset(block.indices.tolist()) for block in one}.isdisjoint(
        frozenset(block.indices.tolist()) for block in other
    )
    lengths = [block.steps for block in one]
    assert lengths != sorted(lengths)
    assert lengths != [block.steps for block in other]


def test_an_example_meets_others_of_its_pool_alone():
    order = torch.randperm(330, generator=torch.Generator().manual_seed(0))
    buckets = Buckets(LENGTHS, 30, 6)
    batches_made = buckets.arrange(order, 20, torch.Generator())[:320].view(-1, 20)
    pool_of = torch.empty(330, dtype=torch.long)
    pool_of[order] = torch.arange(330) // (20 * POOL)
    assert all(len(pool_of[batch].unique()) == 1 for batch in batches_made)


def test_fewer_examples_than_a_batch_are_padded_to_their_longest():
    (block,), _ = arranged(0, lengths=torch.tensor([3, 7, 12]))
    assert block.steps == 15


def test_the_rest_of_an_epoch_is_as_if_it_had_not_been_interrupted():
    whole, buckets = arranged(0)
    rest = [*Budget.of(330, 20, 1, None, 1).blocks(0, 5, "cpu", buckets)]
    assert [(block.steps, block.indices.tolist()) for block in rest] == [
        (block.steps, block.indices.tolist()) for block in whole[5:]
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["variant=vrae"],
        ["variant=vrae", "architecture.encoder=convolutional"],
        ["variant=vrnn"],
        ["variant=[vrae,iwae]"],
        ["variant=[vrae,hvae]"],
        ["variant=[vrae,ss_vae]"],
        ["variant=[vrae,cvae]", "corruption=mask_block"],
    ],
    ids=" ".join,
)
def test_leaving_out_steps_that_no_sequence_has_changes_no_loss_and_no_gradient(overrides):
    experiment = experiment_of(*overrides)
    model, data = experiment.model.eval(), experiment.data
    indices = data.train.lengths.argsort()[:20]
    longest = int(data.train.lengths[indices].max())
    assert longest < data.space.shape[0]

    def outcome(steps):
        with Preserved(model, experiment.device, seed=0):
            batch = data.batch(data.train, indices, steps=steps)
        assert batch.x.shape[1] == (steps or data.space.shape[0])
        model.zero_grad()
        torch.manual_seed(0)
        terms, _ = experiment.objective.losses(model, batch, experiment.kl)
        loss = sum(terms["model"].values())
        loss.backward()
        return loss.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    (whole, gradients), (cut, gradients_of_cut) = outcome(None), outcome(longest)
    torch.testing.assert_close(cut, whole, rtol=1e-5, atol=1e-5)
    for one, other in zip(gradients, gradients_of_cut, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("overrides", "cuts"),
    [
        (["variant=vrae"], True),
        (["variant=vrnn"], True),
        (["variant=vrae", "trainer.length_buckets=1"], False),
        (["variant=[vrae,wae_mmd]"], False),
        (["variant=[vrnn,factor_vae]"], False),
        (["variant=vrae", "architecture.teacher_forcing=false"], False),
        (["variant=vrae", "data=series", "likelihood=gaussian"], False),
    ],
    ids=str,
)
def test_steps_are_left_out_where_nothing_has_the_size_of_a_whole_sequence(overrides, cuts):
    experiment = experiment_of(*overrides)
    trainer = build_trainer(experiment.config)
    budget = trainer.budget(len(experiment.data.train))
    coming = batches(experiment, budget, 0, lengths=trainer.length_buckets)
    lengths = {next(coming).steps for _ in range(budget.steps_per_epoch)}
    assert (lengths != {None}) == cuts


def test_a_run_that_was_interrupted_within_an_epoch_ends_as_one_that_was_not(tmp_path, monkeypatch):
    run = [*TEXT, "variant=vrae", "trainer.batch_size=16", "trainer.epochs=3", "trainer.checkpoint_steps=4"]
    fit(tmp_path / "whole", *run)
    stop_at(monkeypatch, 14)
    with pytest.raises(Stopped):
        fit(tmp_path / "part", *run)
    monkeypatch.undo()
    fit(tmp_path / "part", *run, resume=True)
    assert_equal(what_is_left(tmp_path / "whole"), what_is_left(tmp_path / "part"))
