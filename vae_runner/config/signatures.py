"""A `_target_` -> a class -> the settings it takes.

Right of the `*` of a constructor stand its settings. One that ends in `**common` hands the rest to the next class of
its MRO.
"""

import importlib
import inspect
import typing
from dataclasses import dataclass
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

from vae_runner.config.names import nearest
from vae_runner.errors import UserError

LIBRARY = "vae_runner"


@dataclass(frozen=True)
class Setting:
    """A keyword-only parameter: its annotation and, unless the user must give it, its default."""

    annotation: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


def settings_of(cls: type) -> dict[str, Setting]:
    """The settings that the constructor of `cls` takes."""
    found: dict[str, Setting] = {}
    for base in cls.__mro__:
        constructor = base.__dict__.get("__init__")
        if not inspect.isfunction(constructor):
            continue
        parameters = inspect.signature(constructor).parameters.values()
        own = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in found}
        annotations = _evaluated({name: p.annotation for name, p in own.items()}, constructor.__globals__)
        found.update({name: Setting(annotations[name], p.default) for name, p in own.items()})
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def resolve_target(path: str, trusted: bool = True) -> type:
    """The class that `_target_: path` names.

    Untrusted, as from a run that somebody else made: only a class of this library, and nothing is imported to find out.

    Raises:
        UserError: not a class, not there, or not ours.
    """
    if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")):
        raise UserError(f"_target_={path}: must name a class, as in {LIBRARY}.models.VAE")
    module_path, _, name = path.rpartition(".")
    if not trusted and not path.startswith(f"{LIBRARY}."):
        raise UserError(f"_target_={path}: lies outside {LIBRARY}, and code from elsewhere is run only with trust=true")
    if not module_path:
        raise UserError(f"_target_={path}: must name a module and a class, as in {LIBRARY}.models.VAE")
    _refuse_missing_module(path, module_path)
    try:
        module = importlib.import_module(module_path)
    except Exception as error:
        raise UserError(f"_target_={path}: {module_path} cannot be imported: {_one_line(error)}") from error
    found = getattr(module, name, None)
    if not inspect.isclass(found):
        classes = [key for key, value in vars(module).items() if inspect.isclass(value)]
        near = nearest(name, classes)
        raise UserError(
            f"_target_={path}: {module_path} has no class {name}" + (f"; did you mean {near}?" if near else "")
        )
    if not trusted and not found.__module__.startswith(f"{LIBRARY}."):
        raise UserError(f"_target_={path}: is {found.__module__}.{name}, from outside {LIBRARY}")
    return found


def _refuse_missing_module(path: str, module_path: str) -> None:
    parts = module_path.split(".")
    for end in range(1, len(parts) + 1):
        partial = ".".join(parts[:end])
        try:
            missing = find_spec(partial) is None
        except ModuleNotFoundError:
            missing = True  # what stands before is a module, not a package
        except Exception as error:
            raise UserError(f"_target_={path}: {partial} cannot be imported: {_one_line(error)}") from error
        if missing:
            hint = ": is it installed, or its folder on PYTHONPATH?" if end == 1 else ""
            raise UserError(f"_target_={path}: there is no module {partial}{hint}")


def _evaluated(annotations: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Annotations written as text (`from __future__ import annotations`) as what they mean."""
    holder = SimpleNamespace(__annotations__={k: v for k, v in annotations.items() if v is not inspect.Parameter.empty})
    return {**dict.fromkeys(annotations, Any), **typing.get_type_hints(holder, globalns=names, include_extras=True)}


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
