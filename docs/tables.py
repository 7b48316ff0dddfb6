"""Writes the tables of options and settings into the pages, from the config files themselves.

`python docs/tables.py` rewrites what stands between `<!-- options GROUP -->` or `<!-- settings GROUP/OPTION -->` and
the next `<!-- end -->`, in the README and in every page beside this file.
"""

import re
from pathlib import Path

from vae_runner.config import Tree, configs_directory
from vae_runner.reporting.published import Published

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

TABLE = re.compile(r"<!-- (?P<kind>options|settings) (?P<name>[\w/]+) -->\n.*?<!-- end -->", re.DOTALL)
SETTING = re.compile(r"(?P<key>[a-z]\w*): (?P<value>\S.*?)(?:\s+# (?P<meaning>.+))?")
OWN = Tree([configs_directory()])


def options(group: str) -> list[str]:
    """A row for each option, with what `vae-run list` says of it."""
    default = OWN.groups[group].default
    is_published = group == "experiment"
    rows = ["| option | what it is |" + " published |" * is_published, "| --- | --- |" + " --- |" * is_published]
    for name, file in OWN.options(group).items():
        summary = OWN.summary(file).removesuffix("; the default")
        row = f"| {f'**`{name}`** (default)' if name == default else f'`{name}`'} | {_escaped(summary)} |"
        published = Published.of(OWN.body(file), file) if is_published else None
        rows.append(row + f" {_escaped(str(published or ''))} |" * is_published)
    return rows


def settings(path: str) -> list[str]:
    """A row for each setting of a config file, with the comment behind it."""
    rows = ["| setting | default | what it is |", "| --- | --- | --- |"]
    prefix = f"{path.partition('/')[0]}." if "/" in path else ""
    for line in OWN.file(path).read_text(encoding="utf-8").splitlines():
        if match := SETTING.fullmatch(line):
            rows.append(f"| `{prefix}{match['key']}` | `{match['value']}` | {_escaped(match['meaning'] or '')} |")
    return rows


def filled(text: str) -> str:
    """The page with its tables as they must be."""

    def table(match: re.Match[str]) -> str:
        rows = {"options": options, "settings": settings}[match["kind"]](match["name"])
        return "\n".join([f"<!-- {match['kind']} {match['name']} -->", *rows, "<!-- end -->"])

    return TABLE.sub(table, text)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
