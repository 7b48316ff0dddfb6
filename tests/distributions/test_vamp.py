import copy
import dataclasses

import pytest
import torch
from torch import distributions as oracle

from tests.helpers import config_of
from vae_runner.build import build_data, build_model
from vae_runner.data.data import Data
from vae_runner.data.space import Batch, Space
from vae_runner.data.splits import TensorSplit
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian
from vae_runner.distributions.posteriors.gaussian import Gaussian
from vae_runner.distributions.posteriors.planar import Planar
from vae_runner.distributions.priors.vamp import Vamp
from vae_runner.errors import UserError

IMAGE = Space((1, 2, 2), "unit")
TO_MEAN = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def encode(x, context=None):
    mean = x.flatten(1) @ TO_MEAN + (0 if context is None else context.sum(1, keepdim=True))
    return DiagonalGaussian(mean, mean.cos())


def vamp(space: Space = IMAGE, components: int = 6, context: tuple[int, ...] = ()) -> Vamp:
    prior = Vamp((3,), context, components=components)
    prior.attach(space, None, encode)
    return prior


def data_of(x: torch.Tensor, support: str = "unit") -> Data:
    split = TensorSplit(x, None)
    return Data(Space(tuple(x.shape[1:]), support), split, split, split)


def test_the_density_is_the_mean_of_the_posteriors_of_the_pseudo_inputs():
    prior = vamp()
    mean = prior.inputs.detach().flatten(1) @ TO_MEAN
    components = oracle.Independent(oracle.Normal(mean, (0.5 * mean.cos()).exp()), 1)
    expected = oracle.MixtureSameFamily(oracle.Categorical(torch.ones(6)), components)
    z = torch.randn(5, 7, 3)
    torch.testing.assert_close(prior().log_prob(z), expected.log_prob(z))
    samples = prior.sample(40_000)
    assert ((samples.mean(0) - expected.mean).abs() < 5 * expected.stddev / 200).all()
    torch.testing.assert_close(samples.var(0), expected.variance, rtol=0.1, atol=0)


def test_samples_at_temperature_zero_are_the_codes_of_pseudo_inputs():
    prior = vamp()
    codes = encode(prior.inputs).mean
    assert (torch.cdist(prior.sample(30, temperature=0.0), codes).amin(1) < 1e-3).all()


def test_contexts_are_learned_beside_the_pseudo_inputs_and_say_nothing_at_first():
    prior = vamp(context=(2,))
    z = torch.randn(4, 5, 3)
    blank = vamp()
    blank.load_state_dict({"inputs": prior.inputs})
    torch.testing.assert_close(prior(torch.randn(5, 2)).log_prob(z), blank().log_prob(z))
    prior().log_prob(z).sum().backward()
    assert (prior.contexts.grad.abs().sum(1) > 0).all()
    assert prior.sample(9, torch.randn(9, 2)).shape == (9, 3)


def test_pseudo_inputs_start_from_training_examples():
    x = torch.rand(20, 1, 2, 2)
    prior = vamp(components=8)
    prior.prepare(data_of(x))
    nearest = torch.cdist(prior.inputs.detach().flatten(1), x.flatten(1)).min(1)
    assert (nearest.values < 0.1).all()
    assert len(set(nearest.indices.tolist())) > 5


def test_more_pseudo_inputs_than_examples_are_not_copies():
    prior = vamp(components=50)
    prior.prepare(data_of(torch.rand(10, 1, 2, 2)))
    assert len(prior.inputs.unique(dim=0)) == 50


@pytest.mark.parametrize("support", ["unit", "binary"])
def test_pseudo_inputs_stay_within_the_support_and_come_back_from_its_edge(support):
    prior = vamp(Space((1, 2, 2), support))
    with torch.no_grad():
        prior.inputs.copy_(torch.linspace(-3, 3, 24).view(6, 1, 2, 2))
    seen = []
    prior.encode = lambda x, context=None: seen.append(x) or encode(x)
    prior().log_prob(torch.randn(2, 3)).sum().backward()
    assert torch.equal(seen[0], prior.inputs.detach().clamp(0, 1))
    assert (prior.inputs.grad != 0).all()


def test_pseudo_inputs_of_real_data_are_free():
    prior = vamp(Space((2, 2), "real"))
    with torch.no_grad():
        prior.inputs.fill_(-7.0)
    torch.testing.assert_close(prior().components.mean, encode(torch.full((6, 2, 2), -7.0)).mean)


def test_text_is_refused():
    with pytest.raises(UserError, match="prior=mixture"):
        vamp(Space((5,), "categorical", categories=9))


def test_it_asks_for_a_posterior_that_is_known_everywhere():
    (need,) = Vamp.requires
    assert need.removeprefix("posterior.") in Gaussian.provides
    assert need.removeprefix("posterior.") not in Planar.provides


@pytest.mark.parametrize(
    "overrides",
    [
        ["variant=vamp_vae"],
        ["variant=[hvae,vamp_vae]"],
        ["variant=[hvae,vamp_vae]", "architecture=conv", "+architecture.spatial=true"],
        ["variant=vamp_vae", "condition=label"],
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_in_a_model_the_components_are_what_the_model_infers_of_the_pseudo_inputs(overrides):
    overrides = [text.lstrip("+") for text in overrides]
    config = config_of("architecture.width=8", "latent_dim=4", "prior.components=5", *overrides)
    data = build_data(config, torch.device("cpu"))
    model = build_model(config, data.space)
    model.prior.prepare(data)
    inputs = model.prior.inputs.detach().clamp(0, 1)
    batch = Batch(inputs, inputs, c=torch.full((5,), -1) if model.condition else None)  # a hidden label
    expected = model.infer(batch)[-1].q
    components = model.prior(None).components
    torch.testing.assert_close(components.mean, expected.mean)
    torch.testing.assert_close(components.log_variance, expected.log_variance)
    names = [name for name, _ in model.named_parameters()]
    assert not any(name.startswith("prior.") for name in names if "bottom_up" in name or "head" in name)
    # a copy of the model looks through its own encoder
    twin = copy.deepcopy(model)
    for parameter in twin.inference_parameters:
        torch.nn.init.zeros_(parameter)
    assert twin.prior(None).components.mean.abs().max() == 0
    assert model.prior(None).components.mean.abs().max() > 0


def test_both_pseudo_inputs_and_encoder_learn_from_the_prior():
    config = config_of("variant=vamp_vae", "architecture.width=8", "latent_dim=4", "prior.components=5")
    model = build_model(config, build_data(config, torch.device("cpu")).space)
    x = torch.rand(3, 1, 8, 8)
    evidence = model(Batch(x, x))
    gradients = torch.autograd.grad(evidence.log_pz.sum(), [model.prior.inputs, *model.bottom_up.parameters()])
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    assert {id(model.prior.inputs)} <= {id(parameter) for parameter in model.generative_parameters}


def test_nothing_waits_for_the_device(no_waiting):
    prior = vamp()
    with no_waiting():
        prior().log_prob(prior.sample(4)[None])


def test_the_examples_are_seen_as_the_encoder_sees_them():
    data = data_of(torch.rand(20, 1, 2, 2))
    data.corruption = lambda batch: dataclasses.replace(batch, input=torch.zeros_like(batch.x))
    prior = vamp()
    prior.prepare(data)
    assert prior.inputs.abs().max() < 0.1
