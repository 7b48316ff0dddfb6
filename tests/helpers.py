"""Small real experiments that several tests start from."""

from pathlib import Path
from typing import Any

from vae_runner.build import build_experiment, build_trainer
from vae_runner.config import Tree, check, choices_of, compose, configs_directory, resolved
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory

QUICK = ["trainer.batch_size=64", "trainer.log_steps=5", "architecture.width=16", "latent_dim=4"]


# where the options belong that no recipe chooses and that need others beside them
COMPANIONS = {
    ("condition", "attributes"): ["data=sprites"],
    ("condition", "inferred_label"): ["variant=ss_vae"],
    ("data", "arrays"): ["data.path=x"],
    ("data", "images"): ["data.path=x"],
    ("prior", "classes"): ["variant=[aae,cvae]"],
    ("prior", "conditional"): ["variant=cvae"],
    ("likelihood", "categorical"): ["variant=vrae", "data=text"],
}


def with_companions(group: str, option: str) -> list[str]:
    """Overrides under which an option can be chosen: by itself, or in the first recipe that chooses it."""
    chosen = [f"{group}={option}"]
    if (group, option) in COMPANIONS:
        return [*chosen, *COMPANIONS[group, option]]
    try:
        check(compose(chosen))
    except UserError:
        variants = Tree([configs_directory()]).options("variant")
        recipe = next(v for v, file in variants.items() if f"override /{group}: {option}\n" in file.read_text())
        return [f"variant={recipe}", *chosen]
    return chosen


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
