"""The optimizers of the runs of a stack."""

import json
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from vae_runner.training.fitting import Fitting
from vae_runner.training.stacked.layout import as_it_lies, row_of, side_by_side
from vae_runner.training.stacked.stack import Stack
from vae_runner.training.step import Player, hold_back


class Crew:
    """Neighbours in a stack that one optimizer moves: one run, or several whose settings agree.

    The state of each run's own optimizer is a row of this one's. rows: where the runs are in the stack.
    """

    def __init__(self, fittings: Sequence[Fitting], stack: Stack, rows: slice):
        lead = fittings[0].players[0]
        self.rows = rows
        self.may_skip = fittings[0].trainer.nonfinite == "skip"
        self.optimizers = [fitting.players[0].optimizer for fitting in fittings]
        self.members = [stack.members[name][rows] for name in stack.parameters]
        self.parameters = [as_it_lies(parameter.detach()[rows]) for parameter in stack.parameters.values()]
        self.optimizer = fittings[0].experiment.optimizer(self.parameters, **lead.phase.optimizer)
        self.player = Player(lead.name, lead.phase, self.optimizer, lead.schedule)
        self.handed_out = 0
        self._take_over()

    def forget_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def move(self, gradients: Sequence[Tensor | None], finite: Tensor) -> None:
        """gradients (J, ...) of every parameter, finite (J,): of all runs of the stack.

        A run that stops at a step that is not finite saves nothing of what comes after; it is not held back here.
        """
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else as_it_lies(gradient[self.rows]).contiguous()
        if self.may_skip:
            hold_back(self.optimizer, self.parameters, finite[self.rows].squeeze(0))
        self.optimizer.step()

    def _take_over(self) -> None:
        for parameter, members in zip(self.parameters, self.members, strict=True):
            pairs = zip(self.optimizers, members, strict=True)
            states = [optimizer.state.get(member, {}) for optimizer, member in pairs]
            if all(states):
                self.optimizer.state[parameter] = {key: _joined(key, states) for key in states[0]}

    def hand_out(self) -> None:
        """Gives every run's own optimizer its rows of a state that is new."""
        if self.handed_out == len(self.optimizer.state):
            return
        self.handed_out = len(self.optimizer.state)
        for parameter, members in zip(self.parameters, self.members, strict=True):
            if not (state := self.optimizer.state.get(parameter)):
                continue  # it has no gradient
            for row, (optimizer, member) in enumerate(zip(self.optimizers, members, strict=True)):
                optimizer.state[member] = {
                    key: row_of(value, row) if _has_rows(key, value) else value for key, value in state.items()
                }


def _has_rows(key: str, value: Any) -> bool:
    return isinstance(value, Tensor) and key != "step"


def _joined(key: str, states: list[dict[str, Any]]) -> Any:
    value = states[0][key]
    if _has_rows(key, value):
        return as_it_lies(side_by_side([state[key] for state in states]))
    return value.clone() if isinstance(value, Tensor) else value


def crew_of(fitting: Fitting) -> str:
    """Runs of one crew have the same."""
    (player,), experiment = fitting.players, fitting.experiment
    shares = getattr(experiment.optimizer, "elementwise", False) and player.schedule.of_time
    if not shares or fitting.trainer.nonfinite == "skip":
        return str(id(fitting))
    taken = {float(state["step"]) for state in player.optimizer.state.values() if "step" in state}
    settings = experiment.config["optimizer"], experiment.config["scheduler"], player.phase.optimizer
    return json.dumps([*settings, sorted(taken), bool(player.optimizer.state)], sort_keys=True)
