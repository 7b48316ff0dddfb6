"""What to say of a key that nothing reads."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from vae_runner.config.names import keys_of, nearest, nearest_key, one_of
from vae_runner.config.tree import Tree


def unknown_key(shown: str, key: str, known: Collection[str], choices: Mapping[str, Any], tree: Tree) -> str:
    """One line: the key as `shown`, who lacks it, and the nearest real key or the option that has it.

    known: the keys of the config as it was composed. choices: group -> option.
    """
    group, _, setting = key.partition(".")
    value = shown.partition("=")[2]
    typed = f"={value}" if value else ""
    settings = [k for k in known if k not in tree.nodes]
    if group not in tree.nodes:
        if setting and (near_group := nearest(group, tree.nodes)) and f"{near_group}.{setting}" in known:
            return f"{shown}: there is no group {group}; did you mean {near_group}.{setting}{typed}?"
        if "/" in key:
            return f"{shown}: there is no group {key}; {one_of(tree.groups)}"
        near = nearest_key(key, [*settings, *tree.groups])
        message = f"{shown}: there is no setting {key}"
        if near in tree.groups:
            return f"{message}; did you mean the group {near}? {one_of(tree.options(near))}"
        return message + (f"; did you mean {near}{typed}?" if near else "")
    owner = f"{group}={choices[group]}" if choices.get(group) else group
    message = f"{shown}: {owner} has no {setting}" if setting else f"{shown}: there is no {group}"
    others = {name: file for name, file in tree.options(group).items() if name != choices.get(group)}
    if having := [name for name, file in others.items() if setting in settings_in(file)]:
        options = " and ".join(f"{group}={name}" for name in having[:3])
        return f"{message}; {options} {'has' if len(having) == 1 else 'have'} it"
    if near := nearest_key(key, settings):
        return f"{message}; did you mean {near}{typed}?"
    elsewhere = {k: name for name, file in others.items() for k in settings_in(file)}
    if found := nearest(setting, elsewhere):
        return f"{message}; {group}={elsewhere[found]} has {found}"
    own = sorted(k[len(group) + 1 :] for k in known if k.startswith(f"{group}."))
    return f"{message}; it has " + (", ".join(own) or "no settings")


def settings_in(file: Path) -> list[str]:
    """The dotted settings that a config file writes down; none where it cannot be read."""
    try:
        node = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return []
    return keys_of(node) if isinstance(node, dict) else []


def line_of(file: Path, keys: list[str]) -> int | None:
    """The line of a file on which a nested key stands, from 1."""
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return None
    line = None
    for part in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        entry = next(((k, v) for k, v in node.value if k.value == part), None)
        if entry is None:
            return None
        line, node = entry[0].start_mark.line + 1, entry[1]
    return line
