"""A command line -> a config, by Hydra, with every mistake turned into one line."""

import contextlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import hydra.version
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.conf import ConfigSourceInfo
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vae_runner.config.command_line import parse, refuse_group_mistakes, refuse_sweep
from vae_runner.config.names import keys_of, nearest
from vae_runner.config.tree import PRIMARY, RECIPES, Tree, place
from vae_runner.config.unknown import unknown_key
from vae_runner.errors import UserError

VERSION_BASE = "1.3"
# options of Hydra's own groups that plugins bring, and the extra that installs each
PLUGINS = {
    "launcher/joblib": "parallel",
    "launcher/submitit_slurm": "slurm",
    "launcher/submitit_local": "slurm",
    "launcher/ray": "ray",
}

# of Hydra's own settings
OF_TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


def compose(overrides: Sequence[str], config_dir: str | Path | None = None, primary: Path | None = None) -> DictConfig:
    """The config of a command line, with its `hydra` node.

    overrides: `key=value`, `group=option`, as typed. config_dir: a further directory of options, the user's own.
    primary: the directory that holds `train.yaml`, by default the one that came with this installation.

    Raises:
        UserError: a mistake in the overrides or in a file, in one line.
    """
    loader = config_loader(config_dir, primary)
    tree = _with_search_path(Tree.of(config_dir, primary), loader, overrides)
    parsed = parse(overrides, tree, lambda: keys_of(plain(_load(loader, [], tree))))
    for override in parsed:
        refuse_group_mistakes(override, tree)
        refuse_sweep(override)
    try:
        config = _load(loader, list(overrides), tree)
    except UserError:
        # a mistake in a file shows up again without the keys of the command line; else it is in one of them
        kept = [o for o in parsed if tree.is_group(o.key_or_group) or o.key_or_group == "hydra.searchpath"]
        base = _load(loader, [o.input_line or "" for o in kept], tree)
        for override in parsed:
            refuse_key_mistakes(override, base, tree)
        raise
    with hydra_config_set(config), interpolation_errors():
        _ = (config.hydra.run.dir, config.hydra.sweep.dir)
    return config


def choices_of(config: DictConfig) -> dict[str, Any]:
    """Group -> option of a composed config; a list of options where `variant` or `experiment` was given several.

    For the config that Hydra hands to a running job, which lacks its `hydra` node, Hydra is asked. Else empty.
    """
    whole: Any = config if "hydra" in config else HydraConfig.instance().cfg
    if whole is None:
        return {}
    choices = {group: option for group, option in plain(whole.hydra.runtime.choices).items() if "/" not in group}
    forgotten = [recipe for recipe in RECIPES if recipe not in choices]  # Hydra keeps no choice that is a list
    if forgotten:
        composed = [path.partition("/") for _, path in composed_files(whole, loader_of(whole))]
        choices |= {recipe: [option for group, _, option in composed if group == recipe] for recipe in forgotten}
    return choices


def resolved(config: DictConfig) -> dict[str, Any]:
    """The config without its `hydra` node as plain values, interpolations resolved; a missing value stays `???`.

    Raises:
        UserError: an interpolation that leads nowhere.
    """
    body = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    with hydra_config_set(config), interpolation_errors():
        return cast(dict[str, Any], OmegaConf.to_container(body, resolve=True))


def plain(config: Any) -> Any:
    """Interpolations and all, as written."""
    return OmegaConf.to_container(config, resolve=False)


def config_loader(config_dir: str | Path | None = None, primary: Path | None = None) -> ConfigLoaderImpl:
    """Hydra's loader over the same directories that `hydra.main` would search."""
    hydra.version.setbase(VERSION_BASE)
    setup_globals()
    tree = Tree.of(config_dir, primary)
    search_path = create_config_search_path(str(tree.directories[0].resolve()))
    for directory in tree.directories[1:]:
        search_path.prepend("command-line", f"file://{directory}", SearchPathQuery(provider="schema"))
    return ConfigLoaderImpl(search_path)


def loader_of(config: DictConfig) -> ConfigLoaderImpl:
    """A loader over the directories that a composed config came from."""
    directories = {source.provider: source.path for source in config["hydra"]["runtime"]["config_sources"]}
    return config_loader(directories.get("command-line"), Path(directories["main"]))


def tree_of(config: DictConfig) -> Tree:
    """The directories that a composed config came from; for a config without its `hydra` node, the packed ones."""
    if "hydra" not in config:
        return Tree.of()
    return Tree(_directories(config.hydra.runtime.config_sources))


