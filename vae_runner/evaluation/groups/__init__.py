"""The figures of a finished model in groups; `GROUPS` has them in the order in which they are shown.

A group is a function of a `Subject`: name -> figure, None where one is undefined. It raises `Inapplicable`, with the
reason, for a model or for data that it says nothing about. Each estimator's choices stand beside its figures.
"""

from collections.abc import Callable
from typing import Any

from vae_runner.evaluation.groups.anomaly import anomaly
from vae_runner.evaluation.groups.disentanglement import disentanglement
from vae_runner.evaluation.groups.latents import latents
from vae_runner.evaluation.groups.likelihood import likelihood
from vae_runner.evaluation.groups.reconstruction import reconstruction
from vae_runner.evaluation.groups.samples import samples
from vae_runner.evaluation.groups.subject import Inapplicable, Settings, Subject
from vae_runner.evaluation.groups.usefulness import usefulness

GROUPS: dict[str, Callable[[Subject], dict[str, Any]]] = {
    "likelihood": likelihood,
    "latents": latents,
    "reconstruction": reconstruction,
    "samples": samples,
    "usefulness": usefulness,
    "disentanglement": disentanglement,
    "anomaly": anomaly,
}

__all__ = ["GROUPS", "Inapplicable", "Settings", "Subject"]
