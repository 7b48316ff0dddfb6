"""The training steps of several runs as one.

Each run keeps its own model, optimizer, schedules, sums and log, all of them ordinary; only the memory of its tensors
is a row of tensors (J, ...) that J runs share. So whatever is done between steps is done as for any other run.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from vae_runner.training.budget import Block
from vae_runner.training.device import autocast
from vae_runner.training.fitting import Fitting
from vae_runner.training.optimizers import can_be_recorded
from vae_runner.training.recording import Step, steps_on
from vae_runner.training.seeds import derived
from vae_runner.training.stacked.crew import Crew, crew_of
from vae_runner.training.stacked.layout import along, norms_of
from vae_runner.training.stacked.stack import Stack
from vae_runner.training.step import Player, Sums


class StackedSteps:
    """The steps of J fits that stand at the same step. Every tensor of theirs becomes a row of the stack's."""

    def __init__(self, fittings: Sequence[Fitting]):
        # those that can share an optimizer stand next to each other
        crews: dict[str, list[Fitting]] = {}
        for fitting in fittings:
            crews.setdefault(crew_of(fitting), []).append(fitting)
        self.fittings = [fitting for crew in crews.values() for fitting in crew]
        first = self.fittings[0]
        self.experiment, self.trainer = first.experiment, first.trainer
        self.stack = Stack([fitting.experiment for fitting in self.fittings])
        self.sums = Sums(self.experiment.device)
        self.crews, start = [], 0
        for crew in crews.values():
            self.crews.append(Crew(crew, self.stack, slice(start, start + len(crew))))
            start += len(crew)
        for fitting in self.fittings:
            fitting.is_stacked = True
            fitting.sums.step = self.sums.step
            if fitting.average:
                fitting.average.follow(fitting.experiment.model)
        recorded = self.trainer.record_steps and all(can_be_recorded(crew.optimizer) for crew in self.crews)
        modules, compiled = self.experiment.modules(), self.trainer.compile
        compute = cast(Step, self._compute)  # data that stays on disk does not stack, so that only blocks are given
        self.take = steps_on(self.experiment.device, compute, recorded, modules, compiled)

    def seed(self, step: int) -> None:
        """Seeds the noise of the steps from `step` on, by the seeds of all."""
        first, *others = [fitting.experiment.seed for fitting in self.fittings]
        torch.manual_seed(derived(first, "noise of a stack", step, *others))

    def step(self, blocks: Sequence[Block], step: int) -> None:
        """Trains every run, in the order of `fittings`, on its block of B examples."""
        self.sums.step.fill_(step)
        for fitting in self.fittings:
            fitting.experiment.kl.advance(step)
            for player in fitting.players:
                player.advance(step)
        for crew in self.crews:
            crew.player.advance(step)
        lengths = [block.steps for block in blocks if block.steps is not None]
        together = Block(torch.cat([block.indices for block in blocks]), max(lengths, default=None))
        self.take(together, self.fittings[0].players)
        for crew in self.crews:
            crew.hand_out()

    def _compute(self, block: Block, playing: list[Player]) -> None:
        data, examples = self.experiment.data, len(block.indices) // len(self.fittings)
        memory = [*self.stack.constants.values()] if self.trainer.nonfinite == "skip" else []
        memory_before = [tensor.clone() for tensor in memory]
        with autocast(self.experiment.device, self.trainer.precision):
            losses, figures = self.stack.losses(data.batch(data.train, block.indices, steps=block.steps))
        for crew in self.crews:
            crew.forget_gradients()  # before, so that the new gradients can have the old ones' memory
        gradients = self.stack.gradients(losses)
        known = [gradient for gradient in gradients if gradient is not None]
        norms = torch.stack([norms_of(gradient) for gradient in known]).norm(dim=0)
        figures["gradient_norm"] = norms
        if not self.sums.names:
            self._share_sums([*figures])
        finite = self.sums.add(figures, examples)
        for tensor, before in zip(memory, memory_before, strict=True):
            tensor.copy_(torch.where(along(finite, tensor), tensor, before))
        if self.trainer.gradient_clip is not None:
            # as torch.nn.utils.clip_grads_with_norm_ does
            share = (self.trainer.gradient_clip / (norms + 1e-6)).clamp(max=1)
            for gradient in known:
                gradient.mul_(along(share, gradient))
        for crew in self.crews:
            crew.move(gradients, finite)
        for fitting in self.fittings:
            if fitting.average:
                fitting.average.update()

    def _share_sums(self, names: list[str]) -> None:
        self.sums.start(names, (len(self.fittings),))
        for row, fitting in enumerate(self.fittings):
            for name in ("totals", "bad", "first_bad"):
                of_run = getattr(self.sums, name)[row]
                if fitting.sums.names:
                    of_run.copy_(getattr(fitting.sums, name))
                setattr(fitting.sums, name, of_run)
            fitting.sums.names = names


def release(fitting: Fitting, step: int) -> None:
    """Makes a fit whose experiment was in a stack one by itself, from `step` on: its tensors, and its noise."""
    for module in fitting.experiment.modules():
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    for player in fitting.players:
        for state in player.optimizer.state.values():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    state[key] = value.clone(memory_format=torch.contiguous_format)
    if fitting.average:
        fitting.average.follow(fitting.experiment.model)
    fitting.is_stacked = False
    fitting.take = fitting.own_steps()
    torch.manual_seed(derived(fitting.experiment.seed, "noise", step))
