"""Numbers and durations as a person reads them."""

import json
import math
from collections.abc import Mapping
from typing import Any


def number(value: float, digits: int = 5) -> str:
    """`digits` significant digits, without an exponent where none is needed: 106.06, 123457, 1e-05."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    if 10**digits <= abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def counted(count: int, what: str) -> str:
    """1 example, 2 examples."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def cell(value: Any) -> str:
    """Any value of a table as short text; a missing one is a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str)


def with_errors(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures as a person reads them: `39.15 ± 1.4` of one with a standard error, which is then no figure by itself."""
    ends = "_standard_error"
    alone = {
        key: value for key, value in figures.items() if not (key.endswith(ends) and key.removesuffix(ends) in figures)
    }
    shown = dict[str, Any]()
    for key, value in alone.items():
        error = figures.get(f"{key}{ends}")
        shown[key] = value if value is None or error is None else f"{cell(value)} ± {number(error, 2)}"
    return shown


def duration(seconds: float) -> str:
    """0:08, 12:30, 1:02:03, 2d 03:00:00."""
    minutes, s = divmod(max(0, round(seconds)), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days}d {h:02}:{m:02}:{s:02}"
    return f"{h}:{m:02}:{s:02}" if h else f"{m}:{s:02}"
