"""Which variants combine with which, and with which kind of data: `python docs/combinations.py` writes combinations.md.

Nothing in the tables is written by hand: a cell is accepted where the config passes its check and the model and the
objective can be built for such data, and refused with the line that a user would see. What is accepted is trained,
saved, read back and sampled by tests/test_combinations.py.
"""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from vae_runner.build import build_model, make
from vae_runner.config import Tree, check, choices_of, compose, configs_directory, resolved
from vae_runner.data.space import Space
from vae_runner.errors import UserError

PAGE = Path(__file__).with_name("combinations.md")
VARIANTS = list(Tree([configs_directory()]).options("variant"))


@dataclass(frozen=True)
class Kind:
    """A kind of data: what to type for it, and what an example of it is."""

    typed: tuple[str, ...]
    space: Space


ARRAYS = ("data=arrays", "data.path=FILE.npz")
KINDS = {
    "grey images": Kind(("data=digits",), Space((1, 8, 8), "unit", 10)),
    "colour images": Kind((*ARRAYS, "architecture=conv", "likelihood=gaussian"), Space((3, 16, 16), "unit", 3)),
    "vectors": Kind((*ARRAYS, "likelihood=gaussian", "architecture=mlp"), Space((12,), "real", 3)),
    "series": Kind(
        ("data=series", "architecture=recurrent", "likelihood=gaussian"), Space((24, 2), "real", 5, ragged=False)
    ),
    "piano rolls": Kind(
        ("data=music", "data.path=FILE.npz", "architecture=recurrent", "likelihood=bernoulli"),
        Space((24, 88), "binary", None, ragged=True),
    ),
    "text": Kind(
        ("data=text", "architecture=recurrent", "likelihood=categorical"),
        Space((24,), "categorical", 3, ragged=True, categories=30),
    ),
}


def refusal(overrides: list[str], space: Space) -> str | None:
    """The first line of what speaks against a config on data of this space, or None."""
    try:
        config = compose(overrides)
        check(config)
        built = resolved(config)
        make(built["corruption"], space)
        model = build_model(built, space)
        make(built["objective"], model, 100)
        make(built["kl"], 10, 100).require_levels(model.levels)
    except UserError as error:
        return str(error).splitlines()[0]
    return None


def pair_refusal(first: str, second: str) -> str | None:
    """What speaks against `variant=[first,second]`, on the data of the recipe that brings its own."""
    overrides = [f"variant=[{first},{second}]"]
    data = choices_of(compose(overrides))["data"]
    space = next(kind.space for kind in KINDS.values() if f"data={data}" in kind.typed)
    told = refusal(overrides, space)
    contested = re.match(r"variant=\[.*\]: .* chooses (\w+)=", told or "")
    return f"both choose the {contested[1]}: type {contested[1]}=... besides, for which" if contested else told


def by_kind_keys() -> list[tuple[str, str]]:
    return list(itertools.product(VARIANTS, KINDS))


def by_kind() -> dict[tuple[str, str], str | None]:
    return {
        (variant, name): refusal([f"variant={variant}", *KINDS[name].typed], KINDS[name].space)
        for variant, name in by_kind_keys()
    }


def pairs() -> list[tuple[str, str]]:
    return list(itertools.combinations(VARIANTS, 2))


def by_pair() -> dict[tuple[str, str], str | None]:
    return {pair: pair_refusal(*pair) for pair in pairs()}


class Rules:
    """Refusals by number, in the order in which they appear."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}

    def mark(self, line: str) -> str:
        number = self.lines.setdefault(re.sub(r"\s+", " ", line).replace("|", "\\|"), len(self.lines) + 1)
        return f"({number})"

    def rows(self) -> list[str]:
        return [f"{number}. {line}" for line, number in self.lines.items()]


def page() -> str:
    rules = Rules()
    kinds, both = by_kind(), by_pair()
    lines = [
        "# Combinations",
        "",
        "Written by `python docs/combinations.py` from what the components declare. A number is the rule, below, that "
        "refuses a combination. Everything else is accepted; `pytest -m slow tests/test_combinations.py` trains it, "
        "reads it back and samples it.",
        "",
        "## Variants and data",
        "",
        "Each kind of data is asked for by",
        "",
        *(f"- {name}: `{' '.join(kind.typed)}`" for name, kind in KINDS.items()),
        "",
        f"| variant | {' | '.join(KINDS)} |",
        f"| --- | {' | '.join(['---'] * len(KINDS))} |",
    ]
    for variant in VARIANTS:
        cells = [kinds[variant, name] for name in KINDS]
        lines.append(f"| `{variant}` | {' | '.join('yes' if cell is None else rules.mark(cell) for cell in cells)} |")
    lines += [
        "",
        "## Variants with each other",
        "",
        "`variant=[a,b]`, each pair once; longer lists combine likewise.",
        "",
    ]
    lines += ["| variant | combines with | is refused with |", "| --- | --- | --- |"]
    for variant in VARIANTS:
        found = {other: both[key] for key in both if variant in key for other in key if other != variant}
        accepted = ", ".join(f"`{other}`" for other, line in found.items() if line is None)
        refused = ", ".join(f"`{other}` {rules.mark(line)}" for other, line in found.items() if line is not None)
        lines.append(f"| `{variant}` | {accepted or 'none'} | {refused or 'none'} |")
    return "\n".join([*lines, "", "## Rules", "", *rules.rows(), ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
