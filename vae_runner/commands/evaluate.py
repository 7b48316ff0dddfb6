"""`vae-run evaluate run=DIR`: the figures of a run's model, taken anew."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from vae_runner.commands.arguments import call
from vae_runner.commands.files import writing
from vae_runner.commands.runs import Device, Opened, RunPath, Seed, Trust, Weights, open_run
from vae_runner.run_directory import write_json
from vae_runner.settings import Range

if TYPE_CHECKING:
    from vae_runner.evaluation.evaluate import Evaluation


def main(args: Sequence[str]) -> int:
    return call(evaluate, args)


def evaluate(
    *,
    run: RunPath,
    split: Annotated[Literal["test", "validation", "train", "all"], "of which examples"] = "test",
    limit: Annotated[
        Annotated[int, Range(2)] | None, "of the first so many examples; null: as the run's training did"
    ] = None,
    samples: Annotated[
        Annotated[int, Range(1)] | None, "draws of z per example, by which log p(x) is estimated; null: it is not"
    ] = None,
    seed: Seed = 0,
    weights: Weights = "best",
    device: Device = "auto",
    trust: Trust = False,
) -> int:
    """The figures of a run's model, by the function that training uses: with no more settings, those of summary.json.

    They are printed and written to evaluation.json in the run, with a map of the codes and the KL of each unit. With
    samples=5000 they have besides log p(x) by importance sampling, a bound that tightens as samples grow.
    """
    opened = open_run(run, weights=weights, device=device, trust=trust, seed=seed)
    loaded = opened.run
    splits = opened.splits if split == "all" else {split: opened.split(split)}

    from vae_runner.evaluation import evaluate as evaluation
    from vae_runner.evaluation.likelihood import log_likelihood
    from vae_runner.reporting import console, tables

    if limit is None:
        limit = loaded.config["trainer"]["evaluation_examples"]
    results = {
        name: evaluation.evaluate(
            loaded.model, loaded.objective, loaded.kl, loaded.data, examples, loaded.device, limit=limit, seed=seed
        )
        for name, examples in splits.items()
    }
    if samples is not None:
        for name, examples in splits.items():
            log_px = log_likelihood(
                loaded.model, loaded.data, examples, loaded.device, samples=samples, limit=limit, seed=seed
            )
            error = float(log_px.std() / len(log_px) ** 0.5)
            results[name].figures |= {"log_likelihood": float(log_px.mean()), "log_likelihood_standard_error": error}
    file = loaded.directory / "evaluation.json"
    how = {"weights": weights, "step": loaded.step, "seed": seed, "samples": samples}
    with writing(file):
        write_json(file, {**how, **_figures(results)})
    console.show(tables.as_rich(_table(results), title=opened.described))
    print(file)
    for name, result in results.items():
        _draw(opened, name, result)
    return 0


def _figures(results: "dict[str, Evaluation]") -> dict[str, Any]:
    return {
        **{name: result.figures for name, result in results.items()},
        "examples": {name: result.examples for name, result in results.items()},
        "kl_units": {
            name: None if result.kl_units is None else result.kl_units.tolist() for name, result in results.items()
        },
    }


def _table(results: "dict[str, Evaluation]") -> list[dict[str, Any]]:
    """A row per figure, a column per split."""
    columns = {name: {"examples": result.examples, **result.figures} for name, result in results.items()}
    figures = dict.fromkeys(figure for column in columns.values() for figure in column)
    return [{"figure": figure, **{name: column[figure] for name, column in columns.items()}} for figure in figures]


def _draw(opened: Opened, split: str, result: "Evaluation") -> None:
    from vae_runner.reporting.figures import kl_bars, latent_map

    of = f"{split} examples, {opened.described}"
    class_names = opened.run.data.space.class_names
    codes = latent_map(result.codes, result.labels, class_names, title=f"codes of {of}")
    opened.save(f"evaluation/latents_{split}.png", codes)
    if result.kl_units is not None:
        bars = kl_bars(result.kl_units, title=f"KL by unit, {of}")
        opened.save(f"evaluation/kl_units_{split}.png", bars)
