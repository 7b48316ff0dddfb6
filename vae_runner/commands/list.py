"""`vae-run list`: every group; `vae-run list GROUP`: its options, each with a line on what it is."""

import argparse
from collections.abc import Sequence

from vae_runner.config import Tree, nearest
from vae_runner.config.names import one_of
from vae_runner.errors import UserError
from vae_runner.reporting.published import Published


def main(args: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("vae-run list", description=__doc__, exit_on_error=False)
    parser.add_argument("group", nargs="?", help="a group, such as variant")
    parser.add_argument("--config-dir", "-cd", metavar="DIR", help="a directory with options of your own")
    try:
        arguments, unknown = parser.parse_known_args(list(args))
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from error
    if unknown:
        raise UserError(f"vae-run list takes one group: {unknown[0]} is too much")
    tree = Tree.of(arguments.config_dir)
    if arguments.group is None:
        _list_groups(tree)
    else:
        _list_options(tree, arguments.group)
    return 0


def _list_groups(tree: Tree) -> None:
    for group in tree.groups.values():
        print(f"{group.name:<14}{group.summary}")
        print(f"{'':<14}{', '.join(_marked(name, group.default) for name in tree.options(group.name)) or '(none yet)'}")
    print("\n* is the default. `vae-run list GROUP` says a line on each; `vae-run train GROUP=OPTION` takes one.")


def _list_options(tree: Tree, group: str) -> None:
    if group not in tree.groups:
        raise UserError(_of_unknown_group(tree, group))
    options = tree.options(group)
    width = max(map(len, options), default=0) + 3
    for name, file in options.items():
        print(f"{_marked(name, tree.groups[group].default):<{width}}{tree.summary(file)}")
        if group == "experiment" and (published := Published.of(tree.body(file), file)):
            print(f"{'':<{width}}published: {published}")


def _marked(option: str, default: str) -> str:
    return f"{option}*" if option == default else option


def _of_unknown_group(tree: Tree, word: str) -> str:
    if near := nearest(word, tree.groups):
        return f"{word}: there is no such group; did you mean vae-run list {near}?"
    if owners := tree.groups_with(word):
        return f"{word}: is an option of {owners[0]}; did you mean vae-run list {owners[0]}?"
    return f"{word}: there is no such group; {one_of(tree.groups)}"
