"""A nested config as one level of dotted keys: what tables compare and TensorBoard's HPARAMS lists."""

from collections.abc import Mapping, Sequence
from typing import Any


def flatten(config: Mapping, prefix: str = "") -> dict[str, Any]:
    """`{"kl": {"weight": 4}}` -> `{"kl.weight": 4}`; lists stay whole, an empty mapping leaves nothing."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            flat[name] = list(value)
        else:
            flat[name] = value
    return flat
