"""`vae-run forecast run=DIR`: how sequences go on."""

from collections.abc import Sequence
from typing import Annotated

from vae_runner.commands.arguments import call
from vae_runner.commands.runs import (
    DataPath,
    DataRoot,
    Device,
    RunPath,
    Seed,
    SplitName,
    Trust,
    Weights,
    file_name,
    open_run,
)
from vae_runner.settings import Range


def main(args: Sequence[str]) -> int:
    return call(forecast, args)


def forecast(
    *,
    run: RunPath,
    prefix: Annotated[Annotated[int, Range(1)] | None, "how many steps are known; null: half of the longest"] = None,
    steps: Annotated[Annotated[int, Range(1)] | None, "how many after them are compared; null: all"] = None,
    split: SplitName = "test",
    n: Annotated[int, Range(1, 100_000), "how many sequences, or as many as there are"] = 100,
    draws: Annotated[int, Range(1, 1000), "of each"] = 20,
    temperature: Annotated[float, Range(0, 1000), "how widely the steps are drawn"] = 1.0,
    seed: Seed = 0,
    weights: Weights = "best",
    device: Device = "auto",
    data_path: DataPath = None,
    data_root: DataRoot = None,
    trust: Trust = False,
) -> int:
    """What a run's model expects after the first steps of sequences, chosen by the seed.

    A picture of the first eight goes into the run. The error of the mean of the draws is printed, beside those of the
    last value and of the mean so far; of text the share of tokens that are wrong.
    """
    opened = open_run(
        run, weights=weights, device=device, trust=trust, seed=seed, data_path=data_path, data_root=data_root
    )
    examples = opened.split(split)

    from vae_runner.evaluation import forecasting
    from vae_runner.reporting.forecasts import draw_forecasts

    model = opened.run.model
    known = prefix or max(model.space.shape[0] // 2, 1)
    with opened.preserved():
        batch = opened.run.data.batch(examples, opened.chosen(examples, n))
        result = forecasting.forecast(model, batch, known, steps=steps, draws=draws, temperature=temperature)
    figures = ", ".join(f"{name} {error:.4g}" for name, error in result.errors.items())
    image = draw_forecasts(
        model.space,
        batch.x[:8].cpu(),
        result.draws[:, :8].cpu(),
        result.prediction[:8].cpu(),
        known,
        mask=None if batch.mask is None else batch.mask[:8].cpu(),
        title=f"{split} examples from step {known} on, error: {figures}; {opened.described}",
    )
    settings = {"prefix": prefix, "steps": steps, "split": split, "n": n, "draws": draws, "temperature": temperature}
    opened.save(f"forecasts/{file_name(forecast, **settings, seed=seed, weights=weights)}", image)
    print(f"{len(batch)} {split} examples from step {known} on, error: {figures}")
    return 0
