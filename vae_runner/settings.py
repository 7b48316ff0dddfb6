"""How a constructor states what its YAML settings may be: `Annotated[int, Range(1, 65536)]`."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """The interval a number must lie in; an open end is left out of it. `None` is unbounded."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        if self.low is not None and not (value > self.low if self.open_low else value >= self.low):
            return False
        return self.high is None or (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        low, high = self.low, self.high
        if low is None and high is None:
            return "any number"
        if high is None:
            return f"above {low}" if self.open_low else f"{low} or more"
        if low is None:
            return f"below {high}" if self.open_high else f"{high} or less"
        if self.open_low or self.open_high:
            lower, upper = "above" if self.open_low else "at least", "below" if self.open_high else "at most"
            return f"{lower} {low} and {upper} {high}"
        return f"from {low} to {high}"


@dataclass(frozen=True)
class Form:
    """Of text: the regular expression that all of it matches, and that in words."""

    pattern: str
    words: str

    def __contains__(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.words