def refuse_key_mistakes(override: Override, base: DictConfig, tree: Tree) -> None:
    """Raises UserError for a key that `base` does not have, or has and is added."""
    key, text = override.key_or_group, override.input_line or ""
    if tree.is_group(key) or key.startswith("hydra/"):
        return
    values = plain(base)
    known = keys_of(values["hydra"], "hydra.") if override.is_hydra_override() else keys_of(values)
    there = key in known or OmegaConf.select(base, key) is not None
    if override.is_delete() and there and override.value() is not None:
        raise UserError(f"{text}: {key} has another value; type ~{key}")
    if override.is_add() and there:
        raise UserError(f"{text}: {key} is there already; type {text.lstrip('+')}")
    if not there and not override.is_add() and not override.is_force_add():
        if override.is_hydra_override():
            raise UserError(f"{text}: {_of_unknown_hydra_key(key, known, base, tree)}")
        raise UserError(unknown_key(text, key, known, choices_of(base), tree))


def _of_unknown_hydra_key(key: str, known: list[str], base: DictConfig, tree: Tree) -> str:
    _, _, below = key.partition(".")
    group, _, setting = below.partition(".")
    chosen = base.hydra.runtime.choices.get(f"hydra/{group}")
    loader = loader_of(base)
    having = []
    for option in loader.get_group_options(f"hydra/{group}") if chosen and setting else ():
        with contextlib.suppress(UserError):  # of a plugin that does not load
            other = _load(loader, [f"hydra/{group}={option}"], tree)
            if key in keys_of(plain(other.hydra), "hydra."):
                having.append(f"hydra/{group}={option}")
    if having:
        which = "which has it" if len(having) == 1 else "which have it"
        return f"hydra/{group}={chosen} has no {setting}; type {' or '.join(having)}, {which}"
    near = nearest(key, known)
    return f"Hydra has no {key}" + (f"; did you mean {near}?" if near else "")


def _with_search_path(tree: Tree, loader: ConfigLoaderImpl, overrides: Sequence[str]) -> Tree:
    """`tree` and the directories that `hydra.searchpath=[...]` adds to it."""
    if not any(override.lstrip("+").startswith("hydra.searchpath=") for override in overrides):
        return tree
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # says in its own way what is said below
            _, repository = loader._parse_overrides_and_create_caching_repo(PRIMARY, list(overrides))
    except HydraException as error:
        raise UserError(explain(error, tree)) from error
    for source in repository.get_sources():
        if not source.available() and source.provider not in ("hydra", "schema"):
            raise UserError(f"hydra.searchpath: there is no {source.scheme()}://{source.path}")
    sources = [ConfigSourceInfo(s.path, s.scheme(), s.provider) for s in repository.get_sources()]
    return Tree(_directories(sources))


def _directories(sources: Iterable[Any]) -> list[Path]:
    own = [source for source in sources if source.provider != "hydra" and source.schema in ("file", "pkg")]
    return [Path(str(files(source.path)) if source.schema == "pkg" else source.path) for source in own]


def _load(loader: ConfigLoaderImpl, overrides: list[str], tree: Tree) -> DictConfig:
    try:
        return loader.load_configuration(PRIMARY, overrides, run_mode=RunMode.RUN)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, OSError) as error:
        raise UserError(explain(error, tree)) from error


@contextlib.contextmanager
def interpolation_errors() -> Iterator[None]:
    """An interpolation that leads nowhere as a UserError."""
    try:
        yield
    except OmegaConfBaseException as error:
        raise UserError(_of_interpolation(error)) from error
    except RecursionError as error:
        raise UserError("an interpolation ${...} refers to itself") from error


