"""`vae-run evaluate run=DIR`: the figures of a run's model, taken anew, and those that training does not take."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from vae_runner.commands.arguments import call
from vae_runner.commands.evaluate_output import EvaluationFile, draw, draw_bounds, draw_neighbours, remove_others
from vae_runner.commands.runs import DataPath, DataRoot, Device, Opened, RunPath, Seed, Trust, Weights, open_run
from vae_runner.config import nearest
from vae_runner.config.values import write
from vae_runner.errors import UserError
from vae_runner.reporting.formats import with_errors
from vae_runner.run_directory import RunDirectory
from vae_runner.settings import Range

if TYPE_CHECKING:
    from vae_runner.evaluation.evaluate import Evaluation
    from vae_runner.evaluation.features import Features
    from vae_runner.evaluation.groups import Settings, Subject

STREAMED_FEATURES = 10_000  # examples that features are learned from, at most, where data is too large for memory
NOISE = 0.02  # share by which a log-likelihood differs from one device to another: z is drawn by other generators
# what is said of how a group is taken: of which groups
OPTIONS = {
    "samples": ("likelihood", "anomaly"),
    "annealed": ("likelihood",),
    "annealed_chains": ("likelihood",),
    "annealed_examples": ("likelihood",),
    "generated": ("samples",),
    "neighbours": ("samples",),
    "inception": ("samples",),
    "feature_steps": ("samples",),
    "codes": ("latents", "disentanglement"),
    "training_codes": ("usefulness",),
    "bins": ("disentanglement",),
}
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
        "steps of annealed importance sampling, a second opinion on log p(x); 0: none",
    ] = 0,
    annealed_chains: Annotated[Annotated[int, Range(1, 10**6)], "chains of it for each example"] = 16,
    annealed_examples: Annotated[Annotated[int, Range(2, 10**6)], "examples that it is of, at most"] = 100,
    generated: Annotated[Annotated[int, Range(20, 10**6)], "examples drawn from the model, at most"] = 2000,
    neighbours: Annotated[
        Annotated[int, Range(1, 10**6)], "nearest ones by which precision, recall, density and coverage are taken"
    ] = 5,
    inception: Annotated[
        str | None, "a file of Inception v3 weights to compare images by; null: a small network"
    ] = None,
    feature_steps: Annotated[Annotated[int, Range(1, 10**6)], "that this small network is trained for"] = 500,
    codes: Annotated[
        Annotated[int, Range(2, 10**6)] | None,
        "examples whose codes are taken apart or scored, at most; null: 2000 for latents, 10000 for disentanglement",
    ] = None,
    training_codes: Annotated[
        Annotated[int, Range(2, 10**6)], "codes that the readers of usefulness are fitted to, at most"
    ] = 5000,
    bins: Annotated[
        Annotated[int, Range(2, 10_000)], "of a unit, for its mutual information with a factor (disentanglement)"
    ] = 20,
    seed: Seed = 0,
    weights: Weights = "best",
    device: Device = "auto",
    data_path: DataPath = None,
    data_root: DataRoot = None,
    trust: Trust = False,
) -> int:
    """The figures of a run's model: the bound as training takes it, then everything that can be said of such a model.

    They are printed and written to evaluation.json in the run, each group as soon as it is taken, with maps of the
    codes, the KL of each unit and the bound as its draws grow as pictures; what cannot be said of a run is listed with
    the reason. Groups that were taken before of the same weights, split and examples stay, with their pictures.
    docs/figures.md says what each figure is.
    """
    wanted = _groups(only)
    options = {
        "samples": samples,
        "annealed": annealed,
        "annealed_chains": annealed_chains,
        "annealed_examples": annealed_examples,
        "generated": generated,
        "neighbours": neighbours,
        "inception": inception,
        "feature_steps": feature_steps,
        "codes": codes,
        "training_codes": training_codes,
        "bins": bins,
    }
    _require_use(options, wanted)
    opened = open_run(
        run, weights=weights, device=device, trust=trust, seed=seed, data_path=data_path, data_root=data_root
    )
    loaded = opened.run
    splits = opened.splits if split == "all" else {split: opened.split(split)}
    make_features = _features(opened, inception, feature_steps)

    file = EvaluationFile(RunDirectory(loaded.directory))

    from vae_runner.evaluation import evaluate as evaluation
    from vae_runner.evaluation import kept
    from vae_runner.evaluation.groups import GROUPS, Settings
    from vae_runner.reporting import console, tables
    from vae_runner.reporting.progress import progress

    if limit is None:
        limit = loaded.config["trainer"]["evaluation_examples"]
    with progress(BOUND):
        results = {
            name: evaluation.evaluate(
                loaded.model, loaded.objective, loaded.kl, loaded.data, examples, loaded.device, limit=limit, seed=seed
            )
            for name, examples in splits.items()
        }
    console.show(tables.as_rich(_table(results), title=opened.described))
    if weights == "best":  # the last ones are not the averages that training evaluates
        _compare_with_training(RunDirectory(loaded.directory).summary(), results, loaded.step)
    chosen = "test" if "test" in splits else next(reversed(splits))
    data = kept.key_of(loaded.config["data"])
    of = {"weights": weights, "step": loaded.step, "seed": seed, "groups_of": chosen, "data": data}
    file.begin(of, _figures(results), list(GROUPS), wanted)
    remove_others(opened, list(results), chosen, file.groups)
    for name, result in results.items():
        draw(opened, name, result)
    settings = Settings(
        weights=samples,
        affordable=file.affordable,
        temperatures=annealed,
        chains=annealed_chains,
        annealed_examples=annealed_examples,
        samples=generated,
        neighbours=neighbours,
        feature_steps=feature_steps,
        **({} if codes is None else {"codes": codes, "scored": codes}),
        probes=training_codes,
        bins=bins,
    )
    _take_groups(opened, _subject(opened, chosen, limit, make_features, settings), wanted, chosen, file, options)
    print(file.path)
    return 0


def _compare_with_training(summary: dict[str, Any], results: "dict[str, Evaluation]", step: int) -> None:
    """Says where the same weights had other figures when the run ended: the data may have been mistaken for others."""
    if summary.get("best_step") != step:
        return
    for name, result in results.items():
        then, now = (summary.get(name) or {}).get("log_px"), result.figures["log_px"]
        same = summary["examples"].get(name) == result.examples
        if same and then is not None and now is not None and abs(now - then) > NOISE * max(abs(then), 1):
            print(f"the {name} examples had a log_px of {then:.6g} when the run ended, and have {now:.6g}: other data?")


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


def _require_use(options: dict[str, Any], wanted: Sequence[str]) -> None:
    """Raises UserError for an option that was set and that nothing which is taken depends on."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(evaluate).parameters.items()}
    given = [name for name, value in options.items() if value != defaults[name]]
    for name in given:
        typed, groups = f"{name}={write(options[name])}", OPTIONS[name]
        if not set(groups) & set(wanted):
            raise UserError(f"{typed}: is of {' and '.join(groups)}, which only= leaves out; add {groups[0]} to it")
        if name in ("annealed_chains", "annealed_examples") and not options["annealed"]:
            raise UserError(f"{typed}: is of annealed importance sampling, of which there is none; type annealed=1000")
        if name == "feature_steps" and options["inception"] is not None:
            raise UserError(f"{typed}: is of the small network, in whose place inception= is; leave one of them out")


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


