"""`vae-run train -m`: a job for every combination of the swept values, and one table of them all at the end.

Given the directory of an earlier sweep it skips the jobs that completed, goes on with those that were interrupted, and
tries those again that failed.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vae_runner.commands.hydra_app import CommandLine, run_hydra
from vae_runner.commands.places import TIME, claim, override, place
from vae_runner.config import check, choices_of, compose, resolved, sweep_jobs
from vae_runner.config.composing import plain
from vae_runner.errors import UserError
from vae_runner.reporting import runs, tables
from vae_runner.run_directory import RunDirectory, write_bytes

log = logging.getLogger("vae_runner")

JOB_NUMBER = "${hydra.job.num}"
INTERRUPTED, FAILED = 130, 1


def sweep(line: CommandLine, args: Sequence[str]) -> int:
    from vae_runner.reporting.console import console_logging

    jobs = sweep_jobs(line.overrides, line.config_dir)
    first = _refuse_if_nothing_can_run(line, jobs)
    subdirectory = plain(first.hydra.sweep)["subdir"]
    if subdirectory != JOB_NUMBER:
        raise UserError(
            f"hydra.sweep.subdir={subdirectory}: the jobs of a sweep are told apart by their number; "
            "leave it at ${hydra.job.num}, and choose where the sweep goes with hydra.sweep.dir=DIR"
        )
    listed = not any(text.startswith("hydra/sweeper=") for text in line.overrides)
    template = place(first, "sweep")
    if TIME not in template and listed:
        _refuse_another_sweep(Path(template), jobs)
    whole = claim(template)
    path = whole.path
    code = 0
    try:
        with console_logging():
            log.info("%ssweep in %s", f"{len(jobs)} jobs; " if listed else "", path)
            try:
                run_hydra(_job, [*args, override("hydra.sweep.dir", path.absolute())])
            except KeyboardInterrupt:
                code = INTERRUPTED
                log.warning("interrupted; to go on: the same command with %s", override("hydra.sweep.dir", path))
            except Exception as error:
                # a job's own failure is in its directory; anything else is ours to tell
                if not any(row["state"] == "failed" for row in _rows(path, jobs if listed else None)):
                    raise
                log.debug("a job failed: %s", error)
            finally:
                rows = _rows(path, jobs if listed else None)
                write_bytes(path / "sweep.csv", tables.as_csv(rows).encode())
                _show(rows)
                print(f"in {path}")
    finally:
        whole.unlock()
    return code or (FAILED if any(row["state"] == "failed" for row in rows) else 0)


def _job(config: DictConfig) -> float | None:
    """One job of a sweep. Raises whatever broke it, and KeyboardInterrupt to end the sweep."""
    from vae_runner import execute

    directory = RunDirectory(HydraConfig.get().runtime.output_dir)
    number, what = HydraConfig.get().job.num, " ".join(plain(HydraConfig.get().overrides.task))
    state = directory.state()
    try:
        if state == "completed":
            log.info("job %s: %s: completed before, skipped", number, what)
            return execute.monitored(directory.summary())
        log.info("job %s: %s", number, what)
        values = {**resolved(config), "choices": choices_of(config)}
        if state in ("interrupted", "killed", "failed") and directory.holds_a_run():
            return execute.monitored(execute.resume(directory, config=values))
        directory.lock()
        return execute.monitored(execute.train(values, directory))
    except execute.Interrupted as error:
        raise KeyboardInterrupt from error
    finally:
        directory.unlock()


def _refuse_if_nothing_can_run(line: CommandLine, jobs: list[list[str]]) -> DictConfig:
    """The config of one job.

    Raises UserError where a job does not compose, or none passes the check. Jobs are composed until every override was
    seen: a mistake is in an override, seldom in a combination, and that one job will say so itself.
    """
    seen: set[str] = set()
    passed: DictConfig | None = None
    mistake: UserError | None = None
    hydra_settings = [text for text in line.overrides if text.lstrip("+~").startswith("hydra")]
    for job in jobs:
        if seen.issuperset(job):
            continue
        seen.update(job)
        config = compose([*job, *hydra_settings], line.config_dir)
        try:
            check(config)
            passed = passed if passed is not None else config
        except UserError as error:
            mistake = mistake or error
    if passed is None:
        assert mistake is not None
        raise mistake
    return passed


def _refuse_another_sweep(path: Path, jobs: list[list[str]]) -> None:
    """Raises UserError where the directory holds the runs of other jobs than these."""
    for number, job in enumerate(jobs):
        before = runs.overrides_of(path / str(number))
        if before is not None and before != job:
            raise UserError(
                f"hydra.sweep.dir={path}: holds another sweep: its job {number} is {' '.join(before)}, "
                f"here it is {' '.join(job)}; choose another directory"
            )


def _show(rows: list[dict[str, Any]]) -> None:
    from vae_runner.reporting.comparison import fitting
    from vae_runner.reporting.console import console, show

    shown = fitting(rows, tables.columns_of(rows), ["job", "state"], console.width) if console.is_terminal else None
    show(tables.as_rich(rows, shown))


def _rows(path: Path, jobs: list[list[str]] | None) -> list[dict[str, Any]]:
    if jobs is None:
        directories = [directory for directory in path.iterdir() if directory.name.isdigit()]
        return [runs.sweep_row(directory) for directory in sorted(directories, key=lambda d: int(d.name))]
    return [runs.sweep_row(path / str(number), job) for number, job in enumerate(jobs)]
