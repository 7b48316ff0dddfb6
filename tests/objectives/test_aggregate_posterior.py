"""Whether trained codes can be told from the prior: a permutation test on the MMD (Gretton et al. 2012, section 8)."""

import pytest
import torch

from tests.helpers import fit
from vae_runner.build import Run
from vae_runner.evaluation.evaluate import Preserved


def p_value(x, y, permutations=1000):
    """How often two halves of the pooled samples, split at random, are at least as far apart as x and y."""
    pooled = torch.cat([x, y]).double()
    distance = torch.cdist(pooled, pooled).square()
    kernel = (-distance / distance[distance > 0].median()).exp()
    sign = torch.cat([torch.ones(len(x)), -torch.ones(len(y))]).double() / len(x)
    signs = torch.stack([sign, *(sign[torch.randperm(len(sign))] for _ in range(permutations))])
    statistics = ((signs @ kernel) * signs).sum(1)
    return float((1 + (statistics[1:] >= statistics[0]).sum()) / (1 + permutations))


def test_samples_of_one_distribution_are_not_told_apart_and_others_are():
    torch.manual_seed(0)
    x, y = torch.randn(2, 200, 4)
    assert p_value(x, y, 200) > 0.01
    assert p_value(x + 0.5, y, 200) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("variant", "told"), [("aae", False), ("ae", True)])
def test_the_adversarial_autoencoder_fills_the_prior_and_the_plain_one_does_not(tmp_path, variant, told, seed):
    fit(tmp_path, f"variant={variant}", f"seed={seed}")
    run = Run.load(tmp_path)
    with Preserved(run.model, run.device, seed):
        indices = torch.randperm(len(run.data.train))[:500].to(run.device)
        z = run.model(run.data.batch(run.data.train, indices)).top.z[0].flatten(1).cpu()
        assert (p_value(z, torch.randn_like(z)) < 0.01) == told
