"""One training step: what it updates, what it leaves alone, and that it waits for nothing."""

import math

import pytest
import torch

from tests.helpers import QUICK, config_of
from tests.waiting import NoWaiting
from vae_runner.build import build_experiment, build_trainer
from vae_runner.run_directory import RunDirectory
from vae_runner.training.budget import Block
from vae_runner.training.fitting import Fitting


def fitting_of(tmp_path, *overrides):
    config = config_of(*QUICK, *overrides)
    return Fitting(build_trainer(config), build_experiment(config), RunDirectory(tmp_path))


def take(fitting, step=0, corrupt=None):
    data = fitting.experiment.data
    batch = data.batch(data.train, fitting.budget.order(0, 0)[:64])
    if corrupt is not None:
        batch.x[0] = corrupt
    fitting.training_step(batch, step)


def weights(fitting):
    return torch.cat([p.detach().flatten() for p in fitting.experiment.model.parameters()])


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("variant=ae",),
        ("variant=beta_vae", "kl=cyclical", "kl.free_bits=0.1"),
        ("kl.capacity=5", "kl=linear"),
        ("prior=mixture",),
        ("architecture=resnet", "architecture.width=4", "likelihood=continuous_bernoulli"),
        ("likelihood=gaussian", "likelihood.variance=pixel", "scheduler=cosine"),
        ("likelihood=laplace", "data.binarize=stochastic"),
        ("trainer.gradient_clip=1", "trainer.ema=0.9", "optimizer=sgd"),
        ("optimizer=adamw", "trainer.precision=bf16"),
    ],
    ids=" ".join,
)
def test_a_step_waits_for_nothing(tmp_path, overrides):
    fitting = fitting_of(tmp_path, *overrides)
    take(fitting, 0)  # the first step sets the sums up
    before = weights(fitting)
    order = fitting.budget.order(0, 0)
    with NoWaiting():
        fitting.step(Block(order[:64]), 1)
    assert not torch.equal(before, weights(fitting))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_fused_optimizers_move_by_gradients_that_lie_otherwise_in_memory(tmp_path, optimizer):
    # the gradient of a gradient of a transposed convolution comes with the first two axes exchanged
    settings = ["variant=rae_gp", "architecture=conv", "architecture.width=8", "latent_dim=4"]
    fused, plain = (fitting_of(tmp_path, *settings, f"optimizer={optimizer}") for _ in range(2))
    plain.players[0].optimizer = plain.experiment.optimizer.kind(
        plain.players[0].phase.parameters, **plain.experiment.optimizer.settings, fused=False
    )
    for fitting in (fused, plain):
        torch.manual_seed(0)
        take(fitting)
    torch.testing.assert_close(weights(fused), weights(plain), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_step_that_is_not_finite_changes_nothing(tmp_path, optimizer):
    fitting = fitting_of(tmp_path, f"optimizer={optimizer}")
    take(fitting, 0)
    before, state = weights(fitting), fitting.players[0].optimizer.state_dict()["state"]
    moments = torch.cat([value.flatten() for entry in state.values() for value in entry.values()]).clone()
    take(fitting, 1, corrupt=math.nan)
    state = fitting.players[0].optimizer.state_dict()["state"]
    assert torch.equal(before, weights(fitting))
    assert torch.equal(moments, torch.cat([value.flatten() for entry in state.values() for value in entry.values()]))


def test_layers_do_not_remember_the_batch_of_a_step_that_is_skipped(tmp_path):
    fitting = fitting_of(tmp_path, "architecture.normalisation=batch", "trainer.nonfinite=skip")
    take(fitting, 0)
    before = {name: tensor.clone() for name, tensor in fitting.experiment.model.named_buffers()}
    take(fitting, 1, corrupt=math.nan)
    for name, tensor in fitting.experiment.model.named_buffers():
        assert torch.equal(tensor, before[name]), name
    take(fitting, 2)
    assert int(fitting.experiment.model.get_buffer("decoder.layers.1.num_batches_tracked")) == 2


@pytest.mark.parametrize("optimizer", ["adamax", "radam", "rmsprop"])
def test_weights_stay_finite_through_a_step_that_is_not(tmp_path, optimizer):
    fitting = fitting_of(tmp_path, f"optimizer={optimizer}")
    take(fitting, 0)
    take(fitting, 1, corrupt=math.inf)
    assert weights(fitting).isfinite().all()


def test_what_is_not_finite_is_named_with_its_first_step_and_left_out_of_the_means(tmp_path):
    fitting = fitting_of(tmp_path)
    take(fitting, 0)
    take(fitting, 7, corrupt=math.nan)
    take(fitting, 8, corrupt=math.nan)
    first, names = fitting.sums.take_bad()
    assert first == 7
    assert "loss_reconstruction" in names
    assert "loss_kl" in names or "kl" not in names
    assert all(math.isfinite(value) for value in fitting.sums.window().values())
    assert fitting.sums.take_bad() is None


def test_the_loss_is_the_sum_of_its_terms(tmp_path):
    fitting = fitting_of(tmp_path, "variant=beta_vae", "kl.weight=4")
    take(fitting)
    means = fitting.sums.window()
    assert means["loss"] == pytest.approx(means["loss_reconstruction"] + means["loss_kl"], rel=1e-6)
    assert means["loss_kl"] == pytest.approx(4 * means["kl"], rel=1e-5)
    assert means["elbo"] == pytest.approx(means["log_px"] - means["kl"])


def test_means_weigh_batches_by_their_size(tmp_path):
    fitting = fitting_of(tmp_path)
    values = {"loss": torch.tensor(1.0)}, {"loss": torch.tensor(4.0)}
    fitting.sums.add(values[0], 30)
    fitting.sums.add(values[1], 10)
    assert fitting.sums.window()["loss"] == pytest.approx(1.75)
    assert fitting.sums.window() == {}
    assert fitting.sums.epoch()["loss"] == pytest.approx(1.75)


def test_clipping_bounds_the_update_of_plain_gradient_descent(tmp_path):
    fitting = fitting_of(
        tmp_path, "optimizer=sgd", "optimizer.lr=1", "optimizer.momentum=0", "trainer.gradient_clip=0.5"
    )
    before = weights(fitting)
    take(fitting)
    assert (weights(fitting) - before).norm() == pytest.approx(0.5, rel=1e-3)


def test_the_average_is_of_the_weights_after_each_step_and_not_of_the_first_ones(tmp_path):
    fitting = fitting_of(tmp_path, "trainer.ema=0.75")
    initial = weights(fitting)
    with fitting.averaged():
        assert torch.equal(weights(fitting), initial)  # there is nothing else yet
    take(fitting, 0)
    first = weights(fitting)
    with fitting.averaged():
        torch.testing.assert_close(weights(fitting), first)
    take(fitting, 1)
    second = weights(fitting)
    with fitting.averaged():
        torch.testing.assert_close(weights(fitting), (3 * first + 4 * second) / 7)
    assert torch.equal(weights(fitting), second)


def test_bf16_computes_in_bf16_and_keeps_weights_and_densities_in_fp32(tmp_path):
    fitting = fitting_of(tmp_path, "trainer.precision=bf16")
    seen = []
    fitting.experiment.model.decoder.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    take(fitting)
    assert seen == [torch.bfloat16]
    assert weights(fitting).dtype == torch.float32
    assert fitting.sums.window()["loss"] > 0
