import math

import pytest
import torch

from tests.helpers import QUICK, config_of
from vae_runner.build import build_experiment
from vae_runner.data.splits import TensorSplit, mixed
from vae_runner.evaluation import blocks
from vae_runner.evaluation.evaluate import Preserved, evaluate
from vae_runner.evaluation.groups import GROUPS, Subject
from vae_runner.evaluation.traversals import traverse


def experiment_of(*overrides):
    return build_experiment(config_of(*QUICK, *overrides))


def figures(experiment, **options):
    e = experiment
    return evaluate(e.model, e.objective, e.kl, e.data, e.data.train, e.device, **options)


def test_deterministic_figures_do_not_depend_on_the_block_size(monkeypatch):
    experiment = experiment_of()
    results = []
    for block in (1000, 77):
        monkeypatch.setattr(blocks, "BLOCK", block)
        results.append(figures(experiment))
    assert results[0].figures["kl"] == pytest.approx(results[1].figures["kl"], rel=1e-5)
    torch.testing.assert_close(results[0].kl_units[0], results[1].kl_units[0], rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(results[0].codes, results[1].codes, rtol=1e-5, atol=1e-6)
    assert results[0].figures["active_units"] == results[1].figures["active_units"]


def test_figures_of_groups_that_are_not_drawn_do_not_depend_on_the_block_size(monkeypatch):
    e, found = experiment_of(), []
    for block in (1000, 77):
        monkeypatch.setattr(blocks, "BLOCK", block)
        subject = Subject(e.model, e.data, e.data.test, e.device, pytest.fail)
        taken = {name: GROUPS[name](subject) for name in ("reconstruction", "latents", "usefulness")}
        drawn = ("distortion", "distortion_standard_error")
        found.append({name: value for name, value in taken["reconstruction"].items() if name not in drawn})
        found[-1] |= {"units": torch.tensor(taken["latents"]["unit_information"]), **taken["usefulness"]}
    torch.testing.assert_close(found[0].pop("units"), found[1].pop("units"), rtol=1e-5, atol=1e-8)
    assert {"rate", "mean_squared_error", "psnr", "ssim", "distortion_at_mean", "knn_accuracy"} <= set(found[0])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_block_of_large_examples_has_fewer_of_them():
    split = experiment_of("data=sprites", "data.limit=600", "architecture=conv").data.train
    sizes = [len(block.indices) for block in blocks.blocks(split, torch.device("cpu"))]
    assert sizes == [blocks.VALUES // 64**2, 600 - blocks.VALUES // 64**2]


def test_the_mutual_information_is_of_as_many_examples_however_large_they_are(monkeypatch):
    experiment = experiment_of()
    head = experiment.model.posterior_heads[0]
    with torch.no_grad():  # posteriors so far apart that the estimate is at its bound, the log of the examples
        head.weight[:4] *= 1000
        head.weight[4:] = 0
        head.bias[4:] = -8
    monkeypatch.setattr(blocks, "VALUES", 100 * 64)
    assert figures(experiment).figures["mutual_information"] == pytest.approx(math.log(512), abs=0.01)


def test_a_figure_is_the_same_whenever_it_is_taken_and_leaves_no_trace():
    experiment = experiment_of("data.binarize=stochastic", "architecture.dropout=0.5")
    experiment.model.train()
    state = torch.get_rng_state()
    first = figures(experiment)
    assert torch.equal(state, torch.get_rng_state())
    assert experiment.model.training
    torch.randn(10)
    assert figures(experiment).figures == first.figures


def test_the_bound_is_the_log_likelihood_less_the_kl():
    result = figures(experiment_of("variant=beta_vae", "kl.weight=4")).figures
    assert result["elbo"] == pytest.approx(result["log_px"] - result["kl"])
    assert result["loss"] == pytest.approx(-result["log_px"] + 4 * result["kl"], rel=1e-5)


def test_the_standard_errors_of_the_bound_and_its_terms_are_over_examples(monkeypatch):
    experiment = experiment_of("likelihood.scale=1", "likelihood=gaussian")
    with torch.no_grad():  # posteriors without noise, so that the bound of an example can be found again
        experiment.model.posterior_heads[0].bias[4:] = -30
        experiment.model.posterior_heads[0].weight[4:] = 0
    batch = experiment.data.batch(experiment.data.train, torch.arange(len(experiment.data.train)))
    with torch.no_grad():
        q = torch.distributions.Normal(experiment.model.eval().encode(batch)[0], math.exp(-15))
        kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
        x = torch.distributions.Normal(experiment.model.reconstruct(batch), 1)
        log_px = x.log_prob(batch.x).flatten(1).sum(1)
        terms = {"log_px": log_px.numpy(), "kl": kl.numpy(), "elbo": (log_px - kl).numpy()}
    for block in (1000, 77):
        monkeypatch.setattr(blocks, "BLOCK", block)
        found = figures(experiment).figures
        for name, values in terms.items():
            assert found[name] == pytest.approx(values.mean(), rel=1e-4)
            error = values.std(ddof=1) / len(values) ** 0.5
            assert found[f"{name}_standard_error"] == pytest.approx(error, rel=1e-3)


def test_units_add_up_to_the_kl():
    result = figures(experiment_of())
    (units,) = result.kl_units
    assert float(units.sum()) == pytest.approx(result.figures["kl"], rel=1e-5)
    assert len(units) == result.units == 4


def test_a_channel_of_spatial_latents_is_one_unit():
    result = figures(experiment_of("architecture=conv", "architecture.width=4", "architecture.spatial=true"))
    assert result.units == len(result.kl_units[0]) == 4
    assert result.codes.shape[1] > 4


def test_each_level_of_a_ladder_has_its_units_and_its_kl():
    result = figures(experiment_of("variant=hvae"))
    assert [len(units) for units in result.kl_units] == [4, 2]
    for number, units in enumerate(result.kl_units, 1):
        assert float(units.sum()) == pytest.approx(result.figures[f"level_{number}_kl"], rel=1e-5)
    assert result.figures["level_1_kl"] + result.figures["level_2_kl"] == pytest.approx(result.figures["kl"], rel=1e-5)
    active = [result.figures[f"level_{number}_active_units"] for number in (1, 2)]
    assert sum(active) == result.figures["active_units"]


def test_a_level_that_only_follows_the_draws_above_it_is_not_active():
    experiment = experiment_of("variant=hvae")
    with torch.no_grad():
        for head in experiment.model.posterior_heads:  # says nothing of x
            head.weight.zero_()
            head.bias.zero_()
        experiment.model.prior_heads[0].weight[:4] *= 20
    result = figures(experiment)
    batch = experiment.data.batch(experiment.data.train, torch.arange(200))
    below = experiment.model.eval().infer(batch)[0]
    assert (below.code.var(0) > 0.01).all(), "it does follow them"
    assert result.figures["active_units"] == result.figures["level_1_active_units"] == 0


@pytest.mark.parametrize("variant", ["hvae", "vrnn"])
def test_codes_are_those_of_encoding(variant):
    experiment = experiment_of(f"variant={variant}", "data.limit=80")
    result = figures(experiment)
    batch = experiment.data.batch(experiment.data.train, mixed(len(result.codes)))
    codes = torch.cat([code.flatten(1) for code in experiment.model.eval().encode(batch)], 1)
    torch.testing.assert_close(result.codes, codes)


def test_the_variance_of_a_unit_with_steps_is_taken_at_each_of_them():
    experiment = experiment_of("variant=vrnn", "data.limit=80")
    with torch.no_grad():
        experiment.model.posterior_heads[0].weight[0] *= 4
    batch = experiment.data.batch(experiment.data.train, torch.arange(len(experiment.data.train)))
    code = experiment.model.eval().encode(batch)[0].detach().numpy()
    at_steps, of_means = code.var(0, ddof=1).mean(1), code.mean(2).var(0, ddof=1)
    active = figures(experiment).figures["active_units"]
    assert active == (at_steps > 0.01).sum() > (of_means > 0.01).sum()


def test_units_whose_codes_differ_between_examples_are_active():
    experiment = experiment_of()
    head = experiment.model.posterior_heads[0]
    with torch.no_grad():
        head.weight[:4] = 0
        head.bias[:4] = torch.tensor([5.0, 0, 0, 0])
        head.weight[1] = 1.0
    result = figures(experiment)
    variance = result.codes.var(0)
    assert result.figures["active_units"] == int((variance > 0.01).sum()) == 1


def test_a_limit_takes_the_first_examples():
    result = figures(experiment_of(), limit=50)
    assert result.examples == 50
    assert len(result.codes) == 50


def test_codes_come_with_their_labels():
    experiment = experiment_of()
    result = figures(experiment)
    train = experiment.data.train
    batch = experiment.data.batch(train, mixed(len(train)))
    assert torch.equal(result.labels, batch.y)
    torch.testing.assert_close(result.codes, experiment.model.encode(batch)[0], rtol=1e-4, atol=1e-5)


def test_a_few_examples_of_a_split_that_is_stored_class_by_class_are_of_all_classes():
    y = torch.arange(10).repeat_interleave(500)
    split = TensorSplit(torch.zeros(5000, 3), y)
    (chosen,) = (block.indices for block in blocks.blocks(split, torch.device("cpu"), limit=200))
    shares = y[chosen].bincount(minlength=10)
    assert int(shares.min()) >= 8  # 20 of each are expected
    assert len(chosen.unique()) == 200
    more = torch.cat([block.indices for block in blocks.blocks(split, torch.device("cpu"), limit=1500)])
    assert torch.equal(more[:200], chosen)


def test_the_same_seed_gives_the_same_noise():
    experiment = experiment_of()
    draws = []
    for _ in range(2):
        with Preserved(experiment.model, experiment.device, seed=3):
            draws.append(experiment.model.sample(4))
    assert torch.equal(*draws)


def test_a_traversal_moves_one_unit_and_holds_the_others():
    experiment = experiment_of()
    data = experiment.data
    batch = data.batch(data.train, torch.arange(64))
    seen = []
    experiment.model.eval()
    hook = experiment.model.decoder.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    (result,) = traverse(experiment.model, batch, units=3, values=5)
    hook.remove()
    assert result.x.shape == (3, 5, 1, 8, 8)
    z = torch.cat(seen).view(3, 5, -1)
    for row, name in zip(z, result.names, strict=True):
        unit = int(name.split()[0].removeprefix("z"))
        moved = row.std(0) > 1e-6
        assert moved.nonzero().flatten().tolist() == [unit]


def test_units_are_traversed_in_the_order_of_their_kl():
    experiment = experiment_of()
    data = experiment.data
    batch = data.batch(data.train, torch.arange(64))
    names = traverse(experiment.model, batch, units=4)[0].names
    kl = [float(name.split()[1]) for name in names]
    assert kl == sorted(kl, reverse=True)
