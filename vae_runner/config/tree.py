"""The files of a config tree: groups, their options, what each says of itself, and where a setting stands.

Reads the files alone: no Hydra, so that `vae-run list` and `--help` answer at once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vae_runner.errors import UserError

PRIMARY = "train"
RECIPES = ("variant", "experiment")  # groups that set others and have no node of their own

_DEFAULT = re.compile(r"^\s*-\s*(?P<group>[a-z_]+):\s*(?P<option>[\w\[\], -]+?)\s*(?:#\s*(?P<summary>.*))?$")


def configs_directory() -> Path:
    """The config tree that came with this installation: packed in the wheel, else the checkout's."""
    package = Path(__file__).parents[1]
    packed = package / "configs"
    return packed if packed.is_dir() else package.parent / "configs"


def place(file: Path, line: int | None = None) -> str:
    """` (file, line n)`, the file as seen from here."""
    here = Path.cwd()
    shown = file.relative_to(here) if file.is_relative_to(here) else file
    return f" ({shown}, line {line})" if line else f" ({shown})"


@dataclass(frozen=True)
class Group:
    """A line of the defaults list: the group, the option it starts with, and what it decides."""

    name: str
    default: str
    summary: str


class Tree:
    """Config directories, searched in order; the first must hold `train.yaml`."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self.directories = list(directories)

    @classmethod
    def of(cls, config_dir: str | Path | None = None, primary: Path | None = None) -> "Tree":
        """The packed tree (or `primary`), then the user's own directory."""
        directories = [primary or configs_directory()]
        if config_dir is not None:
            if not Path(config_dir).is_dir():
                raise UserError(f"--config-dir {config_dir}: there is no such directory")
            directories.append(Path(config_dir).resolve())
        return cls(directories)

    @cached_property
    def groups(self) -> dict[str, Group]:
        """The groups of the defaults list of `train.yaml`, in its order."""
        found = {}
        lines = self.file(PRIMARY).read_text(encoding="utf-8").splitlines()
        for line in lines[lines.index("defaults:") + 1 :]:
            if line.strip() and not line.startswith((" ", "-", "#")):
                break
            if match := _DEFAULT.match(line):
                found[match["group"]] = Group(match["group"], match["option"], match["summary"] or "")
        return found

    @cached_property
    def nodes(self) -> list[str]:
        """The groups that have a node in the config."""
        return [group for group in self.groups if group not in RECIPES]

    @cached_property
    def top_level(self) -> list[str]:
        """The keys of `train.yaml` itself."""
        lines = self.file(PRIMARY).read_text(encoding="utf-8").splitlines()
        keys = [line.partition(":")[0] for line in lines if re.match(r"[a-z_]+:", line)]
        return [key for key in keys if key not in ("defaults", "hydra")]

    def is_group(self, name: str) -> bool:
        return bool(name) and any((directory / name).is_dir() for directory in self.directories)

    def options(self, group: str) -> dict[str, Path]:
        """The options of a group by name, with their files."""
        found: dict[str, Path] = {}
        for directory in reversed(self.directories):
            found.update({file.stem: file for file in (directory / group).glob("*.yaml")})
        return dict(sorted(found.items()))

    def groups_with(self, option: str) -> list[str]:
        """The groups that have an option of that name."""
        return [group for group in self.groups if option in self.options(group)]

    def file(self, config_path: str) -> Path:
        """The file of `group/option`, or of the primary config."""
        for directory in self.directories:
            if (file := directory / f"{config_path}.yaml").is_file():
                return file
        raise UserError(f"{config_path}.yaml: not found in {' or '.join(map(str, self.directories))}")

    def place_of(self, pattern: str) -> str:
        """Where a regular expression matches, as ` (file, line n)`, or nothing: for errors that do not say where."""
        for directory in self.directories:
            for file in sorted(directory.rglob("*.yaml")):
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
                for number, line in enumerate(lines, start=1):
                    if re.search(pattern, line):
                        return place(file, number)
        return ""

    @staticmethod
    def body(file: Path) -> dict[str, Any]:
        """What an option sets. Raises UserError where the file is not YAML."""
        import yaml  # which most answers do without

        try:
            body = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: not readable as YAML ({str(error).splitlines()[0]})") from error
        return body if isinstance(body, dict) else {}

    @staticmethod
    def summary(file: Path) -> str:
        """The line an option says of itself: its first comment (after `# @package`)."""
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                if not line.startswith("#"):
                    break
                if not line.lstrip("# ").startswith("@"):
                    return line.lstrip("#").strip()
        return ""
