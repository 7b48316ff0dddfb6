"""Nested configs on one level."""

from omegaconf import OmegaConf

from vae_runner.reporting.flatten import flatten


def test_a_nested_config_becomes_dotted_keys():
    nested = {"seed": 0, "kl": {"weight": [1, 2], "capacity": None}, "empty": {}}
    assert flatten(nested) == {"seed": 0, "kl.weight": [1, 2], "kl.capacity": None}


def test_a_config_of_omegaconf_becomes_plain_values():
    flat = flatten(OmegaConf.create({"a": {"b": [1, 2]}, "c": "${a.b}"}))
    assert flat == {"a.b": [1, 2], "c": [1, 2]}
    assert all(type(value) is list for value in flat.values())
