"""The documentation holds: its commands and examples run, its links lead somewhere, its tables are those of the config.

The blocks of a section run in order, in an empty directory where `outputs/first` is a finished run. A `vae-run train`
is made short (`trainer=debug`). A block of YAML or Python behind a line that ends in "In `path`:" becomes that file.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from vae_runner.cli import main

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
LANGUAGES = {"bash", "python", "yaml", "text"}

BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<content>.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"In\s+`(?P<path>[\w./-]+)`:\s*\Z")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)
CHOICE = re.compile(r"`(?:vae-run \w+ )?(?P<group>[a-z_]+)=(?P<option>[\w,\[\]]+)`")
SEEDS = re.compile(r"^seed=range\(\d+\)$")
NUMBERS = re.compile(r"^([\w.]+=(?:(?:\[\d+\],){2}\[\d+\]|(?:[\d.]+,){2}[\d.]+)),[\d.,\[\]]+$")

FIRST = "outputs/first"
HERE = "hydra.launcher.n_jobs=1"


def load_tables():
    spec = importlib.util.spec_from_file_location("docs_tables", REPOSITORY / "docs" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = load_tables()
GROUPS = {group: set(TABLES.OWN.options(group)) for group in TABLES.OWN.groups}


@dataclass
class Block:
    """path: of the file it becomes, where it is one. place: page and line, for messages."""

    language: str
    content: str
    path: str | None
    place: str

    def commands(self) -> list[list[str]]:
        """The words of each line that is a command."""
        joined = self.content.replace("\\\n", " ").splitlines()
        return [words for line in joined if (words := shlex.split(line, comments=True))]


@dataclass
class Section:
    name: str
    blocks: list[Block] = field(default_factory=list)

    def makes_first(self) -> bool:
        return any(f"hydra.run.dir={FIRST}" in block.content for block in self.blocks)


def sections(page: Path) -> Iterator[Section]:
    """The parts of a page between headings of the second level that have blocks."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(REPOSITORY).as_posix()
    inside_blocks = [range(*match.span()) for match in BLOCK.finditer(text)]
    heads = [
        match
        for match in re.finditer(r"^##? (?P<title>.+)$", text, re.MULTILINE)
        if not any(match.start() in block for block in inside_blocks)
    ]
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        end = following.start() if following else len(text)
        section = Section(f"{name}: {head['title']}")
        for match in BLOCK.finditer(text, head.end(), end):
            before = FILE.search(text[head.end() : match.start()])
            place = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
            section.blocks.append(Block(match["language"], match["content"], before["path"] if before else None, place))
        if section.blocks:
            yield section


SECTIONS = [section for page in PAGES for section in sections(page)]


def published() -> set[str]:
    """The words of a command line that need the files of a published data set."""
    data = {name for name, file in TABLES.OWN.options("data").items() if "data.published" in file.read_text()}
    words = {f"data={name}" for name in data}
    for name, file in TABLES.OWN.options("experiment").items():
        if any(f"override /data: {option}\n" in file.read_text() for option in data):
            words.add(f"experiment={name}")
    return words


PUBLISHED = published()


def needs_published_data(words: list[str]) -> bool:
    return words[:2] == ["vae-run", "train"] and "--cfg" not in words and not PUBLISHED.isdisjoint(words)


def shortened(words: list[str]) -> list[str]:
    """A training of small networks, of a few steps; of a sweep's numbers the first three, in this process."""
    if {"--cfg", "--help"} & set(words):
        return words
    if any(word.startswith("resume=") for word in words):
        return [re.sub(r"^trainer\.(steps|epochs)=.*", "trainer.steps=6", word) for word in words]
    words = [SEEDS.sub("seed=range(2)", word) for word in words if not word.startswith("trainer.steps=")]
    words = [NUMBERS.sub(r"\1", word) for word in words]
    if not any(word.startswith("hydra.launcher.n_jobs=") for word in words):
        words += [HERE for word in words if word in ("hydra/launcher=joblib", "hydra/launcher=vectorized")]
    if "experiment=beta_sprites" in words:
        words += ["data.limit=500", "data.test=100", "data.validation=100"]
    return [*words, "trainer=debug", "architecture.width=8"]


def run_vae_run(arguments: list[str]) -> None:
    if arguments[0] == "train":
        arguments = shortened(arguments)
    assert main(arguments) == 0, f"vae-run {shlex.join(arguments)}"


