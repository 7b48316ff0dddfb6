"""One step of training: a forward pass shared by all phases, a gradient and an update for each.

Nothing in here waits for the device. Sums accumulate where they are computed, and a step that is not finite is undone
there; both are read at logging points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vae_runner.data.space import Batch
from vae_runner.evaluation.evaluate import figures_of, totals_of
from vae_runner.kl import KL
from vae_runner.objectives.objective import Phase
from vae_runner.training.device import autocast
from vae_runner.training.optimizers import lies_as, write_rate
from vae_runner.training.schedulers import Schedule

NEVER = 2**62  # a step that no run reaches


@dataclass
class Player:
    """A phase, with the optimizer and the learning-rate schedule that move its parameters."""

    name: str
    phase: Phase
    optimizer: torch.optim.Optimizer
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        self.full_rate = float(self.optimizer.param_groups[0]["lr"])
        self._factor: float | None = None  # the one in force, once it was set

    def advance(self, step: int) -> None:
        """Sets the learning rate for a step; where it is kept in a tensor, without waiting for the device."""
        factor = self.schedule.factor(step)
        if factor != self._factor:
            write_rate(self.optimizer, self.full_rate * factor)
            self._factor = factor


class Sums:
    """Means of named scalars over a window and over an epoch, and which of them were not finite since the last look.

    Everything stays on the device until it is read. For runs that train as one, J of them, every tensor begins with an
    axis of J, and the sums of each run are a row.
    """

    def __init__(self, device: torch.device) -> None:
        self.names: list[str] = []
        self.step = torch.zeros((), dtype=torch.int64, device=device)  # the one under way

    def start(self, names: list[str], runs: tuple[int, ...] = ()) -> None:
        """Begins sums of figures of those names. runs: (J,) for J runs as one."""
        device = self.step.device
        exact = torch.float32 if device.type == "mps" else torch.float64
        self.names = names
        # two rows, the window's and the epoch's; the last column counts the examples
        self.totals = torch.zeros(*runs, 2, len(names) + 1, dtype=exact, device=device)
        # the first step at which a figure was not finite, and the figures of that step
        self.first_bad = torch.full(runs, NEVER, dtype=torch.int64, device=device)
        self.bad = torch.zeros(*runs, len(names), device=device)

    def add(self, figures: dict[str, Tensor], examples: int) -> Tensor:
        """Adds a step's figures unless one is not finite. Returns whether all were, as a boolean scalar."""
        values = torch.stack([*figures.values()], -1)
        if not self.names:
            self.start([*figures])
        # few operators, for on a GPU each is a kernel: nothing but what is not finite times zero is not zero
        finite = (values * 0).sum(-1) == 0
        keeps = finite | (self.first_bad != NEVER)
        torch.where(keeps, self.first_bad, self.step, out=self.first_bad)
        torch.where(keeps[..., None], self.bad, values, out=self.bad)
        self.totals[..., :-1].add_(torch.where(finite[..., None], values, 0)[..., None, :], alpha=examples)
        self.totals[..., -1].add_(finite[..., None], alpha=examples)
        return finite

    def window(self) -> dict[str, float]:
        """The means since the last window was read, on the host. Waits for the device, and starts a new window."""
        means = self._means(0)
        self.totals[0] = 0
        return means

    def epoch(self) -> dict[str, float]:
        """The means since the epoch began, on the host. Waits for the device."""
        return self._means(1)

    def is_empty(self) -> bool:
        """Whether the window holds no step that was finite. Waits for the device."""
        return not self.names or not float(self.totals[0, -1])

    def begin_epoch(self) -> None:
        if self.names:
            self.totals[1] = 0

    def _means(self, row: int) -> dict[str, float]:
        if not self.names:
            return {}
        *totals, examples = self.totals[row].tolist()
        if not examples:
            return {}
        means = {name: total / examples for name, total in zip(self.names, totals, strict=True)}
        return means | ({"elbo": means["log_px"] - means["kl"]} if "kl" in means else {})

    def take_bad(self) -> tuple[int, list[str]] | None:
        """The first step since the last call at which a figure was not finite, and which ones were not, if any."""
        first = NEVER if not self.names else int(self.first_bad)
        if first == NEVER:
            return None
        names = [name for name, value in zip(self.names, self.bad.tolist(), strict=True) if not math.isfinite(value)]
        self.first_bad.fill_(NEVER)
        return first, names

    def state_dict(self) -> dict[str, Any]:
        if not self.names:
            return {}
        return {"names": self.names, "totals": self.totals, "bad": self.bad, "first_bad": self.first_bad}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        if state:
            self.names = list(state["names"])
            self.totals, self.bad, self.first_bad = (state[key].to(device) for key in ("totals", "bad", "first_bad"))


