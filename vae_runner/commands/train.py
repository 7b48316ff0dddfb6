"""`vae-run train`: composes a config, checks all of it, and trains; `-m` for a sweep, `resume=DIR` to go on."""

from collections.abc import Sequence

from vae_runner import launched
from vae_runner.commands.hydra_app import CommandLine, run_hydra
from vae_runner.commands.one_run import train_or_resume


def main(args: Sequence[str]) -> int:
    if launched.processes() > 1:
        from vae_runner.commands.train_together import main as train_together

        return train_together(args)
    line = CommandLine.parse(args)
    if line.shows:
        run_hydra(lambda config: None, args)
        return 0
    if line.multirun:
        from vae_runner.commands.sweeping.sweep import sweep

        return sweep(line, args)
    return train_or_resume(line, args)
