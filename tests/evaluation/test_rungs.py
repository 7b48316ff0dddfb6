"""Levels of several batches are those of one, and what is left out of a mean is not drawn."""

import math

import pytest
import torch

from tests.helpers import config_of
from vae_runner.build import build_experiment
from vae_runner.distributions.diagonal_gaussian import DiagonalGaussian, StandardNormal
from vae_runner.evaluation.aggregate_posterior import mutual_information
from vae_runner.evaluation.rungs import down, rows_of, rungs_of
from vae_runner.models.evidence import Level


def level(mean, deviation=0.3):
    q = DiagonalGaussian(mean, torch.full_like(mean, 2 * math.log(deviation)))
    return Level(z=q.sample(1), q=q, p=StandardNormal(torch.zeros(mean.shape[1:])))


def information(*levels):
    return mutual_information(rungs_of([[level] for level in levels]))[0]


def test_examples_of_several_batches_are_as_those_of_one():
    torch.manual_seed(0)
    whole = level(torch.randn(300, 2))
    cuts = [slice(0, 120), slice(120, 180), slice(180, 300)]
    parts = [Level(z=whole.z[:, cut], q=whole.q[cut], p=whole.p) for cut in cuts]
    torch.testing.assert_close(information(*parts).values, information(whole).values)


def test_a_posterior_that_ignores_x_shares_nothing_with_it():
    torch.manual_seed(0)
    assert information(level(torch.zeros(500, 3), 1.0)).mean == pytest.approx(0, abs=1e-5)


def test_spatial_latents_are_one_event():
    torch.manual_seed(0)
    flat = level(torch.randn(200, 18))
    spatial = DiagonalGaussian(*(part.view(200, 2, 3, 3) for part in (flat.q.mean, flat.q.log_variance)))
    prior = StandardNormal(torch.zeros(2, 3, 3))
    of_maps = information(Level(flat.z.view(1, 200, 2, 3, 3), spatial, prior))
    torch.testing.assert_close(of_maps.values, information(flat).values)


def test_fewer_z_are_drawn_where_pairs_are_many_and_all_examples_stay_in_the_mixture():
    torch.manual_seed(0)
    rungs = rungs_of([[level(torch.randn(300, 2))]])
    (every,), (some,), (least,) = (mutual_information(rungs, most=most, least=20) for most in (10**9, 100 * 300 * 2, 1))
    assert [len(found) for found in (every, some, least)] == [300, 100, 20]
    torch.testing.assert_close(some.values, every.values[:100])


def test_every_z_of_a_ladder_is_as_dense_as_by_the_posterior_of_its_own_example():
    torch.manual_seed(0)
    experiment = build_experiment(config_of("variant=hvae", "architecture.width=16"))
    experiment.model.eval()
    data = experiment.data
    levels = experiment.model.infer(data.batch(data.train, torch.arange(50)))
    rungs = rungs_of([levels])
    (rows,) = rows_of(rungs, 10**9, 1)
    for pairs, of_level in zip(down(rungs, rows), reversed(levels), strict=True):
        torch.testing.assert_close(pairs.own.sum(1), of_level.log_q[0], rtol=1e-4, atol=1e-3)
