"""Trains command lines by all processes that torchrun has launched, and then each by one process alone.

    torchrun ... tests/training/together.py DIRECTORY NAME "OVERRIDE OVERRIDE ..." NAME ...

Runs go to DIRECTORY/NAME/together and DIRECTORY/NAME/alone. The tests of `test_distributed` launch it and compare.
"""

import shlex
import sys
from pathlib import Path

from tests.helpers import config_of
from vae_runner.build import build_experiment, build_trainer
from vae_runner.config.saved import dump
from vae_runner.run_directory import RunDirectory
from vae_runner.training.distributed import ALONE, Processes, World


def fit(directory: Path, overrides: list[str], world: World) -> None:
    config = config_of(*overrides)
    run = RunDirectory(directory)
    if world.leads:
        directory.mkdir(parents=True)
        run.config.write_text(dump(config))
    build_trainer(config).fit(build_experiment(config), run, world=world)


def main(root: str, *cases: str) -> None:
    world = Processes()
    for name, overrides in zip(cases[::2], cases[1::2], strict=True):
        directory, words = Path(root) / name, shlex.split(overrides)
        fit(directory / "together", words, world)
        if world.leads:
            fit(directory / "alone", words, ALONE)
    world.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
