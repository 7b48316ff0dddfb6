"""The options of `vae-run evaluate` that a figure depends on: two that were taken with unlike ones do not compare."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vae_runner.reporting.draws import OF_SAMPLES, without_draws

_OF_CHAINS = ("annealed_steps", "annealed_chains", "annealed_examples")
# of all figures of a group of evaluation.json; the number of draws, and of samples in OF_SAMPLES, is in their names
OF_A_GROUP = {
    "likelihood": ("limit",),
    "latents": ("examples",),
    "reconstruction": ("limit",),
    "samples": ("samples", "feature_steps"),
    "usefulness": ("training_codes", "limit"),
    "disentanglement": ("examples",),
    "anomaly": ("limit",),
}
# of one figure, beside those of its group
OF_A_FIGURE = {
    **dict.fromkeys(("precision", "recall", "density", "coverage"), ("neighbours",)),
    **dict.fromkeys(("mig", "modularity"), ("bins",)),
    **dict.fromkeys(("annealed_log_likelihood", "annealed_acceptance"), _OF_CHAINS),
    "log_likelihood_of_these": ("annealed_examples",),
}
NOT_OF = {"sharpness_ratio": ("feature_steps",), **dict.fromkeys(OF_SAMPLES, ("samples",))}
# what was asked for tells two apart; of the others how many there were, which may be fewer
AS_ASKED = ("limit", "training_codes")
# what is no finding but how one was taken
CHOICES = {"draws", *(key for keys in (*OF_A_GROUP.values(), *OF_A_FIGURE.values()) for key in keys)}


def options_of(group: str, name: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a figure of a group of evaluation.json depends on, with what they were.

    figures: all that is written of the group. An option of which nothing is written is None.
    """
    plain = name.removesuffix("_standard_error")
    if plain in CHOICES:
        return {}
    asked = figures.get("taken_with") or {}
    given = {**figures, **{key: asked[key] for key in AS_ASKED if key in asked}}
    keys = (*OF_A_GROUP.get(group, ()), *OF_A_FIGURE.get(plain, ()))
    return {key: given.get(key) for key in keys if key not in NOT_OF.get(plain, ())}


def with_options(figure: str, options: Mapping[str, Any], told: Sequence[str]) -> str:
    """`mig (bins=50)`: the name of a figure and those of its options that are `told`, or the name alone of none."""
    return f"{figure} ({', '.join(f'{key}={json.dumps(options[key])}' for key in told)})" if told else figure


def plain_name(figure: str) -> str:
    """`mig` for `mig (bins=50)`, and `log_likelihood` for `log_likelihood_5000 (limit=100)`."""
    return without_draws(re.sub(r" \(.*\)$", "", figure))