def run_make(words: list[str], directory: Path) -> None:
    """`make train` and `make help` for real, the first where the environment is ready; else that make knows the way."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    is_ready = subprocess.run([make, "-q", ".venv/.installed"], cwd=REPOSITORY, env=environment).returncode == 0
    if words[1] == "train" and is_ready:
        words = [*words, f"ARGS=trainer=debug hydra.run.dir={directory / 'made'}"]
    elif words[1] != "help":
        words = [words[0], "-n", *words[1:]]
    done = subprocess.run([make, *words[1:]], cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def run_torchrun(words: list[str], directory: Path) -> None:
    options, arguments = words[1 : words.index("train")], words[words.index("train") :]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", *options, *shortened(arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def run_in_bash(line: str, directory: Path) -> None:
    """A line for the shell itself, with this `vae-run` on its path."""
    program = directory / "bin" / "vae-run"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vae_runner "$@"\n')
    program.chmod(0o755)
    path = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(["bash", "-ec", line], env={**os.environ, **path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def run_command(words: list[str], directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if words[0] == "PYTHONPATH=.":
        monkeypatch.syspath_prepend(str(directory))
        words = words[1:]
    if words[0] == "vae-run":
        run_vae_run(words[1:])
    elif words[0] == "make":
        run_make(words, directory)
    elif words[0] == "torchrun":
        run_torchrun(words, directory)
    else:
        run_in_bash(shlex.join(words) if words[0] != "eval" else f'eval "{words[1]}"', directory)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("documentation") / "first"
    assert main(["train", "trainer=debug", "architecture.width=8", f"hydra.run.dir={directory}"]) == 0
    return directory


@pytest.fixture
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    loaded = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - loaded:
        if name.partition(".")[0] == "my_vae":
            del sys.modules[name]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_the_blocks_of_a_section_run(section, first_run, empty_directory, monkeypatch):
    if not section.makes_first():
        shutil.copytree(first_run, empty_directory / FIRST)
    names: dict[str, object] = {}
    for block in section.blocks:
        if block.path is not None:
            file = empty_directory / block.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.content)
        elif block.language == "bash":
            for words in block.commands():
                if not needs_published_data(words):
                    run_command(words, empty_directory, monkeypatch)
        elif block.language == "python":
            exec(compile(block.content, block.place, "exec"), names)


ON_PUBLISHED_DATA = [
    pytest.param(words, id=f"{block.place} {shlex.join(words)}")
    for section in SECTIONS
    for block in section.blocks
    if block.language == "bash"
    for words in block.commands()
    if needs_published_data(words)
]


@pytest.mark.parametrize("words", ON_PUBLISHED_DATA)
def test_a_command_on_published_data_runs(words, shared_data, empty_directory, monkeypatch):
    monkeypatch.setenv("VAE_RUNNER_DATA", str(shared_data))
    run_command([*words, "data.download=false"], empty_directory, monkeypatch)


def test_every_block_says_its_language():
    assert {block.language for section in SECTIONS for block in section.blocks} <= LANGUAGES


def test_yaml_is_only_shown_as_a_file_that_is_tried():
    assert [
        block.place
        for section in SECTIONS
        for block in section.blocks
        if block.language == "yaml" and (block.path is None or yaml.safe_load(block.content) is None)
    ] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = (match["title"].lower() for match in HEADING.finditer(BLOCK.sub("", page.read_text(encoding="utf-8"))))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    dead = []
    for match in LINK.finditer(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = match["target"].partition("#")
        if ":" in path:
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(match["target"])
    assert dead == []


def test_every_page_is_reached_from_the_readme():
    text = PAGES[0].read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in text] == []


def test_pictures_are_small_and_each_is_shown():
    pictures = sorted((REPOSITORY / "docs" / "pictures").glob("*.png"))
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [picture.name for picture in pictures if f"pictures/{picture.name})" not in text] == []
    assert max(picture.stat().st_size for picture in pictures) < 200_000
    assert sum(picture.stat().st_size for picture in pictures) < 1_000_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_config(page):
    text = page.read_text(encoding="utf-8")
    assert text == TABLES.filled(text), "run: python docs/tables.py"


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_is_documented(group):
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    if f"<!-- options {group} -->" not in text:
        # a group with nothing to choose is described in words
        assert GROUPS[group] <= {"none", "vae"}
        assert re.search(rf"^## .*\b{group}\b", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_named_in_the_text_exist(page):
    text = re.sub(r"`[^`]*\bmine\b[^`]*`", "", BLOCK.sub("", page.read_text(encoding="utf-8")))
    missing = []
    for match in CHOICE.finditer(text):
        if match["group"] in GROUPS and match["option"] not in ("[a,b]",):
            options = match["option"].strip("[]").split(",")
            missing += [f"{match['group']}={option}" for option in options if option not in GROUPS[match["group"]]]
    assert missing == []
