"""Recipes of a list that choose different options of one group: one of them would be dropped without a word."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from vae_runner.config.tree import Tree
from vae_runner.config.values import write


def contested(config: DictConfig, choices: Mapping[str, Any], tree: Tree) -> list[str]:
    """A line for each group about which the recipes of `variant=[a,b]` disagree and nothing above them decides.

    The command line and an experiment decide. A recipe that names the default of a group chooses nothing.
    """
    recipes = choices.get("variant")
    if not isinstance(recipes, list) or "hydra" not in config:
        return []
    typed = {text.lstrip("+~").partition("=")[0] for text in config.hydra.overrides.task}
    experiments = choices.get("experiment") or []
    decided = typed.union(*(_chosen("experiment", name, tree) for name in _as_list(experiments)))
    lines = []
    for group in tree.nodes:
        options: dict[str, str] = {}
        for name in recipes:
            option = _chosen("variant", name, tree).get(group)
            if option is not None and option != tree.groups[group].default:
                options.setdefault(option, name)
        if len(options) > 1 and group not in decided:
            who = ", ".join(f"{name} chooses {group}={option}" for option, name in options.items())
            instead = " or ".join(f"{group}={option}" for option in options)
            lines.append(f"variant={write(recipes)}: {who}; type one of them besides: {instead}")
    return lines


def _chosen(kind: str, name: str, tree: Tree) -> dict[str, str]:
    """Group -> option of the `override /group: option` lines of a recipe."""
    lines = tree.body(tree.file(f"{kind}/{name}")).get("defaults") or []
    pairs = [pair for line in lines if isinstance(line, dict) for pair in line.items()]
    return {key.removeprefix("override").strip().lstrip("/"): option for key, option in pairs}


def _as_list(choice: Any) -> list[Any]:
    return choice if isinstance(choice, list) else [choice]