def explain(error: BaseException, tree: Tree) -> str:
    """What went wrong while composing, in one line that names the file or the key."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = place(Path(mark.name), mark.line + 1) if mark else ""
        return f"not YAML: {error.problem or error.context}{where}"
    if isinstance(error.__cause__, OmegaConfBaseException | yaml.YAMLError) and not str(error).strip():
        return explain(error.__cause__, tree)
    text = str(error)
    if match := re.search(r"In '([^']+)': Could not (?:find|load) '([^']+)'", text):
        return _of_missing_option(match[1], match[2], text, tree)
    if match := re.search(r"In '([^']+)': Could not override '([^']+)'", text):
        near = nearest(match[2], tree.groups)
        hint = f"; did you mean {near}?" if near else ""
        where = tree.place_of(rf"override /?{match[2]}\b")
        return f"{match[2]}: a defaults list overrides it, and it is no group{hint}{where}"
    if match := re.search(r"Multiple values for ([^.]+)\. To override a value use 'override ([^:]+): ([^']+)'", text):
        where = tree.place_of(rf"- /?{match[2]}: *{match[3]}\b")
        return f"{match[1]} is chosen twice: in the defaults list, write `override /{match[2]}: {match[3]}`{where}"
    if (match := re.search(r"Error merging override (\S+)", text)) and (
        kind := re.search(r"could not be converted to (\w+)", str(error.__cause__))
    ):
        return f"{match[1]}: must be {OF_TYPES.get(kind[1], kind[1])}"
    if match := re.search(r"input '(\$\{[^']*)'", text):
        where = tree.place_of(re.escape(match[1]) + r"[^}]*$")
        return f"{match[1]}: cannot be read as an interpolation: a }} is missing{where}"
    if match := re.search(r"(?:Too many components in|Expected header format: KEY VALUE, got) '([^']+)'", text):
        return f"# {match[1]}: must be `# @package _global_`{tree.place_of(re.escape(match[1]))}"
    if isinstance(error, UnicodeDecodeError):
        return f"a config file is not text in UTF-8{tree.place_of(chr(0xFFFD))}"
    return "; ".join(line.strip() for line in text.splitlines() if line.strip()) or type(error).__name__


def _of_missing_option(file: str, missing: str, text: str, tree: Tree) -> str:
    group, _, option = missing.rpartition("/")
    if group.startswith("hydra/"):
        if extra := PLUGINS.get(missing.removeprefix("hydra/")):
            return f"{group}={option}: is a plugin that is not installed; type pip install 'vae-runner[{extra}]'"
        there = text.partition("Available options")[2].partition("Config search path")[0].split()[2:]
        plugins = {key.partition("/")[2]: extra for key, extra in PLUGINS.items() if f"hydra/{key}".startswith(group)}
        near = nearest(option, [*there, *plugins])
        hint = f"did you mean {near}? " if near else ""
        lacking = [
            f"{name} (pip install 'vae-runner[{extra}]')" for name, extra in plugins.items() if name not in there
        ]
        others = f"plugins bring {', '.join(lacking)}" if lacking else "others are plugins to install"
        return f"{missing}: {hint}Hydra has {', '.join(there) or 'nothing'} there; {others}"
    near = nearest(option, tree.options(group)) if group else None
    hint = f"; did you mean {near}?" if near else ""
    # Hydra names the file whose list it was working on, which is not always the one that says so
    where = tree.place_of(rf"\b{group.rpartition('/')[2]}: .*\b{option}\b") or place(tree.file(file))
    return f"{missing}: a defaults list names it, and it does not exist{hint}{where}"


def _of_interpolation(error: OmegaConfBaseException) -> str:
    text = str(error)
    key = match[1] if (match := re.search(r"full_key: (\S+)", text)) else "a value"
    if match := re.search(r"Interpolation key '([^']+)' not found", text):
        return f"{key}: ${{{match[1]}}} leads nowhere: there is no {match[1]}"
    if match := re.search(r"Unsupported interpolation type (\S+)", text):
        return f"{key}: ${{{match[1]}:...}} is unknown: there is no resolver {match[1]}"
    return f"{key}: {text.splitlines()[0]}"


def composed_files(config: DictConfig, loader: ConfigLoaderImpl) -> list[tuple[str, str]]:
    """The files that make up a config as (package, path in the tree), in order of precedence, lowest first."""
    overrides = plain(config.hydra.overrides.hydra) + plain(config.hydra.overrides.task)
    defaults = loader.compute_defaults_list(PRIMARY, overrides, run_mode=RunMode.RUN).defaults
    own = [(default.package or "", default.config_path) for default in defaults if default.config_path]
    return [(package, path) for package, path in own if not path.startswith("hydra/")]


@contextlib.contextmanager
def hydra_config_set(config: DictConfig) -> Iterator[None]:
    """Lets `${hydra:...}` resolve as it will in the run."""
    if "hydra" not in config:
        yield
        return
    holder: Any = HydraConfig.instance()
    before = holder.cfg
    holder.cfg = OmegaConf.masked_copy(config, "hydra")
    if OmegaConf.is_missing(holder.cfg.hydra.runtime, "output_dir"):
        holder.cfg.hydra.runtime.output_dir = "."  # known once the run starts
    try:
        yield
    finally:
        holder.cfg = before
