"""One override of a command line: parsing it, and refusing what cannot be meant, with what to type instead."""

from collections.abc import Callable, Collection, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException

from vae_runner.config.names import nearest, nearest_key, one_of
from vae_runner.config.tree import RECIPES, Tree
from vae_runner.config.values import write
from vae_runner.errors import UserError

PAIRS = {"[": "]", "{": "}", "(": ")"}


def parse(overrides: Sequence[str], tree: Tree, keys: Callable[[], Collection[str]]) -> list[Override]:
    """The overrides by Hydra's grammar. `keys` gives the real keys, for a message that names the nearest."""
    parser = OverridesParser.create()
    parsed = []
    for text in overrides:
        try:
            (override,) = parser.parse_overrides([text])
        except HydraException as error:
            raise UserError(_unreadable(text, error, tree, keys)) from error
        if not override.key_or_group:
            raise UserError(f"{text}: an override is key=value, without spaces around the =")
        parsed.append(override)
    return parsed


def refuse_group_mistakes(override: Override, tree: Tree) -> None:
    """Raises UserError for a group or an option that is not there, or is not given as options are."""
    group = override.key_or_group
    if override.is_hydra_override():
        return
    if override.package is not None:
        raise UserError(f"{override.input_line}: an option cannot be put elsewhere; type {group}=...")
    if not tree.is_group(group):
        _refuse_mistaken_group(override, tree)
        return
    if group not in tree.groups:
        return  # a group of the user's own
    text = override.input_line or ""
    if override.is_delete():
        if group not in RECIPES:
            instead = f"type {group}=none" if "none" in tree.options(group) else one_of(tree.options(group))
            raise UserError(f"{text}: a run needs its {group}; {instead}")
        return
    if override.is_add() or override.is_force_add():
        raise UserError(f"{text}: {group} is there already; type {text.lstrip('+')}")
    refuse_sweep(override)
    value = override.value()
    if isinstance(value, list) and group not in RECIPES:
        listed = ",".join(map(write, value))
        raise UserError(f"{text}: {group} takes one option; to run each, type -m {group}={listed}")
    if value is None and group in RECIPES:
        raise UserError(f"{text}: to go without, " + ("type ~variant" if group == "variant" else "leave it out"))
    if isinstance(value, dict):
        instead = " ".join(f"{group}.{key}={write(item)}" for key, item in value.items())
        raise UserError(f"{text}: {group} takes the name of an option; its settings are given as {instead}")
    for option in value if isinstance(value, list) else [value]:
        _refuse_missing_option(text, group, option, tree)


def refuse_sweep(override: Override) -> None:
    """Raises UserError where one value is needed and several are given."""
    if not override.is_sweep_override():
        return
    text, key = override.input_line or "", override.key_or_group
    if override.is_hydra_override():
        raise UserError(f"{text}: Hydra's own settings take one value")
    instead = ""
    if override.value_type is ValueType.SIMPLE_CHOICE_SWEEP:
        together = f"{key}=[{override.get_value_string()}]"
        if key in RECIPES:
            instead = f", or combine them: {together}"
        elif "." in key:
            instead = f", or type {together} for a list"
    raise UserError(f"{text}: several values; add -m to run each{instead}")


def _refuse_missing_option(text: str, group: str, option: object, tree: Tree) -> None:
    options = tree.options(group)
    name = write(option)
    if isinstance(option, str) and option in options:
        return
    kind = "kl schedule" if group == "kl" else group
    message = f"{text}: there is no {kind} {name}"
    if near := nearest(name, options):
        raise UserError(f"{message}; did you mean {group}={near}?")
    if "none" in options and option in (None, False):
        raise UserError(f"{message}; did you mean {group}=none?")
    if others := tree.groups_with(name):
        raise UserError(f"{message}; did you mean {others[0]}={name}?")
    raise UserError(f"{message}; {one_of(options)}")


def _refuse_mistaken_group(override: Override, tree: Tree) -> None:
    """`dataset=mnist` is meant as `data=mnist`; any other unknown key is left to those who know the keys."""
    key, text = override.key_or_group, override.input_line or ""
    if "." in key or override.is_delete() or override.is_sweep_override():
        return
    value = override.value()
    if not isinstance(value, str):
        return
    groups = tree.groups_with(value)
    group = nearest(key, groups) or (groups[0] if len(groups) == 1 else None)
    option: str | None = value
    if group is None and (group := nearest(key, tree.groups)) is not None:
        option = nearest(value, tree.options(group))
    if group is not None and option is not None and nearest(key, tree.top_level) is None:
        raise UserError(f"{text}: there is no group {key}; did you mean {group}={option}?")


def _unreadable(text: str, error: HydraException, tree: Tree, keys: Callable[[], Collection[str]]) -> str:
    key, equals, value = text.partition("=")
    if not equals:
        word = text.lstrip("+~")
        if groups := tree.groups_with(word):
            near: str | None = f"{groups[0]}={word}"
        elif word in tree.groups:
            near = f"{word}={next(iter(tree.options(word)), '...')}"
        else:
            found = nearest_key(word, keys()) if word.strip("-") else None
            near = f"{found}=..." if found else None
        return f"{text}: an override is key=value" + (f"; did you mean {near}?" if near else "")
    if not key.strip():
        return f"{text}: an override is key=value, without spaces around the ="
    for opening, closing in PAIRS.items():
        if value.count(opening) > value.count(closing) and value.startswith(opening):
            return f"{text}: a {closing} is missing"
    reason = str(error).splitlines()
    if len(reason) > 1 and "while evaluating" in reason[1]:
        return f"{text}: {reason[1]}"
    quoted = f"'{key}=\"{value}\"'"
    return f"{text}: the value cannot be read; if it is text, type it in quotes: {quoted}"
