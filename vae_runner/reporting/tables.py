"""Tables of runs: rows are dicts, not all with the same keys.

As text for a terminal, as CSV that is read back to equal values, and as Markdown.
"""

import csv
import io
import json
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from vae_runner.errors import UserError
from vae_runner.reporting.formats import cell

if TYPE_CHECKING:
    from rich.table import Table

Row: TypeAlias = Mapping[str, Any]


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Every key of every row, in the order of first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row))


def differing(rows: Sequence[Row], columns: Iterable[str] | None = None) -> list[str]:
    """The columns in which not all rows agree; a missing value is a value."""
    columns = columns_of(rows) if columns is None else columns
    return [column for column in columns if len({_comparable(row.get(column)) for row in rows}) > 1]


def sorted_by(rows: Sequence[Row], column: str, first: float = -math.inf) -> list[Row]:
    """Rows in the order of a figure; numbers before text, what is missing or not a number last whatever the order.

    first: the value that numbers come the earlier the nearer they are to, inf for the highest first.
    """
    if rows and not any(column in row for row in rows):
        raise UserError(f"sort={column}: no run has this figure; there are {', '.join(columns_of(rows))}")
    ranked = [row for row in rows if _rank(row.get(column)) < 2]
    descending = first == math.inf

    def place(value: float) -> float:
        return abs(value - first) if math.isfinite(first) else -value if descending else value

    numbers = sorted((row for row in ranked if _rank(row[column]) == 0), key=lambda row: place(row[column]))
    texts = sorted((row for row in ranked if _rank(row[column]) == 1), key=lambda row: cell(row[column]))
    missing = [row for row in rows if _rank(row.get(column)) == 2]
    return [*numbers, *(reversed(texts) if descending else texts), *missing]


def as_rich(rows: Sequence[Row], columns: Sequence[str] | None = None, title: str | None = None) -> "Table":
    """For `console.show`: numbers to the right, five significant digits."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = columns_of(rows) if columns is None else columns
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), justify="right" if _is_numeric(rows, column) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    return table


def as_text(rows: Sequence[Row], columns: Sequence[str] | None = None, title: str | None = None) -> str:
    """Plain text, as wide as it needs."""
    from rich.console import Console

    buffer = io.StringIO()
    Console(file=buffer, width=100_000, color_system=None).print(as_rich(rows, columns, title), soft_wrap=True)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip("\n") + "\n"


def as_csv(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Comma-separated, floats with all their digits, a missing value empty. `from_csv` gives the values back."""
    columns = columns_of(rows) if columns is None else columns
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_written(row.get(column)) for column in columns] for row in rows)
    return buffer.getvalue()


def from_csv(text: str) -> list[dict[str, Any]]:
    """The rows that `as_csv` wrote; a missing value is None."""
    columns, *lines = csv.reader(io.StringIO(text))
    return [{column: _read(field) for column, field in zip(columns, line, strict=True)} for line in lines]


def as_markdown(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """A GitHub table; nothing in a cell is taken for markup."""
    columns = columns_of(rows) if columns is None else columns
    header = _markdown_line(columns)
    rule = "| " + " | ".join("---:" if _is_numeric(rows, column) else "---" for column in columns) + " |"
    return "\n".join([header, rule, *(_markdown_line([cell(row.get(c)) for c in columns]) for row in rows)]) + "\n"


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_escaped(text) for text in cells) + " |"


def _escaped(text: str) -> str:
    # an underscore inside a word (log_px) is no markup
    escaped = re.sub(r"([\\`*|<>\[\]~])|(?<!\w)_|_(?!\w)", lambda match: "\\" + match.group(), text)
    return " ".join(escaped.split())


def _is_numeric(rows: Sequence[Row], column: str) -> bool:
    values = [row[column] for row in rows if row.get(column) is not None]
    return bool(values) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _rank(value: Any) -> int:
    """0: a number, 1: anything else, 2: nothing to sort by."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return 2
    return 0 if isinstance(value, (int, float)) and not isinstance(value, bool) else 1


def _comparable(value: Any) -> Hashable:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # not-a-number is equal to itself here
        return ("number", "nan" if math.isnan(value) else value)
    return (type(value).__name__, json.dumps(value, sort_keys=True, default=str))


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # text that would be read as something else is quoted as JSON does
        return value if value and _read(value) == value else json.dumps(value)
    return json.dumps(value, default=str) if not isinstance(value, float) else repr(value)


def _read(field: str) -> Any:
    if field == "":
        return None
    if field in ("true", "false"):
        return field == "true"
    for kind in (int, float):
        try:
            return kind(field)
        except ValueError:
            pass
    if field[0] in '"[{':
        try:
            return json.loads(field)
        except ValueError:
            pass
    return field
