"""`vae-run evaluate run=DIR`: the figures of a run's model, taken anew, and those that training does not take."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from vae_runner.commands.arguments import call
from vae_runner.commands.files import writing
from vae_runner.commands.runs import DataPath, DataRoot, Device, Opened, RunPath, Seed, Trust, Weights, open_run
from vae_runner.config import nearest
from vae_runner.errors import UserError
from vae_runner.run_directory import write_json
from vae_runner.settings import Range

if TYPE_CHECKING:
    from vae_runner.evaluation.evaluate import Evaluation
    from vae_runner.evaluation.features import Features
    from vae_runner.evaluation.groups import Settings, Subject

STREAMED_FEATURES = 10_000  # examples that features are learned from, at most, where data is too large for memory
BOUND = "bound"  # the figures of training, which are always taken


def main(args: Sequence[str]) -> int:
    return call(evaluate, args)


def evaluate(
    *,
    run: RunPath,
    split: Annotated[Literal["test", "validation", "train", "all"], "of which examples"] = "test",
    limit: Annotated[
        Annotated[int, Range(2)] | None, "of the first so many examples; null: as the run's training did"
    ] = None,
    only: Annotated[
        str | None,
        "groups of figures, with commas: bound, likelihood, latents, reconstruction, samples, usefulness, "
        "disentanglement, anomaly; null: all that the run allows",
    ] = None,
    samples: Annotated[
        Annotated[int, Range(1)] | None,
        "draws of z per example for log p(x); null: 5000, or as many as take about a minute (anomaly: 50)",
    ] = None,
    annealed: Annotated[
        Annotated[int, Range(0, 10**6)],
        "steps of annealed importance sampling, a second opinion on log p(x) of 100 examples; 0: none",
    ] = 0,
    generated: Annotated[Annotated[int, Range(20, 10**6)], "examples drawn from the model, at most"] = 2000,
    inception: Annotated[
        str | None, "a file of Inception v3 weights to compare images by; null: a small network"
    ] = None,
    seed: Seed = 0,
    weights: Weights = "best",
    device: Device = "auto",
    data_path: DataPath = None,
    data_root: DataRoot = None,
    trust: Trust = False,
) -> int:
    """The figures of a run's model: the bound as training takes it, then everything that can be said of such a model.

    They are printed and written to evaluation.json in the run, with maps of the codes, the KL of each unit and the
    bound as its draws grow as pictures; what cannot be said of a run is listed with the reason. docs/figures.md says
    what each figure is.
    """
    wanted = _groups(only)
    opened = open_run(
        run, weights=weights, device=device, trust=trust, seed=seed, data_path=data_path, data_root=data_root
    )
    loaded = opened.run
    splits = opened.splits if split == "all" else {split: opened.split(split)}
    make_features = _features(opened, inception)

    from vae_runner.evaluation import evaluate as evaluation
    from vae_runner.evaluation.groups import Settings
    from vae_runner.reporting import console, tables

    if limit is None:
        limit = loaded.config["trainer"]["evaluation_examples"]
    results = {
        name: evaluation.evaluate(
            loaded.model, loaded.objective, loaded.kl, loaded.data, examples, loaded.device, limit=limit, seed=seed
        )
        for name, examples in splits.items()
    }
    console.show(tables.as_rich(_table(results), title=opened.described))
    chosen = "test" if "test" in splits else next(reversed(splits))
    settings = Settings(weights=samples, temperatures=annealed, samples=generated)
    subject = _subject(opened, chosen, limit, make_features, settings)
    groups, reasons = _figures_of_groups(subject, wanted, chosen)
    file = loaded.directory / "evaluation.json"
    how = {"weights": weights, "step": loaded.step, "seed": seed, "groups_of": chosen}
    with writing(file):
        write_json(file, {**how, **_figures(results), **groups, "not_taken": reasons})
    print(file)
    for name, result in results.items():
        _draw(opened, name, result)
    if "likelihood" in wanted:
        _draw_bounds(opened, chosen, groups.get("likelihood"))
    return 0


def _groups(only: str | None) -> list[str]:
    from vae_runner.evaluation.groups import GROUPS

    if only is None:
        return list(GROUPS)
    names = [name.strip() for name in only.split(",") if name.strip()]
    if not names:
        raise UserError(f"only={only}: names no group; there are {', '.join([BOUND, *GROUPS])}")
    for name in names:
        if name not in (BOUND, *GROUPS):
            near = nearest(name, [BOUND, *GROUPS])
            hint = f"did you mean {near}?" if near else f"there are {', '.join([BOUND, *GROUPS])}"
            raise UserError(f"only={only}: there is no group {name}; {hint}")
    return [name for name in GROUPS if name in names]


def _subject(
    opened: Opened, split: str, limit: int | None, make_features: "Callable[[], Features]", settings: "Settings"
) -> "Subject":
    from vae_runner.evaluation.groups import Subject

    run = opened.run
    return Subject(
        run.model,
        run.data,
        opened.split(split),
        run.device,
        make_features,
        limit=limit,
        seed=opened.seed,
        settings=settings,
    )


def _features(opened: Opened, inception: str | None) -> "Callable[[], Features]":
    """Gives those of a file, or of a network that is trained on the data once and kept, for all runs on the same data.

    Raises UserError where the file cannot be used.
    """
    import torch

    from vae_runner.data.streamed import StreamedSplit
    from vae_runner.evaluation import features, kept

    run = opened.run
    if inception is not None:
        given = features.InceptionFeatures(Path(inception).expanduser()).to(run.device)
        return lambda: given

    def trained() -> features.Features:
        print("training a network on the data, to compare samples in its features")
        train = run.data.train
        n = min(len(train), STREAMED_FEATURES) if isinstance(train, StreamedSplit) else len(train)
        indices = torch.arange(n, device=run.device)
        with opened.preserved():
            batch = run.data.batch(train, indices)
        return features.train_features(batch.x, batch.y, run.model.space)

    return lambda: kept.kept(run.config["data"], trained).to(run.device)


def _figures_of_groups(subject: "Subject", wanted: Sequence[str], split: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The figures of each group, shown as they come, and why others were not taken."""
    from vae_runner.evaluation.groups import GROUPS, Inapplicable
    from vae_runner.reporting import console, tables

    figures: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for name in wanted:
        try:
            figures[name] = GROUPS[name](subject)
        except Inapplicable as reason:
            reasons[name] = str(reason)
            continue
        rows = [{"figure": key, split: value} for key, value in figures[name].items() if not isinstance(value, list)]
        console.show(tables.as_rich(rows, title=name))
    for name, why in reasons.items():
        print(f"no {name}: {why}")
    return figures, reasons


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
    from vae_runner.reporting.figures import kl_bars, latent_map, latent_map_3d

    of = f"{split} examples, {opened.described}"
    class_names, factor = opened.run.data.space.class_names, opened.run.data.first_factor
    codes = latent_map(result.codes, result.labels, class_names, factor=factor, title=f"codes of {of}")
    opened.save(f"evaluation/latents_{split}.png", codes)
    if result.codes[0].numel() >= 3:
        space = latent_map_3d(result.codes, result.labels, class_names, factor=factor, title=f"codes of {of}")
        opened.save(f"evaluation/latents_3d_{split}.png", space)
    if result.kl_units is not None:
        bars = kl_bars(result.kl_units, title=f"KL by unit, {of}")
        opened.save(f"evaluation/kl_units_{split}.png", bars)


def _draw_bounds(opened: Opened, split: str, likelihood: dict[str, Any] | None) -> None:
    """One draw is no curve; that of an earlier time does not stay beside other figures."""
    from vae_runner.reporting.figures import bound_curve

    name = f"evaluation/bounds_{split}.png"
    if likelihood is None or likelihood["draws"] == 1:
        opened.remove(name)
        return
    columns = ([row[key] for row in likelihood["bounds"]] for key in ("draws", "bound", "standard_error"))
    title = f"bound on the log-likelihood of {likelihood['examples']} {split} examples, {opened.described}"
    opened.save(name, bound_curve(*columns, title=title))
