"""Which scores the group of figures has of which factors."""

from types import SimpleNamespace

import pytest
import torch

from vae_runner.evaluation.disentanglement.mutual_information import mig_score
from vae_runner.evaluation.disentanglement.sap import sap_score
from vae_runner.evaluation.groups import GROUPS, Inapplicable, Settings


def scored(codes, factors, categorical=(), real=False, **settings):
    space = SimpleNamespace(factors=factors.shape[1], categorical_factors=categorical, real_factors=real)
    of = SimpleNamespace(space=space, seed=0, settings=Settings(**settings))
    of.codes = lambda most: (codes[:most], factors[:most])
    return GROUPS["disentanglement"](of)


def test_factors_without_an_order_are_categorical_in_sap():
    torch.manual_seed(0)
    names, sizes = torch.arange(600) % 3, torch.arange(600) // 3 % 4
    factors = torch.stack([names, sizes], 1)
    # a unit that has the middle name as its greatest value tells all three, but not along a line
    codes = torch.stack([torch.tensor([0.0, 2.0, 1.0])[names], sizes.float()], 1) + 0.01 * torch.randn(600, 2)
    found = scored(codes, factors, categorical=(0,))["sap"]
    assert found == sap_score(codes, factors, categorical=(0,))
    assert found > scored(codes, factors)["sap"] + 0.05


def test_real_valued_targets_are_not_scored():
    with pytest.raises(Inapplicable, match="the targets are real-valued"):
        scored(torch.randn(40, 2), torch.randn(40, 2), real=True)


def test_bins_and_the_number_of_codes_are_as_asked_for_and_stand_beside_the_scores():
    torch.manual_seed(0)
    factors = torch.stack([torch.arange(400) % 4, torch.arange(400) // 4 % 4], 1)
    codes = factors + torch.randn(400, 2)
    found = scored(codes, factors, bins=5, scored=300)
    assert found["mig"] == mig_score(codes[:300], factors[:300], bins=5)
    assert (found["bins"], found["examples"]) == (5, 300)
    assert found["mig"] != scored(codes, factors, scored=300)["mig"]
