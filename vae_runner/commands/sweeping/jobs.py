"""What the jobs of a sweep are, and the command lines that cannot be meant as one."""

import json
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from vae_runner.commands.hydra_app import CommandLine
from vae_runner.commands.one_run import resumed
from vae_runner.config import Tree, compose, resolved, sweep_jobs
from vae_runner.config.composing import plain
from vae_runner.config.values import write
from vae_runner.errors import UserError

NAMED = 3  # sets of jobs that are the same which a message names, at most

Settings = frozenset[tuple[str, str]]  # keys and their values


def jobs_of(line: CommandLine) -> list[list[str]]:
    """The overrides of every job, by number; one alone, of all that is not swept, where another sweeper finds its jobs.

    Raises UserError where the command line is no sweep's, or trains the same twice.
    """
    if resumed(line):
        raise UserError("resume goes with one run; a sweep resumes by itself when given the same hydra.sweep.dir")
    for text in line.overrides:
        key, _, value = text.lstrip("+").partition("=")
        if key == "hydra.run.dir":
            raise UserError(f"{text}: is where one run goes; for a sweep type hydra.sweep.dir={value}")
    jobs = sweep_jobs(line.overrides, line.config_dir)
    _refuse_same(jobs, line)
    return jobs


def are_listed(config: DictConfig) -> bool:
    """Whether all jobs are known before the first: no sweeper waits for what came of some to choose others by."""
    return plain(config.hydra.sweeper)["_target_"].endswith(".BasicSweeper")


def hydra_settings(line: CommandLine) -> list[str]:
    """What is typed of Hydra's own settings, which no job's overrides hold."""
    return [text for text in line.overrides if text.lstrip("+~").startswith("hydra")]


def _refuse_same(jobs: Sequence[Sequence[str]], line: CommandLine) -> None:
    parser = OverridesParser.create()
    settings = {text: _setting(parser, text) for text in {text for job in jobs for text in job}}
    is_group = Tree.of(line.config_dir).is_group
    options = [frozenset(settings[text] for text in job if is_group(settings[text][0])) for job in jobs]
    values = [frozenset(settings[text] for text in job) - chosen for job, chosen in zip(jobs, options, strict=True)]
    # the jobs have the same keys: which options make the same config does not depend on the values
    made: dict[Settings, str] = {}
    if len(set(options)) > 1:
        for job, chosen, given in zip(jobs, options, values, strict=True):
            if given == values[0] and chosen not in made:
                config = compose([*job, *hydra_settings(line)], line.config_dir)
                made[chosen] = json.dumps(resolved(config), sort_keys=True)
    alike: dict[tuple[Settings, str], list[int]] = {}
    for number, (chosen, given) in enumerate(zip(options, values, strict=True)):
        alike.setdefault((given, made.get(chosen, "")), []).append(number)
    same = [numbers for numbers in alike.values() if len(numbers) > 1]
    if same:
        shown = " and ".join(dict.fromkeys(" ".join(jobs[number]) for number in same[0]))
        others = [f"; so are {_listed(numbers)}" for numbers in same[1:NAMED]]
        more = "; and more" if len(same) > NAMED else ""
        raise UserError(f"{_listed(same[0])} are the same: {shown}{''.join(others)}{more}; leave out what repeats")


def _setting(parser: OverridesParser, text: str) -> tuple[str, str]:
    """The key that an override sets and its value, a number however it is written: 1e-3 is 0.001."""
    override = parser.parse_override(text)
    return override.key_or_group, "~" if override.is_delete() else write(_with_floats(override.value()))


def _with_floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _listed(numbers: Sequence[int]) -> str:
    *most, last = numbers
    return f"jobs {', '.join(map(str, most))} and {last}"
