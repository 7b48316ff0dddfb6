"""What to say of a key that nothing reads."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from vae_runner.config.names import keys_of, likely_key, nearest, nearest_key, one_of
from vae_runner.config.tree import Tree


def unknown_key(shown: str, key: str, known: Collection[str], choices: Mapping[str, Any], tree: Tree) -> str:
    """One line: the key as `shown`, who lacks it, and the nearest real key or the options that have it.

    known: the keys of the config as it was composed. choices: group -> option.
    """
    group, _, setting = key.partition(".")
    value = shown.partition("=")[2]
    typed = f"={value}" if value else ""
    settings = [k for k in known if k not in tree.nodes]
    others = _Others(choices, tree)
    if group not in tree.nodes:
        if setting and (near_group := nearest(group, tree.nodes)) and f"{near_group}.{setting}" in known:
            return f"{shown}: there is no group {group}; did you mean {near_group}.{setting}{typed}?"
        if "/" in key:
            return f"{shown}: there is no group {key}; {one_of(tree.groups)}"
        candidates = [*settings, *tree.groups]
        message = f"{shown}: there is no setting {key}"
        near = likely_key(key, candidates)
        if near is None and (elsewhere := others.anywhere(key.rpartition(".")[2])):
            return f"{message}; {elsewhere}"
        near = near or nearest_key(key, candidates)
        if near in tree.groups:
            return f"{message}; did you mean the group {near}? {one_of(tree.options(near))}"
        return message + (f"; did you mean {near}{typed}?" if near else "")
    owner = f"{group}={choices[group]}" if choices.get(group) else group
    message = f"{shown}: {owner} has no {setting}" if setting else f"{shown}: there is no {group}"
    if having := others.having(group, setting):
        return f"{message}; {_have(having, 'it')}"
    if near := likely_key(key, settings):
        return f"{message}; did you mean {near}{typed}?"
    if found := nearest(setting, others.settings(group)):
        return f"{message}; {_have(others.having(group, found), found)}"
    if elsewhere := others.anywhere(setting):
        return f"{message}; {elsewhere}"
    if near := nearest_key(key, settings):
        return f"{message}; did you mean {near}{typed}?"
    own = sorted(k[len(group) + 1 :] for k in known if k.startswith(f"{group}."))
    return f"{message}; it has " + (", ".join(own) or "no settings")


class _Others:
    """The options that were not chosen."""

    def __init__(self, choices: Mapping[str, Any], tree: Tree) -> None:
        self.choices, self.tree = choices, tree

    def having(self, group: str, setting: str) -> list[str]:
        """Those of a group that have a setting, as they are typed."""
        options = self.tree.options(group).items()
        return [
            f"{group}={name}"
            for name, file in options
            if name != self.choices.get(group) and setting in settings_in(file)
        ]

    def settings(self, group: str) -> list[str]:
        """What those of a group have."""
        files = [file for name, file in self.tree.options(group).items() if name != self.choices.get(group)]
        return [setting for file in files for setting in settings_in(file)]

    def anywhere(self, setting: str) -> str:
        """Those of any group that have a setting, in words; empty where none has it."""
        found = {f"{group}.{setting}": self.having(group, setting) for group in self.tree.nodes}
        return "; ".join(_have(options, key) for key, options in found.items() if options)


def _have(options: list[str], what: str) -> str:
    *most, last = options
    return f"{', '.join(most)} and {last} have {what}" if most else f"{last} has {what}"


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
