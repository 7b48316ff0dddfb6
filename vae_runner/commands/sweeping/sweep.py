"""`vae-run train -m`: a job for every combination of the swept values, and one table of them all at the end.

Given the directory of an earlier sweep it skips the jobs that completed, goes on with those that were interrupted, and
tries those again that failed.
"""

import logging
import multiprocessing
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vae_runner.commands.hydra_app import CommandLine, run_hydra
from vae_runner.commands.one_run import FAILED, INTERRUPTED
from vae_runner.commands.places import TIME, claim, override, place
from vae_runner.commands.sweeping.jobs import are_listed, hydra_settings, jobs_of
from vae_runner.commands.sweeping.launch import Launch
from vae_runner.config import check, compose
from vae_runner.config.composing import plain
from vae_runner.config.saved import BUDGET
from vae_runner.errors import Incompatible, UserError
from vae_runner.reporting import runs, tables
from vae_runner.run_directory import RunDirectory, write_bytes
from vae_runner.signals import Interrupted

log = logging.getLogger("vae_runner")

JOB_NUMBER = "${hydra.job.num}"


def sweep(line: CommandLine, args: Sequence[str]) -> int:
    jobs = jobs_of(line)
    first = _composed(jobs[0], line)
    subdirectory = plain(first.hydra.sweep)["subdir"]
    if subdirectory != JOB_NUMBER:
        raise UserError(
            f"hydra.sweep.subdir={subdirectory}: the jobs of a sweep are told apart by their number; "
            "leave it at ${hydra.job.num}, and choose where the sweep goes with hydra.sweep.dir=DIR"
        )
    listed = jobs if are_listed(first) else None
    launch = Launch.of(first, None if listed is None else len(listed))
    template = place(first, "sweep")
    is_there = TIME not in template and (Path(template) / "multirun.yaml").is_file()
    with launch.workers(begun=not is_there):  # of a sweep that is there it may be that nothing is left to do
        _refuse_if_nothing_can_run(line, jobs, first)
        if TIME not in template and listed is not None:
            _refuse_another_sweep(Path(template), listed)
        whole = claim(template, "hydra.sweep.dir")
        try:
            return _run(launch, args, whole, listed)
        finally:
            whole.unlock()


