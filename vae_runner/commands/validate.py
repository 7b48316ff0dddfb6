"""`vae-run validate ...`: what `vae-run train ...` would check before it runs, and nothing more.

That is the config, and then whether data, model and objective can be built from it. Nothing is downloaded: where the
data is not here yet, the second part waits for `train`.
"""

from collections.abc import Sequence

from omegaconf import DictConfig

from vae_runner.commands.hydra_app import CommandLine
from vae_runner.commands.one_run import going_on, resumed
from vae_runner.commands.places import place
from vae_runner.commands.sweeping.jobs import jobs_of
from vae_runner.config import Tree, check, choices_of, resolved
from vae_runner.config.saved import continued, load_saved
from vae_runner.config.values import write
from vae_runner.errors import DataAbsent, UserError


def main(args: Sequence[str]) -> int:
    line = CommandLine.parse(args)
    if line.arguments.help:
        print("vae-run validate [-m] [--config-dir DIR] [group=option ...] [key=value ...]\n")
        print("Makes every check that vae-run train would make of the config before it runs, and runs nothing.")
        return 0
    if line.shows:
        raise UserError("vae-run validate shows no config; type vae-run train with the same arguments")
    if line.multirun:
        jobs_of(line)
    elif where := resumed(line):
        directory, changes, trusted = going_on(where, line.overrides)
        continued(load_saved(directory.require("resume").config, trusted=trusted), changes)
        print(f"OK: goes on with {where}")
        return 0
    configs = line.compose()
    for config in configs:
        check(config)
        place(config, "sweep" if line.multirun else "run")
    waiting = [absent for config in configs if (absent := _built(config))]
    if len(configs) == 1:
        choices = choices_of(configs[0])
        groups = [group for group in Tree.of(line.config_dir).groups if choices.get(group)]
        print("OK:", " ".join(f"{group}={write(choices[group])}" for group in groups))
    else:
        print(f"OK: a sweep of {len(configs)} runs")
    if waiting:
        print(f"not held against the data: {waiting[0]}")
    return 0


def _built(config: DictConfig) -> str | None:
    """Builds what would be trained. Why that has to wait, where it has to; raises UserError where it cannot be."""
    from vae_runner.build import build_experiment

    values = resolved(config)
    downloads = values["data"].get("download")
    if downloads:
        values["data"]["download"] = False
    try:
        build_experiment({**values, "choices": choices_of(config)})
    except DataAbsent as absent:
        return str(absent).replace("data.download=false", "validate downloads nothing") if downloads else str(absent)
    return None
