"""`vae-run validate ...`: what `vae-run train ...` would check before it runs, and nothing more."""

from collections.abc import Sequence

from vae_runner.commands.hydra_app import CommandLine
from vae_runner.config import Tree, check, choices_of
from vae_runner.config.values import write
from vae_runner.errors import UserError


def main(args: Sequence[str]) -> int:
    line = CommandLine.parse(args)
    if line.arguments.help:
        print("vae-run validate [-m] [--config-dir DIR] [group=option ...] [key=value ...]\n")
        print("Makes every check that vae-run train would make of the config before it runs, and runs nothing.")
        return 0
    if line.shows:
        raise UserError("vae-run validate shows no config; type vae-run train with the same arguments")
    configs = line.compose()
    for config in configs:
        check(config)
    if len(configs) == 1:
        choices = choices_of(configs[0])
        groups = [group for group in Tree.of(line.config_dir).groups if choices.get(group)]
        print("OK:", " ".join(f"{group}={write(choices[group])}" for group in groups))
    else:
        print(f"OK: a sweep of {len(configs)} runs")
    return 0