def _features(opened: Opened, inception: str | None, steps: int) -> "Callable[[], Features]":
    """Gives those of a file, or of a network that is trained on the data once and kept, for all runs on the same data.

    Raises UserError where the file cannot be used.
    """
    from vae_runner.data.splits import mixed
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
        indices = mixed(len(train))[:n].to(run.device)
        with opened.preserved():
            batch = run.data.batch(train, indices)
        space = run.model.space
        classes = batch.y if (run.data.space.classes or 0) > 1 else None  # a single one tells nothing apart
        return features.train_features(features.to_its_end(batch, space), classes, space, steps=steps)

    def of_data() -> features.Features:
        found = kept.kept(run.config["data"], steps, trained)
        if found.accuracy is None and steps != inspect.signature(evaluate).parameters["feature_steps"].default:
            raise UserError(f"feature_steps={steps}: these features are {found.name}, which are not trained by steps")
        return found.to(run.device)

    return of_data


def _take_groups(
    opened: Opened,
    subject: "Subject",
    wanted: Sequence[str],
    split: str,
    file: EvaluationFile,
    options: dict[str, Any],
) -> None:
    """Takes one group after another, shows and writes each as it comes, and says why others are not taken."""
    from vae_runner.evaluation.groups import GROUPS, Inapplicable
    from vae_runner.reporting import console, tables
    from vae_runner.reporting.progress import progress

    is_part = subject.limit is not None and subject.limit < len(subject.split)
    always = {"seed": subject.seed, "limit": subject.limit if is_part else None}
    reasons = {}
    for name in wanted:
        try:
            with progress(name):
                figures = GROUPS[name](subject)
        except Inapplicable as reason:
            reasons[name] = str(reason)
            file.add_reason(name, str(reason))
        else:
            file.add(name, figures, always | {key: options[key] for key, groups in OPTIONS.items() if name in groups})
            shown = with_errors(figures).items()
            rows = [{"figure": key, split: value} for key, value in shown if not isinstance(value, list)]
            console.show(tables.as_rich(rows, title=name))
        if name == "likelihood":
            draw_bounds(opened, split, file.groups.get(name))
        if name == "samples":
            draw_neighbours(opened, split, subject.neighbours)
    for name, why in reasons.items():
        print(f"no {name}: {why}")


def _figures(results: "dict[str, Evaluation]") -> dict[str, Any]:
    return {
        **{name: result.figures for name, result in results.items()},
        "examples": {name: result.examples for name, result in results.items()},
        "kl_units": {
            name: None if result.kl_units is None else [units.tolist() for units in result.kl_units]
            for name, result in results.items()
        },
    }


def _table(results: "dict[str, Evaluation]") -> list[dict[str, Any]]:
    """A row per figure, a column per split."""
    columns = {name: {"examples": result.examples, **with_errors(result.figures)} for name, result in results.items()}
    figures = dict.fromkeys(figure for column in columns.values() for figure in column)
    return [{"figure": figure, **{name: column[figure] for name, column in columns.items()}} for figure in figures]