def _run(launch: Launch, args: Sequence[str], whole: RunDirectory, jobs: list[list[str]] | None) -> int:
    """The exit code. jobs: where they are all known."""
    from vae_runner.reporting.console import console_logging

    path, code = whole.path, 0
    with console_logging():
        log.info("%ssweep in %s%s", f"{len(jobs)} jobs; " if jobs is not None else "", path, launch.said)
        again = f"the same command with {override('hydra.sweep.dir', path)}"
        try:
            with launch.around(whole):
                run_hydra(launch.job, [*args, *launch.overrides, override("hydra.sweep.dir", path.absolute())])
        except KeyboardInterrupt:
            code = INTERRUPTED
            log.warning("%s; to go on: %s", launch.interrupted, again)
        except BrokenProcessPool:
            code = FAILED
            log.error(
                "a process of the sweep was killed, as the system does when memory runs out, and the jobs of the "
                "others with it; to go on: %s, and fewer processes: hydra.launcher.n_jobs=%d",
                again,
                max(launch.processes // 2, 1),
            )
        except multiprocessing.TimeoutError:
            code = FAILED
            log.error(
                "hydra.launcher.timeout=%s: a job took longer, in seconds, and the jobs in hand ended with it; to go "
                "on: %s, and without a timeout",
                launch.parallel["timeout"],
                again,
            )
        except Exception as error:
            # a job's own end is in its directory; anything else is ours to tell
            if isinstance(error, Interrupted):  # its process was told to end, and it had not begun
                code = INTERRUPTED
                log.warning("%s; to go on: %s", launch.interrupted, again)
            elif all(row["state"] in ("completed", "pending") for row in _rows(path, jobs)):
                raise
            log.debug("a job failed: %s", error)
        finally:
            rows = _rows(path, jobs)
            write_bytes(path / "sweep.csv", tables.as_csv(rows).encode())
            _show(rows)
            print(f"in {path}")
    states = {row["state"] for row in rows}
    return code or (FAILED if states & {"failed", "killed"} else INTERRUPTED if "interrupted" in states else 0)


def _composed(job: Sequence[str], line: CommandLine) -> DictConfig:
    return compose([*job, *hydra_settings(line)], line.config_dir)


def _refuse_if_nothing_can_run(line: CommandLine, jobs: list[list[str]], first: DictConfig) -> None:
    """Raises UserError where a job does not compose or has a value that is not allowed, or none passes the check.

    Jobs, the `first` of which is composed, are looked at until one has passed and everything that was typed was seen,
    of numbers the least and the largest; a job that is refused for what does not go together will say so itself.
    """
    telling = _telling(jobs)
    seen: set[str] = set()
    passed = False
    mistake: UserError | None = None
    for job in jobs:
        if (job and seen.issuperset(job)) or (passed and seen.issuperset(telling.intersection(job))):
            continue
        seen.update(job)
        try:
            check(first if job is jobs[0] else _composed(job, line))
            passed = True
        except Incompatible as error:
            mistake = mistake or error
    if not passed:
        assert mistake is not None
        raise mistake


def _telling(jobs: list[list[str]]) -> set[str]:
    """Of all overrides of the jobs those that have to be seen: of a key's numbers the least and the largest."""
    numbers: dict[str, dict[float, str]] = {}
    telling: set[str] = set()
    for text in {text for job in jobs for text in job}:
        key, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            telling.add(text)
        else:
            numbers.setdefault(key, {})[number] = text
    for values in numbers.values():
        telling |= {values[min(values)], values[max(values)]}
    return telling


def _refuse_another_sweep(path: Path, jobs: list[list[str]]) -> None:
    """Raises UserError where the directory holds the runs of other jobs than these; how long they are may differ."""
    for number, job in enumerate(jobs):
        directory = path / str(number)
        before = runs.overrides_of(directory) if RunDirectory(directory).holds_a_run() else None
        if before is not None and _without_budget(before) != _without_budget(job):
            raise UserError(
                f"hydra.sweep.dir={path}: holds another sweep: its job {number} is {' '.join(before)}, "
                f"here it is {' '.join(job)}; choose another directory"
            )


def _without_budget(overrides: Sequence[str]) -> dict[str, str]:
    """By key, of which the last override holds: in which order the others were typed makes no difference."""
    budget = {f"trainer.{key}" for key in BUDGET}
    by_key = {text.partition("=")[0]: text for text in (text.lstrip("+") for text in overrides)}
    return {key: text for key, text in by_key.items() if key not in budget}


def _show(rows: list[dict[str, Any]]) -> None:
    from vae_runner.reporting.comparison import fitting
    from vae_runner.reporting.console import console, show

    shown = fitting(rows, tables.columns_of(rows), ["job", "state"], console.width) if console.is_terminal else None
    show(tables.as_rich(rows, shown))


def _rows(path: Path, jobs: list[list[str]] | None) -> list[dict[str, Any]]:
    if jobs is None:
        directories = [directory for directory in path.iterdir() if directory.name.isdigit()]
        return [_row(directory, None) for directory in sorted(directories, key=lambda d: int(d.name))]
    return [_row(path / str(number), job) for number, job in enumerate(jobs)]


def _row(directory: Path, job: list[str] | None) -> dict[str, Any]:
    """A run that was resumed with other steps is shown with those it had."""
    row = runs.sweep_row(directory, job)
    files = directory / ".hydra" / "config.yaml", RunDirectory(directory).config
    if all(file.is_file() for file in files):
        composed, trained = (_budget(file) for file in files)
        row |= {key: had for key, had in trained.items() if key in composed and had != composed[key]}
    return row


def _budget(file: Path) -> dict[str, Any]:
    """Of a config; of one that cannot be read, as where a process was killed when it wrote it, nothing."""
    try:
        config = runs.config_in(file)
    except UserError:
        return {}
    trainer = config.get("trainer") or {}
    if any(isinstance(trainer.get(name), str) for name in BUDGET):  # another setting's value
        trainer = OmegaConf.create(config)["trainer"]
    return {f"trainer.{name}": trainer.get(name) for name in BUDGET}
