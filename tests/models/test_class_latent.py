"""A class latent against the conditional model that it wraps, class by class."""

import dataclasses
import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from tests.helpers import config_of, fit
from vae_runner.build import Run, build_experiment, build_model
from vae_runner.data.data import Data
from vae_runner.data.space import Batch, Space
from vae_runner.data.splits import TensorSplit
from vae_runner.errors import UserError
from vae_runner.evaluation.evaluate import Preserved, evaluate
from vae_runner.kl import Constant
from vae_runner.objectives.combination_importance_weighted import CombinationImportanceWeighted
from vae_runner.objectives.elbo import ELBO
from vae_runner.objectives.importance_weighted import ImportanceWeighted

CLASSES = 3
SPACE = Space((1, 4, 4), "unit", classes=CLASSES)
MODELS = {
    "one level": [],
    "ladder": ["variant=[ss_vae,hvae]"],
    "conditional prior": ["prior=conditional"],
    "estimated KL": ["prior=mixture"],
    "maps": ["variant=[ss_vae,hvae]", "architecture=conv", "architecture.width=4"],
}
HIDDEN, KNOWN, MIXED = [-1, -1, -1, -1], [0, 2, 1, 1], [-1, 2, -1, 1]


def model_of(*overrides, space=SPACE):
    torch.manual_seed(0)
    return build_model(config_of("variant=ss_vae", "architecture.width=16", "latent_dim=4", *overrides), space)