class TrainingStep:
    """Calls the objective on a batch and moves every player's parameters.

    What the host knows of a step is written to the device by `advance`, so that `gradients` and `update`
    read and write device memory alone, and can be recorded and replayed.

    skips: whether training goes on after a step that is not finite.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Any,
        kl: KL,
        players: list[Player],
        device: torch.device,
        *,
        precision: str = "fp32",
        gradient_clip: float | None = None,
        average: Any = None,
        skips: bool = False,
    ):
        self.model, self.objective, self.kl, self.players, self.device = model, objective, kl, players, device
        self.precision, self.gradient_clip, self.average = precision, gradient_clip, average
        self.sums = Sums(device)
        # what layers remember of their batches, which after a step that is not finite they must not
        self.memory = [*model.buffers(), *objective.buffers()] if skips else []

    def __call__(self, batch: Batch, step: int) -> None:
        self.advance(step)
        playing = self.playing(step)
        self.update(self.gradients(batch, playing), len(batch), playing)

    def playing(self, step: int) -> list[Player]:
        """Whose turn it is."""
        return [player for player in self.players if step % player.phase.every == 0]

    def advance(self, step: int) -> None:
        """Writes the number of the step, the weight of the KL at it and the learning rates to the device."""
        self.sums.step.fill_(step)
        self.kl.advance(step)
        for player in self.players:
            player.advance(step)

    def gradients(self, batch: Batch, playing: list[Player]) -> dict[str, Tensor]:
        """Leaves in every parameter that is played its gradient. Returns the step's figures, scalars."""
        self.memory_before = [tensor.clone() for tensor in self.memory]
        with autocast(self.device, self.precision):
            losses, evidence = self.objective.losses(self.model, batch, self.kl)
        totals = totals_of(losses)
        for player in playing:
            for parameter in player.phase.parameters:
                parameter.grad = None  # before, so that the new gradients can have the old ones' memory
        for player in playing:
            parameters = player.phase.parameters
            # the forward pass is shared: only the last player may let go of it
            shared = player is not playing[-1]
            gradients = torch.autograd.grad(totals[player.name], parameters, retain_graph=shared, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                # fused optimizers go through parameters and gradients by place alone
                parameter.grad = None if gradient is None else lies_as(parameter, gradient)
        return figures_of(losses, totals, evidence)

    def update(self, figures: dict[str, Tensor], examples: int, playing: list[Player]) -> None:
        """Adds the figures to the sums and, if they and the gradients are finite, moves the parameters."""
        norms = [torch.nn.utils.get_total_norm(_gradients(player)) for player in playing]
        for player in self.players:
            name = "gradient_norm" if player.name == "model" else f"gradient_norm_{player.name}"
            figures[name] = norms[playing.index(player)] if player in playing else norms[0].new_zeros(())
        finite = self.sums.add(figures, examples)
        for tensor, before in zip(self.memory, self.memory_before, strict=True):
            tensor.copy_(torch.where(finite, tensor, before))
        for player, norm in zip(playing, norms, strict=True):
            self._move(player, norm, finite)
        if self.average:
            self.average.update()

    def _move(self, player: Player, norm: Tensor, finite: Tensor) -> None:
        parameters = [parameter for parameter in player.phase.parameters if parameter.grad is not None]
        if self.gradient_clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.gradient_clip, norm)
        hold_back(player.optimizer, parameters, finite)
        player.optimizer.step()


def hold_back(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor], finite: Tensor) -> None:
    """Makes the optimizer's next step none where `finite`, a boolean scalar, is false."""
    if optimizer.defaults.get("fused"):
        # the fused kernels leave parameters and moments alone where told that an infinity was found
        found = torch.empty((), device=finite.device)
        optimizer.found_inf = torch.logical_not(finite, out=found)  # type: ignore[attr-defined]
        return
    for parameter in parameters:  # elsewhere such a step is one of gradient zero
        if parameter.grad is not None:
            parameter.grad = torch.where(finite, parameter.grad, 0.0)


def _gradients(player: Player) -> list[Tensor]:
    return [parameter.grad for parameter in player.phase.parameters if parameter.grad is not None]
