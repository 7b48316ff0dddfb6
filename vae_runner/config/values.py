"""A value from a config against the annotation of the setting it is for."""

import math
import re
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from vae_runner.config.names import nearest
from vae_runner.settings import Form, Range

T = TypeVar("T")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def complaint(value: Any, annotation: Any) -> str | None:
    """What is wrong with `value`, as the words that follow `key=value: `, or None."""
    range_ = _extra(annotation, Range)
    kind = _bare(annotation)
    origin = get_origin(kind)
    if kind is Any:
        return None
    if origin in (Union, types.UnionType):
        return _complaint_of_union(value, get_args(kind))
    if origin is Literal:
        return _complaint_of_literal(value, get_args(kind))
    if kind in (int, float):
        return _complaint_of_number(value, kind, range_)
    if kind in (str, Path):
        return _complaint_of_text(value, _extra(annotation, Form))
    if kind in (bool, None, type(None)):
        fits = isinstance(value, bool) if kind is bool else value is None
        return None if fits else f"must be {describe(annotation)}"
    if (origin or kind) in (list, tuple, Sequence, set):
        return _complaint_of_list(value, kind)
    if (origin or kind) is dict:
        return _complaint_of_dict(value, kind)
    return None


def describe(annotation: Any) -> str:
    """The values an annotation allows, in words."""
    range_, form = _extra(annotation, Range), _extra(annotation, Form)
    kind = _bare(annotation)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _either(arguments)
    if origin is Literal:
        return "one of " + ", ".join(write(a) for a in arguments)
    if form:
        return str(form)
    if kind in (int, float):
        noun = "a whole number" if kind is int else "a number"
        return f"{noun} {range_}" if range_ else noun
    if (origin or kind) in (list, Sequence, set):
        return f"a list of ({describe(arguments[0])})" if arguments else "a list"
    if (origin or kind) is tuple:
        if arguments and arguments[-1] is not Ellipsis:
            return f"a list of {len(arguments)}: {', '.join(describe(a) for a in arguments)}"
        return f"a list of ({describe(arguments[0])})" if arguments else "a list"
    if kind in (None, type(None)):
        return "null"
    nouns: dict[Any, str] = {bool: "true or false", str: "text", Path: "a path", dict: "a mapping"}
    return nouns.get(origin or kind, getattr(kind, "__name__", str(kind)))


def write(value: Any) -> str:
    """A value as one types it on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ",".join(write(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{write(v)}" for k, v in value.items()) + "}"
    return str(value)


def _either(alternatives: tuple) -> str:
    *words, last = [describe(alternative) for alternative in alternatives]
    return f"{', '.join(words)} or {last}"


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _extra(annotation: Any, kind: type[T]) -> T | None:
    """What is said of the values besides their type, where it is of that kind."""
    if get_origin(annotation) is not Annotated:
        return None
    return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, kind)), None)


def _complaint_of_text(value: Any, form: Form | None) -> str | None:
    if form is not None:
        return None if isinstance(value, str) and value in form else f"must be {form}"
    return None if isinstance(value, str) else f"must be text: quote it twice, '\"{write(value)}\"'"


def _complaint_of_number(value: Any, kind: type, range_: Range | None) -> str | None:
    allowed = describe(Annotated[kind, range_] if range_ else kind)
    if isinstance(value, bool):
        return f"must be {allowed}, not true or false"
    if isinstance(value, str):
        if not value:
            return f"must be {allowed}, and nothing is given"
        number = _NUMBER.match(value.strip())
        return f"must be {allowed}, and {value!r} is text" + (f"; did you mean {number.group()}?" if number else "")
    if not isinstance(value, int | float):
        return f"must be {allowed}"
    if not math.isfinite(value):
        return f"must be {allowed}, and finite"
    if range_ is not None and value not in range_:
        return f"must be {range_}"
    if kind is int and not isinstance(value, int):
        return "must be a whole number" + (f"; type {int(value)}" if value == int(value) else "")
    return None


def _complaint_of_literal(value: Any, allowed: tuple) -> str | None:
    # 1 == True == 1.0 in Python, not in a config
    if any(value == a and type(value) is type(a) for a in allowed):
        return None
    near = nearest(value, [a for a in allowed if isinstance(a, str)]) if isinstance(value, str) else None
    return f"must be {describe(Literal[allowed])}" + (f"; did you mean {near}?" if near else "")


def _complaint_of_union(value: Any, alternatives: tuple) -> str | None:
    complaints = [(a, complaint(value, a)) for a in alternatives]
    if any(words is None for _, words in complaints):
        return None
    if value is not None:
        same_kind = [(a, words) for a, words in complaints if _is_kind(value, _bare(a))]
        numbers = [words for a, words in complaints if _bare(a) in (int, float)]
        if isinstance(value, str) and not same_kind and len(numbers) == 1:
            return numbers[0]
        others = [a for a in alternatives if _bare(a) not in (None, type(None))]
        if len(same_kind) == 1:
            return same_kind[0][1]
        if len(others) == 1:  # Optional: null is allowed, but was not meant
            words = complaint(value, others[0])
            return f"{words} (or null)"
    return f"must be {_either(alternatives)}"


def _is_kind(value: Any, kind: Any) -> bool:
    origin = get_origin(kind) or kind
    if isinstance(value, bool):
        return origin is bool
    if isinstance(value, int | float):
        return origin in (int, float)
    if isinstance(value, list):
        return origin in (list, tuple, Sequence, set)
    if isinstance(value, dict):
        return origin is dict
    return origin in (str, Path, Literal)


def _complaint_of_list(value: Any, kind: Any) -> str | None:
    arguments = get_args(kind)
    fixed = get_origin(kind) is tuple and arguments and arguments[-1] is not Ellipsis
    if not isinstance(value, list):
        items = [write(value)] * (len(arguments) if fixed else 1)
        return f"must be {describe(kind)}; type it in brackets, [{','.join(items)}]"
    if fixed and len(value) != len(arguments):
        return f"must be {describe(kind)}, and {len(value)} were given"
    kinds = arguments if fixed else [arguments[0] if arguments else Any] * len(value)
    for item, item_kind in zip(value, kinds, strict=True):
        if words := complaint(item, item_kind):
            return f"its item {write(item)} {words}"
    return None


def _complaint_of_dict(value: Any, kind: Any) -> str | None:
    if not isinstance(value, dict):
        return "must be a mapping, as in {name: value}"
    if arguments := get_args(kind):
        for name, item in value.items():
            for part, part_kind in ((name, arguments[0]), (item, arguments[1])):
                if words := complaint(part, part_kind):
                    return f"its entry {write(name)}: {write(part)} {words}"
    return None
