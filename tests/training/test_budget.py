import torch

from vae_runner.training.budget import Budget, steps_per_epoch


def test_the_last_shorter_batch_is_a_step():
    assert steps_per_epoch(60_000, 128) == 469


def test_a_last_batch_of_one_example_is_left_out():
    assert steps_per_epoch(129, 128) == 1
    assert steps_per_epoch(130, 128) == 2


def test_fewer_examples_than_a_batch_are_one_step():
    assert steps_per_epoch(5, 128) == 1


def test_with_both_limits_the_first_reached_ends_the_run():
    assert Budget.of(1280, 128, epochs=3, steps=100, default_steps=1).steps == 30
    assert Budget.of(1280, 128, epochs=30, steps=100, default_steps=1).steps == 100


def test_without_a_limit_whole_epochs_come_closest_to_the_default():
    budget = Budget.of(60_000, 128, None, None, default_steps=5000)
    assert budget.steps == 11 * 469


def test_about_twenty_validations_fit_into_a_run_without_an_interval():
    assert Budget.of(1280, 128, epochs=100, steps=None, default_steps=1).interval(None, None) == 5 * 10
    assert Budget.of(1280, 128, epochs=3, steps=None, default_steps=1).interval(None, None) == 10


def test_an_interval_in_steps_wins_over_one_in_epochs():
    assert Budget.of(1280, 128, epochs=10, steps=None, default_steps=1).interval(2, 7) == 7
    assert Budget.of(1280, 128, epochs=10, steps=None, default_steps=1).interval(2, None) == 20


def test_the_order_of_an_epoch_is_a_permutation_given_by_seed_and_epoch():
    budget = Budget(100, 10, 10)
    order = budget.order(0, 0)
    assert torch.equal(order.sort().values, torch.arange(100))
    assert torch.equal(order, budget.order(0, 0))
    assert not torch.equal(order, budget.order(0, 1))
    assert not torch.equal(order, budget.order(1, 0))


def test_the_blocks_of_a_run_that_goes_on_are_the_rest_of_those_of_one_that_did_not_stop():
    budget = Budget.of(examples=10, batch_size=4, epochs=3, steps=None, default_steps=1)
    whole = [block.indices.tolist() for block in budget.blocks(0, 0, "cpu")]
    assert [len(block) for block in whole] == [4, 4, 2] * 3
    assert sorted(i for block in whole[3:6] for i in block) == list(range(10))
    assert [block.indices.tolist() for block in budget.blocks(0, 5, "cpu")] == whole[5:]