def images(labels):
    x = torch.rand(len(labels), 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return Batch(x=x, input=x, y=torch.tensor(labels))


@pytest.fixture
def noiseless(monkeypatch):
    """Every draw is the mean of its distribution, so that two ways to compute something have the same latents."""
    monkeypatch.setattr(torch, "randn", lambda *size, **how: torch.zeros(*size, **how))


def by_class(model, batch, samples=1):
    """What the wrapped model says of a batch as each of the classes."""
    given = [dataclasses.replace(batch, c=torch.full((len(batch),), label)) for label in range(CLASSES)]
    return [model.model(one, samples) for one in given]


def bounds(model, batch):
    """log p(x|z, y) - KL of z as each class, (B, K)."""
    return torch.stack([evidence.log_px[0] - evidence.kl for evidence in by_class(model, batch)], 1)


# --- the bound


@pytest.mark.parametrize("overrides", MODELS.values(), ids=MODELS)
def test_with_known_labels_it_is_the_conditional_models_less_that_of_the_class(noiseless, overrides):
    model, batch = model_of(*overrides), images(KNOWN)
    evidence = model(batch)
    conditional = model.model(dataclasses.replace(batch, c=batch.y))
    torch.testing.assert_close(evidence.log_px, conditional.log_px)
    torch.testing.assert_close(evidence.kl, conditional.kl + math.log(CLASSES))
    torch.testing.assert_close(evidence.log_w, conditional.log_w - math.log(CLASSES))


@pytest.mark.parametrize("overrides", MODELS.values(), ids=MODELS)
def test_with_hidden_labels_it_is_the_sum_over_all_classes(noiseless, overrides):
    model, batch = model_of(*overrides), images(HIDDEN)
    evidence, q = model(batch), model.log_q(batch).exp()
    expected = (q * (bounds(model, batch) - math.log(CLASSES) - q.log())).sum(1)
    torch.testing.assert_close(evidence.log_px[0] - evidence.kl, expected)
    log_w = torch.stack([one.log_w[0] for one in by_class(model, batch)], 1)
    torch.testing.assert_close(evidence.log_w[0], (log_w.exp().sum(1) / CLASSES).log())


def test_known_and_hidden_labels_of_a_batch_are_told_apart(noiseless):
    model = model_of()
    evidence, hidden, known = (model(images(labels)) for labels in (MIXED, HIDDEN, KNOWN))
    for which, figure in ((hidden, [0, 2]), (known, [1, 3])):
        torch.testing.assert_close(evidence.log_px[:, figure], which.log_px[:, figure])
        torch.testing.assert_close(evidence.kl[figure], which.kl[figure])
        torch.testing.assert_close(evidence.log_w[:, figure], which.log_w[:, figure])


def test_in_evaluation_every_label_is_hidden_from_the_bound_and_from_the_loss(noiseless):
    model = model_of().eval()
    known, hidden = model(images(KNOWN)), model(images(HIDDEN))
    torch.testing.assert_close(known.log_px, hidden.log_px)
    torch.testing.assert_close(known.kl, hidden.kl)
    assert known.penalties == {}
    share = (model.log_q(images(KNOWN)).argmax(1) == torch.tensor(KNOWN)).float().mean()
    assert known.figures == {"accuracy": share}
    assert "accuracy" not in model(images(MIXED)).figures


def test_the_class_is_a_unit_of_the_top_level():
    evidence = model_of("variant=[ss_vae,hvae]")(images(KNOWN))
    low, top = evidence.levels
    assert low.kl_units.shape == (4, 4)
    assert top.kl_units.shape == (4, 2 + 1)
    torch.testing.assert_close(top.kl_units[:, -1], torch.full((4,), math.log(CLASSES)))


@pytest.mark.parametrize("overrides", [[], ["variant=[ss_vae,hvae]"]], ids=["one level", "ladder"])
def test_free_bits_and_weights_act_on_the_kl_expected_over_the_classes(noiseless, overrides):
    model, batch = model_of(*overrides), images(HIDDEN)
    levels = model.levels
    kl = Constant(1, 1, weight=[0.5, 2.0][:levels], free_bits=0.3)
    q = model.log_q(batch).exp()
    each = by_class(model, batch)
    total = torch.zeros(())
    for level in range(levels):
        units = sum(q[:, label, None] * each[label].levels[level].kl_units for label in range(CLASSES)).mean(0)
        if level == levels - 1:
            units = torch.cat([units, (q * (q * CLASSES).log()).sum(1).mean(0, keepdim=True)])
        total = total + [0.5, 2.0][level] * units.clamp_min(0.3).sum()
    torch.testing.assert_close(ELBO(model, 4).terms(model(batch), kl)["kl"], total)


# --- the exact marginal

SCALE = 0.7


def linear_gaussian():
    """p(x|y, z) = N(W z + m_y, s^2) in three dimensions, with q(z|x, y) = p(z|x, y); and m, W."""
    overrides = ["architecture.depth=0", "latent_dim=2", "likelihood=gaussian", f"likelihood.scale={SCALE}"]
    model = model_of(*overrides, space=Space((3,), "real", classes=CLASSES)).double()
    w = torch.tensor([[1.0, 0.5], [0.8, -1.0], [-0.5, -0.6]]).double()
    w[:, 1] -= w[:, 0] * (w[:, 0] @ w[:, 1]) / (w[:, 0] @ w[:, 0])  # then the posterior factorises
    means = torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.5], [-1.0, 2.0, 1.0]]).double()
    decoder, encoder = model.model.likelihood_head, model.model.posterior_heads[0]
    variance = 1 / (1 + w.square().sum(0) / SCALE**2)
    projection = variance[:, None] * w.T / SCALE**2
    with torch.no_grad():
        decoder.weight.copy_(torch.cat([w, means.T / math.sqrt(CLASSES)], 1))
        decoder.bias.zero_()
        encoder.weight.zero_()
        encoder.weight[:2] = torch.cat([projection, -projection @ means.T / math.sqrt(CLASSES)], 1)
        encoder.bias.copy_(torch.cat([torch.zeros(2), variance.log()]))
    return model, means, w


