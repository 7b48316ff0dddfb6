"""What is minimised, and by whom."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from vae_runner.data.space import Batch
from vae_runner.kl import KL
from vae_runner.models.evidence import Evidence


@dataclass
class Phase:
    """One player: the parameters it moves, what it changes in the optimizer's settings, and how often it moves."""

    parameters: list[nn.Parameter]
    optimizer: dict[str, Any] = field(default_factory=dict)
    every: int = 1


class Objective(nn.Module):
    """A loss of one player: the sum of the `terms` that a subclass names.

    An objective with several players owns its networks and overrides `phases` and `losses`.
    """

    requires: ClassVar[dict[str, str]] = {}
    provides: ClassVar[set[str]] = set()
    samples = 1  # draws of z per example
    any_length = False  # whether it looks at densities alone, so that nothing of it has the size of a whole sequence
    judged = False  # by a network that learns: what the loss was at one time does not compare with what it is later

    def __init__(self, model: Any, examples: int) -> None:
        """model: to build other players for; it is not kept. examples: how many there are to train on."""
        super().__init__()

    def terms(self, evidence: Evidence, kl: KL) -> dict[str, Tensor]:
        """The terms of the loss by name, scalars in nats per example, means over the batch."""
        raise NotImplementedError

    def phases(self, model: nn.Module) -> dict[str, Phase]:
        return {"model": Phase(list(model.parameters()))}

    def losses(self, model: Any, batch: Batch, kl: KL) -> tuple[dict[str, dict[str, Tensor]], Evidence]:
        """The terms of each phase, by name, and the evidence they came from. All phases share one forward pass."""
        evidence = model(batch, self.samples)
        terms = self.terms(evidence, kl)
        return {"model": {**terms, **evidence.penalties}}, evidence
