"""Every key of a config against the settings of the class it is for, then the classes against each other.

Two sources of truth: the signature of each `_target_`, and what one part requires of another:
`requires = {"posterior.density": "why, for the user"}` and `needs(settings)` against the others' `provides`.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vae_runner.config.composing import choices_of, composed_files, loader_of, plain, resolved, tree_of
from vae_runner.config.figures import mistaken
from vae_runner.config.names import keys_of, nearest_key
from vae_runner.config.recipes import contested
from vae_runner.config.signatures import Setting, resolve_target, settings_of
from vae_runner.config.tree import RECIPES, place
from vae_runner.config.unknown import line_of, unknown_key
from vae_runner.config.values import complaint, write
from vae_runner.errors import Incompatible, UserError
from vae_runner.reporting.published import Published, settings_typed
from vae_runner.settings import Range

MISSING = "???"


class TopLevel:
    """What stands in the config outside any group."""

    def __init__(
        self,
        *,
        seed: Annotated[int, Range(0, 2**32 - 1)],
        latent_dim: Annotated[int, Range(1, 65536)],
        resume: str | None = None,
        published: dict[str, Any] | None = None,
    ) -> None:
        raise NotImplementedError("a signature to check against, not a thing to make")


def check(config: DictConfig, choices: Mapping[str, Any] | None = None, trusted: bool = True) -> None:
    """Checks all of a config without building anything; nothing is imported from outside the library unless `trusted`.

    choices: group -> option, for the messages; by default those that the config was composed from.

    Raises:
        UserError: what is wrong, a line for each mistake.
        Incompatible: all that is wrong is that settings do not go together.
    """
    checker = _Checker(config, choices_of(config) if choices is None else choices, trusted)
    checker.check()
    if checker.problems or checker.conflicts:
        kind = UserError if checker.problems else Incompatible
        raise kind("\n".join([*checker.problems, *checker.conflicts]))


class _Checker:
    def __init__(self, config: DictConfig, choices: Mapping[str, Any], trusted: bool) -> None:
        self.config = config
        self.choices = choices
        self.trusted = trusted
        self.tree = tree_of(config)
        try:
            self.values = resolved(config)
        except UserError as error:
            raise UserError(f"{error}{self._origin(str(error).partition(':')[0])}") from error
        self.handed_down = settings_of(TopLevel)  # what a group needs of it, such as latent_dim, is given there alone
        self.known = set(keys_of(self.values))  # those that turn out to be unknown are taken out again
        self.problems: list[str] = []
        self.conflicts: list[str] = []  # what may be right beside other settings
        self.unknown: list[tuple[str, str, Any]] = []

    def check(self) -> None:
        top_level = {key: value for key, value in self.values.items() if key not in self.tree.nodes}
        self._check_settings("", top_level, self.handed_down)
        if isinstance(published := self.values.get("published"), dict):
            self._check_published(published)
        classes: dict[str, type] = {}
        for group in self.tree.nodes:
            if group not in self.values:
                self.problems.append(f"{group}: missing; type {group}={next(iter(self.tree.options(group)), '...')}")
            elif cls := self._check_node(group, self.values[group]):
                classes[group] = cls
        known = self.known - {f"{prefix}{name}" for prefix, name, _ in self.unknown}
        for prefix, name, value in self.unknown:
            self.conflicts.append(self._unknown(prefix, name, value, known))
        self.problems += contested(self.config, self.choices, self.tree)
        if not self.problems and not self.conflicts:
            self._check_requirements(classes)

    def _check_published(self, published: dict[str, Any]) -> None:
        settings = settings_of(Published)
        self.known |= {f"published.{name}" for name in settings}
        self._check_settings("published.", published, settings)
        if isinstance(figure := published.get("figure"), str) and (words := mistaken(figure)):
            self.problems.append(f"{self._shown('published.figure', figure)}: {words}")
        values = published.get("values")
        keys = [known for known in self.known if not known.startswith("published.")]
        for typed in [typed for typed in values if isinstance(typed, str)] if isinstance(values, dict) else ():
            where = self._origin("published.values")
            try:
                given = [key for key, _ in settings_typed(typed)]
            except (yaml.YAMLError, OmegaConfBaseException):
                self.problems.append(f"published.values: {typed}: its value is not readable as YAML{where}")
                continue
            for key in given:
                if key not in keys:
                    near = nearest_key(key, keys)
                    hint = f"; did you mean {near}?" if near else ""
                    self.problems.append(f"published.values: {typed}: there is no setting {key}{hint}{where}")

    def _check_node(self, key: str, node: Any) -> type | None:
        """A mapping with a `_target_`: its class, if that could be found."""
        if not isinstance(node, dict) or "_target_" not in node:
            shown = f"{key}: has no" if isinstance(node, dict) else f"{key}={write(node)}: must be a mapping with a"
            self.problems.append(f"{shown} _target_{self._place(key)}")
            return None
        settings = {name: value for name, value in node.items() if name != "_target_"}
        if node["_target_"] is None:
            self.unknown += [(f"{key}.", name, value) for name, value in settings.items()]
            return None
        try:
            cls = resolve_target(node["_target_"], self.trusted)
        except UserError as error:
            self.problems.append(f"{key}.{error}{self._origin(f'{key}._target_')}")
            return None
        allowed = {name: setting for name, setting in settings_of(cls).items() if name not in self.handed_down}
        self.known |= {f"{key}.{name}" for name in allowed}
        self._check_settings(f"{key}.", settings, allowed)
        return cls

    def _check_settings(self, prefix: str, given: Mapping[str, Any], allowed: Mapping[str, Setting]) -> None:
        for name, value in given.items():
            key = f"{prefix}{name}"
            if name not in allowed:
                self.unknown.append((prefix, name, value))
            elif value == MISSING:
                self._missing(key)
            elif _has_target(value):
                self._check_nested(key, value)
            elif words := complaint(value, allowed[name].annotation):
                self.problems.append(f"{self._shown(key, value)}: {words}{self._origin(key)}")
        for name, setting in allowed.items():
            if setting.required and name not in given:
                self._missing(f"{prefix}{name}")

    def _check_nested(self, key: str, value: Any) -> None:
        """A part that is made of parts."""
        items = value.items() if isinstance(value, dict) else enumerate(value)
        if isinstance(value, dict) and "_target_" in value:
            self._check_node(key, value)
            return
        for name, item in items:
            if _has_target(item):
                self._check_nested(f"{key}.{name}", item)

    def _check_requirements(self, classes: Mapping[str, type]) -> None:
        settings, provided = {}, {}
        for group, cls in classes.items():
            given = {name: value for name, value in self.values[group].items() if name != "_target_"}
            settings[group] = {**{name: setting.default for name, setting in settings_of(cls).items()}, **given}
            provided[group] = set(getattr(cls, "provides", ()))
            if hasattr(cls, "gives"):
                provided[group] |= cls.gives(settings[group])
        for group, cls in classes.items():
            requirements = dict(getattr(cls, "requires", {}))
            if hasattr(cls, "needs"):
                requirements |= cls.needs(settings[group])
            for requirement, why in requirements.items():
                alternatives = [alternative.partition(".") for alternative in requirement.split("|")]
                if not any(capability in provided.get(other, ()) for other, _, capability in alternatives):
                    others = " and ".join(dict.fromkeys(self._option(other) for other, _, _ in alternatives))
                    self.conflicts.append(f"{self._option(group)} with {others}: {why}")

    def _missing(self, key: str) -> None:
        group = key.partition(".")[0]
        who = f"{self._option(group)} needs it" if "." in key else "a run needs it"
        self.problems.append(f"{key}: missing, and {who}: type {key}=...")

    def _unknown(self, prefix: str, name: str, value: Any, known: set[str]) -> str:
        key = f"{prefix}{name}"
        if key in RECIPES:
            form = "start with the line `# @package _global_`" if isinstance(value, dict) else "hold `key: value` lines"
            return f"{key}: its file must {form}{self._place(key)}"
        shown = self._shown(key, value)
        if "." in name:
            nested = ": {".join(name.split(".")) + f": {write(value)}" + "}" * name.count(".")
            return f"{shown}: a key with dots does not nest inside a file; write {nested}{self._origin(key)}"
        return unknown_key(shown, key, known, self.choices, self.tree) + self._origin(key)

    def _option(self, group: str) -> str:
        return f"{group}={self.choices[group]}" if self.choices.get(group) else group

    def _shown(self, key: str, value: Any) -> str:
        """The key and its value as the user typed them, where he did."""
        return self._typed(key) or f"{key}={write(value)}"

    def _typed(self, key: str) -> str | None:
        if "hydra" not in self.config:
            return None
        typed = [text for text in plain(self.config.hydra.overrides.task) if text.lstrip("+").partition("=")[0] == key]
        return typed[-1] if typed else None

    def _origin(self, key: str) -> str:
        """The file and line that a setting comes from, unless it was typed on the command line."""
        return "" if self._typed(key) else self._place(key)

    def _place(self, key: str) -> str:
        if "hydra" not in self.config:
            return ""
        for package, path in reversed(composed_files(self.config, loader_of(self.config))):
            prefix = f"{package}." if package and package != "_global_" else ""
            if not f"{key}.".startswith(prefix):
                continue
            file = self.tree.file(path)
            inner = key[len(prefix) :]
            for parts in (inner.split("."), [inner]):
                if line := line_of(file, parts):
                    return place(file, line)
            if not inner or f"{key}." == prefix:
                return place(file)
        return ""


def _has_target(value: Any) -> bool:
    """Whether a value is made of parts."""
    if isinstance(value, dict):
        return "_target_" in value or any(_has_target(v) for v in value.values())
    return isinstance(value, list) and any(_has_target(v) for v in value)
