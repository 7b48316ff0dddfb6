"""How a sequence goes on: z from q given a prefix alone, then what the model writes after it, several times over."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vae_runner.data.space import Batch
from vae_runner.errors import UserError
from vae_runner.models.free_running import FreeRun, draw
from vae_runner.models.vae import repeated


@dataclass
class Forecast:
    """draws (K, N, *shape), each beginning with the prefix. prediction: their mean, of tokens the most frequent.

    errors: of the `forecast` and of two that need no model, the `last value` and the `mean so far` (the most frequent
    token), going on for ever: the mean square over what follows the prefix; of tokens the share of wrong ones.
    """

    draws: Tensor
    prediction: Tensor
    errors: dict[str, float]


@torch.no_grad()
def forecast(
    model: Any, batch: Batch, prefix: int, *, steps: int | None = None, draws: int = 20, temperature: float = 1.0
) -> Forecast:
    """Continues the first `prefix` steps of the batch's sequences, by `steps` or to the end.

    A decoder that is told the steps before goes on from the prefix; of any other the part after it is kept.

    Raises UserError where there are no steps, or none to forecast.
    """
    space, x = model.space, batch.x
    if not space.sequence:
        raise UserError(f"forecast continues sequences, this model's examples have shape {tuple(space.shape)}")
    if not 0 < prefix < space.shape[0]:
        raise UserError(
            f"prefix={prefix}: must leave steps on both sides, the longest example has {space.shape[0]}; type "
            f"prefix=1 to prefix={space.shape[0] - 1}"
        )
    if steps is not None and steps > space.shape[0] - prefix:
        raise UserError(
            f"steps={steps}: the longest example has {space.shape[0] - prefix} after the {prefix} that are known; type "
            f"steps=1 to steps={space.shape[0] - prefix}, or a smaller prefix"
        )
    step = torch.arange(space.shape[0], device=x.device).view(-1, *[1] * (x.dim() - 2))
    known = torch.ones_like(x[:, :, :1] if x.dim() == 3 else x) if batch.mask is None else batch.mask
    seen = replace(batch, x=x * (step < prefix), input=batch.input * (step < prefix), mask=known * (step < prefix))
    latents = [level.z.flatten(0, 1) for level in model.infer(seen, draws)]
    prompt, context = x[:, :prefix].repeat(draws, *[1] * (x.dim() - 1)), repeated(model.context(batch), draws)
    px = model.decode(latents, context, prompt=prompt, temperature=temperature)
    drawn = px.sample() if isinstance(px, FreeRun) else draw(px, space, model.likelihood.discrete, temperature)
    drawn, means = (torch.cat([prompt, part[:, prefix:]], 1).unflatten(0, (draws, -1)) for part in (drawn, px.mean))

    counts = known * (step >= prefix) * (step < (prefix + steps if steps else len(step)))
    prediction = _centre(means, 0)
    others = _without_a_model(x[:, :prefix], known.expand_as(x)[:, :prefix])
    predictions = {"forecast": prediction, **{name: value.expand_as(x) for name, value in others.items()}}
    return Forecast(drawn, prediction, {name: _error(value, x, counts) for name, value in predictions.items()})


def _without_a_model(x: Tensor, known: Tensor) -> dict[str, Tensor]:
    """What guesses that know no more than the prefix say of every later step, (N, 1, *shape).

    Values that are missing are passed over; where none is known the guess is 0, as a model is told.
    """
    if not x.is_floating_point():
        return {"last value": x[:, -1:], "mean so far": _centre(x, 1).unsqueeze(1)}
    step = torch.arange(1, x.shape[1] + 1, device=x.device).view(-1, 1)
    last = (known * step).argmax(1, keepdim=True)
    mean = (x * known).sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp_min(1)
    return {"last value": x.gather(1, last), "mean so far": mean}


def _centre(x: Tensor, dimension: int) -> Tensor:
    return x.mean(dimension) if x.is_floating_point() else x.mode(dimension).values


def _error(prediction: Tensor, x: Tensor, counts: Tensor) -> float:
    wrong = (prediction - x).square() if x.is_floating_point() else (prediction != x).float()
    return float((wrong * counts).sum() / counts.expand_as(wrong).sum())
