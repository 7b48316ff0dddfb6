import subprocess
import sys

import numpy as np
import pytest

from tests.evaluation.disentanglement.planted import grid, mixed, noise
from vae_runner.errors import UserError
from vae_runner.evaluation.disentanglement import NAMES, scores

FACTORS = grid(2, 2, 2, copies=30)
KEYS = [*NAMES[:5], "dci_disentanglement", "dci_completeness", "dci_informativeness", "explicitness"]


def scored(codes, factors=FACTORS, **options):
    return scores(codes, factors, **{"batches": 300, **options})


def test_all_scores_of_the_factors_themselves():
    found = scored(FACTORS)
    assert list(found) == KEYS
    # of two values each, all scores are one; SAP but for the chance R^2 of the order 1/60, examples held out
    assert found.pop("sap") == pytest.approx(1, abs=0.1)
    assert found == pytest.approx(dict.fromkeys(found, 1), abs=0.01)


def test_scores_are_finite_and_from_0_to_1():
    for codes in (noise(240, 4), mixed(FACTORS), np.zeros((240, 2))):
        assert all(type(value) is float and 0 <= value <= 1 for value in scored(codes).values())


def test_only_the_scores_wanted_are_taken():
    assert list(scored(FACTORS, names=["explicitness", "mig"])) == ["mig", "explicitness"]
    with pytest.raises(UserError, match="names=migs: must be one of mig, modularity, factor_vae"):
        scored(FACTORS, names=["migs"])


def test_what_is_not_wanted_is_not_imported():
    code = (
        "import sys; from vae_runner.evaluation.disentanglement import scores; "
        "v = [[0, 0], [0, 1], [1, 0], [1, 1]] * 9; scores(v, v, names=['mig', 'modularity', 'factor_vae']); "
        "assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_reach_their_scores():
    codes = mixed(FACTORS) * [1, 1, 1, 1e-3]
    before = scored(codes)
    for setting, value, names in (
        ("bins", 5, {"mig", "modularity"}),
        ("batch", 2, {"factor_vae", "beta_vae"}),
        ("active", 1.5, {"factor_vae"}),
        ("categorical", [0], {"sap"}),
        ("importances", "boosting", {"dci_disentanglement", "dci_completeness", "dci_informativeness"}),
    ):
        after = scored(codes, **{setting: value})
        assert {name for name in KEYS if after[name] != before[name]} == names, setting


def test_a_seed_gives_one_set_of_scores_and_leaves_no_trace():
    codes = mixed(FACTORS)
    np.random.seed(0)
    first = scored(codes, seed=3)
    assert np.random.get_state()[2] == 624  # no number of the global generator is used up
    np.random.seed(1)
    assert scored(codes, seed=3) == first
    other = scored(codes, seed=4)
    assert {name for name in KEYS if other[name] == first[name]} == {"mig", "modularity"}


def test_codes_and_factors_are_left_as_they_are():
    codes, factors = mixed(FACTORS), FACTORS.copy()
    before = codes.copy()
    scored(codes, factors)
    assert np.array_equal(codes, before)
    assert np.array_equal(factors, FACTORS)


def test_scores_that_are_not_defined_are_left_out():
    telling_apart = {"modularity", "factor_vae", "beta_vae", "dci_disentanglement"}
    assert set(scored(FACTORS, FACTORS[:, :1])) == set(KEYS) - telling_apart
    assert set(scored(FACTORS[:, :1])) == set(KEYS) - {"dci_completeness"}


def test_a_factor_of_a_single_value_changes_nothing():
    codes = mixed(FACTORS)
    assert scored(codes, np.column_stack([np.ones(240), FACTORS])) == scored(codes)


def test_fewer_examples_than_bins_are_enough():
    few = grid(2, 2, copies=4)
    found = scored(few, few, bins=20)
    assert list(found) == KEYS
    assert found["mig"] == found["factor_vae"] == pytest.approx(1)


def test_codes_that_are_not_numbers_are_refused():
    with pytest.raises(UserError, match="unit 0 is nan at example 0"):
        scored(np.full((240, 2), np.nan))