def numbers(labels):
    x = torch.randn(len(labels), 3, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    return Batch(x=x, input=x, y=torch.tensor(labels))


def test_the_importance_weight_is_the_exact_marginal_over_classes():
    model, means, w = linear_gaussian()
    batch = numbers([*HIDDEN, *KNOWN])
    covariance = w @ w.T + SCALE**2 * torch.eye(3).double()
    joint = MultivariateNormal(means, covariance).log_prob(batch.x[:, None]) - math.log(CLASSES)
    exact = torch.cat([joint[:4].logsumexp(1), joint[range(4, 8), KNOWN]])
    for samples in (1, 3):
        torch.testing.assert_close(model(batch, samples).log_w, exact.expand(samples, -1))
    objectives = ImportanceWeighted(model, 8, samples=3), CombinationImportanceWeighted(model, 8, samples=3)
    for objective in objectives:
        losses, _ = objective.losses(model, batch, Constant(1, 1).double())
        bound = sum(value for name, value in losses["model"].items() if name != "classification")
        torch.testing.assert_close(bound, -exact.mean())


def test_at_the_exact_posterior_the_doubly_reparameterised_gradient_has_no_noise():
    model, _, _ = linear_gaussian()
    largest = {}
    for gradient in ("standard", "doubly_reparameterised"):
        objective = ImportanceWeighted(model, 8, samples=2, estimates=2, gradient=gradient)
        loss = objective.losses(model, numbers([*HIDDEN, *KNOWN]), Constant(1, 1).double())[0]["model"]["iw_bound"]
        largest[gradient] = max(g.abs().max() for g in torch.autograd.grad(loss, model.model.inference_parameters))
    assert largest["doubly_reparameterised"] < 1e-7 < 1e-3 < largest["standard"]


# --- the classifier


@pytest.mark.parametrize("objective", [ELBO, ImportanceWeighted])
def test_hidden_labels_draw_the_classifier_to_the_class_that_explains_x(noiseless, objective):
    """By -ELBO = -log sum_y p(y) exp(L(x, y)) + KL(q(y|x) || p(y|x)), of which the first is no matter of q(y|x)."""
    model, batch = model_of(), images(HIDDEN)
    losses = objective(model, 4).losses(model, batch, Constant(1, 1))[0]["model"]
    assert losses["classification"] == 0
    parameters = [*model.classifier.parameters(), *model.classifier_head.parameters()]
    gradients = torch.autograd.grad(sum(losses.values()), parameters)
    each = by_class(model, batch)
    of_class = bounds(model, batch) if objective is ELBO else torch.stack([one.log_w[0] for one in each], 1)
    log_q = model.log_q(batch)
    divergence = (log_q.exp() * (log_q - of_class.detach().log_softmax(1))).sum(1).mean()
    torch.testing.assert_close(gradients, torch.autograd.grad(divergence, parameters), rtol=1e-4, atol=1e-6)


def test_the_classification_term_is_the_weighted_cross_entropy_of_known_labels():
    model, batch = model_of("condition.classification_weight=7"), images(MIXED)
    expected = torch.nn.functional.cross_entropy(model.log_q(batch)[[1, 3]], batch.y[[1, 3]])
    torch.testing.assert_close(model(batch).penalties["classification"], 7 * expected)


def test_labelled_training_examples_are_shown_at_each_step_beside_the_batch():
    experiment = build_experiment(config_of("variant=ss_vae", "architecture.width=8", "condition.labelled=2000"))
    model, data = experiment.model, experiment.data
    labels = data.train.take(torch.arange(len(data.train)))[1]
    known = data.batch(data.train, (labels >= 0).nonzero()[:, 0])
    assert len(known) == 100
    expected = torch.nn.functional.cross_entropy(model.log_q(known), known.y)
    hidden = data.batch(data.train, (labels < 0).nonzero()[:10, 0])
    torch.testing.assert_close(model(hidden).penalties["classification"], 50 * expected, rtol=0.05, atol=0)


def test_data_without_any_label_to_train_on_is_refused():
    x, y = torch.rand(30, 1, 4, 4), torch.full((30,), -1)
    data = Data(SPACE, *[TensorSplit(x, y)] * 3)
    with pytest.raises(UserError, match=r"no training example has a label; type variant=vae"):
        model_of().prepare(data)


def test_a_training_step_never_waits_for_the_device(no_waiting):
    experiment = build_experiment(config_of("variant=ss_vae", "architecture.width=8"))
    batch = experiment.data.batch(experiment.data.train, torch.arange(20))
    with no_waiting():
        losses = experiment.objective.losses(experiment.model, batch, experiment.kl)[0]
        sum(losses["model"].values()).backward()
        ImportanceWeighted(experiment.model, 20).losses(experiment.model, batch, experiment.kl)


def test_two_clusters_are_told_apart_by_a_label_of_each(tmp_path):
    torch.manual_seed(0)
    y = torch.arange(400) % 2
    x = torch.randn(400, 8) + 3 * (2 * y[:, None] - 1) * torch.tensor([1.0, 1, 0, 0, 0, 0, 0, 0])
    torch.save({"x": x, "y": y}, tmp_path / "clusters.pt")
    summary = fit(
        tmp_path / "run",
        *("variant=ss_vae", "data=arrays", f"data.path={tmp_path / 'clusters.pt'}", "data.labels=2"),
        *("likelihood=gaussian", "likelihood.scale=1", "architecture.width=16", "latent_dim=2", "trainer.steps=200"),
        *("optimizer.lr=0.01", "trainer.validation_epochs=1000", "trainer.batch_size=64"),
    )
    assert summary["test"]["accuracy"] == 1


# --- the rest of a model


def test_every_parameter_belongs_to_inference_or_generation():
    model = model_of("prior=mixture", "variant=[ss_vae,hvae]")
    both = [*model.inference_parameters, *model.generative_parameters]
    assert {id(p) for p in both} == {id(p) for p in model.parameters()}
    assert len(both) == len(list(model.parameters()))


def test_samples_are_of_the_class_asked_for_or_of_any():
    model = model_of("prior=conditional").eval()
    context, names = model.condition(model.condition.each()[0]), model.condition.each()[1]
    assert names == ["0", "1", "2"]
    torch.manual_seed(3)
    asked = model.sample(CLASSES, context)
    torch.manual_seed(3)
    torch.testing.assert_close(asked, model.model.sample(CLASSES, context))
    assert model.sample(5).shape == (5, 1, 4, 4)
    assert model.decode(model.sample_latents(5)).mean.shape == (5, 1, 4, 4)


def test_an_example_is_encoded_and_reconstructed_as_the_likeliest_class():
    model, batch = model_of().eval(), images(HIDDEN)
    likeliest = dataclasses.replace(batch, c=model.log_q(batch).argmax(1))
    assert torch.equal(model.context(batch).argmax(1), likeliest.c)
    assert torch.equal(model.encode(batch)[0], model.model.encode(likeliest)[0])
    assert torch.equal(model.reconstruct(batch), model.model.reconstruct(likeliest))


@pytest.mark.parametrize("variant", ["[ss_vae,hvae]", "[ss_vae,iwae]", "[ss_vae,aae]", "[ss_vae,vamp_vae]"])
def test_it_is_trained_saved_and_read_back_with_other_recipes(tmp_path, variant):
    quick = ["trainer=debug", "architecture.width=8", "latent_dim=3"]
    summary = fit(tmp_path / "run", f"variant={variant}", *quick)
    assert 0 <= summary["test"]["accuracy"] <= 1
    run, again = Run.load(tmp_path / "run"), Run.load(tmp_path / "run")
    batch = run.data.batch(run.data.test, torch.arange(6))
    for one in (run, again):
        with Preserved(one.model, one.device, seed=1):
            one.outputs = [one.model.reconstruct(batch), one.model.sample(6, one.model.context(batch))]
    assert all(torch.equal(a, b) for a, b in zip(run.outputs, again.outputs, strict=True))
    result = evaluate(run.model, run.objective, run.kl, run.data, run.data.test, run.device, limit=64)
    for figure in ("accuracy", "log_px"):
        assert result.figures[figure] == pytest.approx(run.summary["test"][figure])


@pytest.mark.parametrize("labels", [100, 1000])
def test_the_experiments_hide_all_but_so_many_labels(labels):
    config = config_of(f"experiment=ss_mnist_{labels}")
    assert config["data"]["labels"] == labels
    model = build_model(config, Space((1, 28, 28), "unit", classes=10))
    assert model.log_q(Batch(torch.zeros(2, 1, 28, 28), torch.zeros(2, 1, 28, 28))).shape == (2, 10)
