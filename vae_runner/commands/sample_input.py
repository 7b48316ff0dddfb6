"""What samples are given: conditions that take turns, how all begin, and the latents that all share."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vae_runner.build import Run
from vae_runner.commands.runs import Opened
from vae_runner.data.splits import Split
from vae_runner.errors import UserError

HELD_OUT = 256  # examples whose conditions take turns, where there is no list of all conditions


def conditions(opened: Opened, label: str | None) -> tuple[Tensor | None, list[str]]:
    """The conditions that take turns, (K, ...), and their names where each kind has its turn.

    None for a model without; with `label`, that alone. Raises UserError where the model does not know it.
    """
    run, condition = opened.run, opened.run.model.condition
    if condition is None:
        if label is not None:
            raise UserError(f"label={label}: this model is not conditioned on anything; train one with variant=cvae")
        return None, []
    if label is not None:
        c = condition.parse(label)
        if remark := condition.remark(label):
            print(f"label={label}: {remark}")
        return c.to(run.device), []
    if (each := condition.each()) is not None:
        return each[0].to(run.device), each[1]
    examples = _held_out(run)
    return run.data.batch(examples, opened.chosen(examples, HELD_OUT)).c, []


def first_steps(opened: Opened, prompt: str | None) -> Tensor | None:
    """The steps (1, t, ...) that all samples begin with: the prompt's words, or so many of a held-out sequence.

    Raises UserError where the model does not write step by step, or the prompt is neither.
    """
    if prompt is None:
        return None
    run, space = opened.run, opened.run.model.space
    if not run.model.takes_prompt:
        raise UserError(
            f"prompt={prompt}: this model does not write step by step; vae-run forecast continues sequences"
        )
    if space.support == "categorical":
        from vae_runner.data.tokens import to_tokens, unknown_in

        if unknown := unknown_in(prompt, space.vocabulary):
            raise UserError(f"prompt={prompt}: this model has not seen {', '.join(map(repr, unknown))} in its text")
        return to_tokens(prompt, space.vocabulary)[None].to(run.device)
    if not prompt.isdigit() or not 0 < int(prompt) < space.shape[0]:
        raise UserError(f"prompt={prompt}: must be how many steps of a held-out sequence, 1 to {space.shape[0] - 1}")
    examples = _held_out(run)
    chosen = torch.randint(len(examples), (1,), generator=torch.Generator().manual_seed(opened.seed))
    return run.data.batch(examples, chosen.to(run.device)).x[:, : int(prompt)]


def upper_latents(opened: Opened, hold: int | None, c: Tensor | None) -> Sequence[Tensor]:
    """The latents (1, *latent_shape) of the levels above `hold`, which all samples share.

    Raises UserError where the model has no level above.
    """
    if hold is None:
        return ()
    model = opened.run.model
    if model.levels == 1:
        raise UserError(f"hold={hold}: this model has one level of latents, and none above to hold; leave hold out")
    if hold >= model.levels:
        allowed = " or ".join(f"hold={level}" for level in range(1, model.levels))
        raise UserError(
            f"hold={hold}: this model has {model.levels} levels of latents, and one must lie above; type {allowed}"
        )
    return model.sample_latents(1, None if c is None else model.condition(c[:1]))[hold:]


def _held_out(run: Run) -> Split:
    return run.data.test if len(run.data.test) else run.data.train
