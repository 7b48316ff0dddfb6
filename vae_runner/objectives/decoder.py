"""What objectives need that look at the decoder and at what it makes, and not at densities."""

from typing import Any

import torch
from torch import Tensor, nn

from vae_runner.models.evidence import Evidence


def decoder_parameters(model: Any) -> list[nn.Parameter]:
    """The parameters of p(x|z): all generative ones but the prior's."""
    prior = {id(parameter) for parameter in model.prior.parameters()}
    return [parameter for parameter in model.generative_parameters if id(parameter) not in prior]


def completed(made: Tensor, evidence: Evidence) -> Tensor:
    """What was made for the examples of a batch (B, *shape), with x itself where x does not count."""
    return made if evidence.mask is None else torch.where(evidence.mask > 0, made, evidence.x)
