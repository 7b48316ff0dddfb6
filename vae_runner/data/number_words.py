"""Numbers, dates and times of day in words: a language small enough to learn in a minute, of which all is known."""

import numpy as np

TEENS = ("ten", "eleven", "twelve", *(f"{stem}teen" for stem in ("thir", "four", "fif", "six", "seven", "eigh")))
ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", *TEENS, "nineteen")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
IRREGULAR = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
IRREGULAR |= {"twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth"}
MONTHS = {
    **dict.fromkeys(("january", "march", "may", "july", "august", "october", "december"), 31),
    **dict.fromkeys(("april", "june", "september", "november"), 30),
    "february": 29,
}
PAST = ("five past", "ten past", "quarter past", "twenty past", "twenty-five past", "half past")
TO = ("twenty-five to", "twenty to", "quarter to", "ten to", "five to")
SHARE = 400  # of the 999 numbers, so that no class is rare


def number(n: int) -> str:
    """1 to 999 in words."""
    if n >= 100:
        rest = f" and {number(n % 100)}" if n % 100 else ""
        return f"{ONES[n // 100 - 1]} hundred{rest}"
    if n < 20:
        return ONES[n - 1]
    return TENS[n // 10 - 2] + (f"-{ONES[n % 10 - 1]}" if n % 10 else "")


def ordinal(n: int) -> str:
    """1 to 31 in words."""
    before, dash, last = number(n).rpartition("-")
    return before + dash + IRREGULAR.get(last, f"{last}th")


def phrases() -> dict[str, list[str]]:
    """All there are of each class."""
    return {
        "number": [number(n) for n in range(1, 1000)],
        "date": [f"the {ordinal(day)} of {month}" for month, days in MONTHS.items() for day in range(1, days + 1)],
        "time": [f"{minutes} {hour} {half}" for half in ("am", "pm") for hour in ONES[:12] for minutes in (*PAST, *TO)],
    }


def lines() -> list[tuple[str, str]]:
    """(class, phrase): all dates and times, and 400 of the numbers, always the same ones, mixed."""
    random = np.random.RandomState(0)  # numpy guarantees that what it draws never changes
    everything = [
        (name, part[place]) for name, part in phrases().items() for place in random.permutation(len(part))[:SHARE]
    ]
    return [everything[place] for place in random.permutation(len(everything))]
