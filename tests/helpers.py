"""Small real experiments that several tests start from."""

from pathlib import Path
from typing import Any

from vae_runner.build import build_experiment, build_trainer
from vae_runner.config import check, choices_of, compose, resolved
from vae_runner.run_directory import RunDirectory

QUICK = ["trainer.batch_size=64", "trainer.log_steps=5", "architecture.width=16", "latent_dim=4"]


def config_of(*overrides: str) -> dict[str, Any]:
    """The checked, resolved config of a command line."""
    config = compose(list(overrides))
    check(config)
    return {**resolved(config), "choices": choices_of(config)}


def fit(directory: Path, *overrides: str, resume: bool = False) -> dict[str, Any]:
    """Trains into a directory, without the command around it."""
    from vae_runner.config.saved import dump

    config = config_of(*overrides)
    run = RunDirectory(directory)
    run.lock()
    try:
        run.config.write_text(dump(config))
        return build_trainer(config).fit(build_experiment(config), run, resume=resume)
    finally:
        run.unlock()
