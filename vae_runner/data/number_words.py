"""Numbers, dates and times of day in words: a language small enough to learn in a minute, of which all is known."""

import numpy as np

CLASSES = ("number", "date", "time")
ONES = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
MONTHS = {
    **dict.fromkeys(("january", "march", "may", "july", "august", "october", "december"), 31),
    **dict.fromkeys(("april", "june", "september", "november"), 30),
    "february": 29,
}
MINUTES = ("five past", "ten past", "quarter past", "twenty past", "twenty-five past", "half past")
MINUTES = (*MINUTES, "twenty-five to", "twenty to", "quarter to", "ten to", "five to")
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
    if n <= 20:
        return ORDINALS[n - 1]
    return "thirtieth" if n == 30 else f"{TENS[n // 10 - 2]}-{ORDINALS[n % 10 - 1]}"


def phrases() -> dict[str, list[str]]:
    """All there are of each class."""
    return {
        "number": [number(n) for n in range(1, 1000)],
        "date": [f"the {ordinal(day)} of {month}" for month, days in MONTHS.items() for day in range(1, days + 1)],
        "time": [
            f"{minutes} {ONES[hour]} {half}" for half in ("am", "pm") for hour in range(12) for minutes in MINUTES
        ],
    }


def lines() -> list[tuple[str, str]]:
    """(class, phrase): all dates and times, and 400 of the numbers, always the same ones."""
    everything = phrases()
    chosen = np.random.RandomState(0).permutation(len(everything["number"]))[:SHARE]
    everything["number"] = [everything["number"][n] for n in sorted(chosen)]
    return [(name, phrase) for name, part in everything.items() for phrase in part]
