import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from tests.helpers import config_of
from vae_runner.build import build_model
from vae_runner.data.space import Batch, Space
from vae_runner.models.heads import head


def model_of(space: Space, *overrides: str):
    torch.manual_seed(0)
    return build_model(config_of("architecture.width=16", "latent_dim=3", *overrides), space)


def images(n=6):
    x = torch.rand(n, 1, 8, 8)
    return Batch(x=x, input=x)


UNIT = Space((1, 8, 8), "unit")


def test_the_bound_equals_one_computed_with_torch_distributions():
    model, batch = model_of(UNIT), images()
    evidence = model(batch)
    mean, log_variance = model.posterior_heads[0](model.bottom_up[0](batch.input)).chunk(2, 1)
    q = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    logits = model.likelihood_head(model.decoder(evidence.levels[0].z[0]))
    # grey levels are no support of torch's Bernoulli: its density is the same expression
    px = Independent(Bernoulli(logits=logits, validate_args=False), 3)
    kl = kl_divergence(q, Independent(Normal(torch.zeros(3), torch.ones(3)), 1))
    torch.testing.assert_close(evidence.log_px[0], px.log_prob(batch.x), rtol=1e-4, atol=0)
    torch.testing.assert_close(evidence.kl, kl, rtol=1e-4, atol=0)
    torch.testing.assert_close(evidence.log_qz[0], q.log_prob(evidence.levels[0].z[0]), rtol=1e-4, atol=1e-5)


def test_the_importance_weight_is_the_joint_over_the_posterior():
    evidence = model_of(UNIT)(images(), samples=4)
    assert evidence.log_w.shape == (4, 6)
    torch.testing.assert_close(evidence.log_w, evidence.log_px + evidence.log_pz - evidence.log_qz)


def test_the_expected_bound_equals_numerical_integration_in_two_dimensions():
    model, batch = model_of(UNIT, "latent_dim=2").double(), images(1)
    batch = Batch(batch.x.double(), batch.input.double())
    with torch.no_grad():
        level = model.infer(batch)[0]
        grid = torch.linspace(-9, 9, 301, dtype=torch.double)
        z = torch.cartesian_prod(grid, grid) * level.q.log_variance.div(2).exp() + level.q.mean
        log_q = level.q.log_prob(z[:, None])[:, 0]
        log_px = model.decode([z]).log_prob(batch.x.expand(len(z), -1, -1, -1))
        area = (grid[1] - grid[0]) ** 2 * level.q.log_variance.div(2).exp().prod()
        mass = log_q.exp() * area
        integral = (mass * (log_px + model.prior().log_prob(z) - log_q)).sum()
        evidence = model(batch, samples=20_000)
        estimate = evidence.log_px - evidence.kl
    error = estimate.std() / estimate.numel() ** 0.5
    assert mass.sum() == pytest.approx(1, abs=1e-6)
    assert abs(estimate.mean() - integral) < 4 * error


def test_what_nobody_asks_for_is_not_computed():
    evidence = model_of(UNIT)(images())
    _ = evidence.log_px, evidence.kl
    assert "log_pz" not in vars(evidence)
    assert not {"log_q", "log_p"} & vars(evidence.levels[0]).keys()


def test_samples_of_z_differ_and_share_their_posterior():
    evidence = model_of(UNIT)(images(), samples=3)
    z = evidence.levels[0].z
    assert z.shape == (3, 6, 3)
    assert not torch.equal(z[0], z[1])
    assert evidence.levels[0].code.shape == (6, 3)


def test_a_deterministic_code_has_no_divergence():
    model = model_of(UNIT, "variant=ae")
    evidence = model(images())
    assert not evidence.has_density
    assert model.fits_prior


def test_the_prior_of_an_autoencoder_is_fitted_to_its_codes():
    model = model_of(UNIT, "variant=ae")
    codes = torch.randn(500, 3) * 0.1 + torch.tensor([5.0, -3.0, 0.0])
    model.fit_prior(codes)
    (z,) = model.sample_latents(2000)
    torch.testing.assert_close(z.mean(0), codes.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(z.std(0), codes.std(0), atol=0.02, rtol=0)


def test_a_kl_without_closed_form_is_called_an_estimate():
    assert model_of(UNIT, "prior=mixture")(images()).kl_is_estimate
    assert not model_of(UNIT)(images()).kl_is_estimate


def test_a_monte_carlo_kl_agrees_with_the_closed_form():
    evidence = model_of(UNIT)(images(), samples=20_000)
    level = evidence.levels[0]
    terms = level.log_q - level.log_p
    error = terms.std(0) / len(terms) ** 0.5
    assert ((terms.mean(0) - evidence.kl).abs() < 4.5 * error).all()


@pytest.mark.parametrize("overrides", [(), ("architecture=conv",), ("architecture=conv", "architecture.spatial=true")])
@pytest.mark.parametrize("variant", ["vae", "ae"])
def test_reconstructions_and_samples_have_the_shape_of_the_data(overrides, variant):
    model = model_of(UNIT, f"variant={variant}", *overrides).eval()
    assert model.reconstruct(images()).shape == (6, 1, 8, 8)
    assert model.sample(5).shape == (5, 1, 8, 8)
    assert [code.shape for code in model.encode(images())] == [(6, *shape) for shape in model.latent_shapes]


def test_temperature_scales_the_prior():
    model = model_of(UNIT)
    assert model.sample_latents(4000, temperature=0.5)[0].std() == pytest.approx(0.5, rel=0.05)


def test_every_parameter_belongs_to_inference_or_generation():
    model = model_of(UNIT, "prior=mixture", "likelihood=gaussian", "likelihood.variance=shared")
    both = [*model.inference_parameters, *model.generative_parameters]
    assert {id(p) for p in both} == {id(p) for p in model.parameters()}
    assert len(both) == len(list(model.parameters()))


def test_a_head_between_maps_of_one_size_is_a_1x1_convolution():
    layer = head((6, 4, 4), (2, 4, 4))
    assert isinstance(layer, torch.nn.Conv2d)
    assert layer.kernel_size == (1, 1)


@pytest.mark.parametrize(
    ("inputs", "outputs"), [((6,), (3,)), ((6, 4, 4), (3,)), ((6,), (2, 4, 4)), ((2, 4, 4), (1, 8, 8))]
)
def test_a_head_gives_the_shape_asked_for(inputs, outputs):
    assert head(inputs, outputs)(torch.zeros(7, *inputs)).shape == (7, *outputs)
