"""The benchmarks run: each way of training on a few examples. What they measure is for a quiet machine."""

import importlib.util
import math
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.ended import is_gone
from vae_runner.training.recording import compiled

BENCHMARKS = Path(__file__).parent / "benchmarks"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


@pytest.mark.parametrize(
    "job", ["mlp", *(pytest.param(job, marks=pytest.mark.slow) for job in ("recurrent", "conv32"))]
)
def test_every_way_trains_the_same_network_to_about_the_same_loss(job):
    table = run("benchmark.py", "--jobs", job, "--rounds", "1", "--epochs", "1", "--examples", "1500")
    rows = [line.split("|") for line in table.splitlines() if re.match(r"\| \w", line)]
    names = {row[1].strip() for row in rows}
    assert {"the tutorial's way", "a bare loop", "vae-run train: its steps"} <= names
    losses = [float(row[6]) for row in rows]
    assert max(losses) < 1.1 * min(losses)
    assert all(float(row[2].replace(",", "")) > 0 for row in rows)


def test_the_profile_of_a_step_accounts_for_its_operators():
    table = run("profile_step.py", "data=digits", "architecture.width=8")
    shares = [float(share) for share in re.findall(r"\| ([\d.]+)% \|", table)]
    assert len(shares) >= 5
    assert sum(shares) == pytest.approx(100, abs=1)


def module_of(script: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(script, BENCHMARKS / f"{script}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_recorded_and_compiled_steps_are_timed_beside_plain_ones(capsys, monkeypatch):
    monkeypatch.setattr(compiled, "AFTER", compiled.AFTER)  # which it changes
    monkeypatch.setattr(compiled, "COMPILER", {"backend": "aot_eager"})
    module_of("recorded").main(["architecture.width=8"], rounds=1, seconds=0.01)
    lines = re.findall(r"(\w+) +[\d.]+ ms +[\d.]+ times as fast", capsys.readouterr().out)
    assert lines == ["plain", "recorded", "compiled"]


def test_models_side_by_side_are_scored_by_their_bound_and_their_likelihood():
    module = module_of("pythae_side_by_side")
    x = (torch.rand(60, 1, 28, 28) < 0.5).float()

    def posterior(rows):
        return torch.full((len(rows), 3), 0.5), torch.full((len(rows), 3), math.log(0.5))

    # a decoder that does not look at z: each pixel costs log 2, and the bound lacks the KL of three Gaussians
    found = module.score(posterior, lambda z: torch.full((len(z), 784), 0.5), x)
    exact, kl = -784 * math.log(2), 3 * (0.5 + 0.25 - 1 - math.log(0.5)) / 2
    assert found["elbo"] == pytest.approx(exact - kl, abs=0.05)
    assert found["log_likelihood"] == pytest.approx(exact, abs=0.05)


def commands_of(tmp_path: Path, **scripts: str) -> dict:
    """By name, a command that runs such a script."""

    def command(name: str, number: int) -> list[str]:
        path = tmp_path / f"{name}.py"
        path.write_text(scripts[name])
        return [str(path), str(number)]

    return {name: partial(command, name) for name in scripts}


WORK = """
import sys, time
started = time.perf_counter()
while time.process_time() < {seconds}:
    pass
print("the", sys.argv[1], time.perf_counter() - started)
"""


def test_by_turns_each_command_has_a_clock_that_stands_while_the_others_have_theirs(tmp_path, monkeypatch):
    turns = module_of("turns")
    monkeypatch.setattr(turns, "TURN", 0.1)
    commands = commands_of(tmp_path, long=WORK.format(seconds=0.8), short=WORK.format(seconds=0.4))
    started = time.monotonic()
    ended = list(turns.taking_turns(commands, 1))
    whole = time.monotonic() - started
    clocks = [float(end.output.split()[-1]) for end in ended]
    assert sum(clocks) < whole  # of clocks that go on, each would count the turns of the others as well
    assert {end.name for end in ended} == {"long", "short"}
    of_short = [end for end in ended if end.name == "short"]
    assert [end.output.split()[:2] for end in of_short] == [["the", str(i)] for i in range(len(of_short))]
    assert all(end.memory > 1 for end in ended)


FOREVER = """
import os, time
with open("number.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("number.new", "number")
time.sleep(1000)
"""
FAILING = """
import os, time
while not os.path.exists("number"):
    time.sleep(0.01)
raise ValueError("no such thing")
"""


def test_by_turns_a_command_that_fails_says_why_and_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = commands_of(tmp_path, forever=FOREVER, failing=FAILING)
    with pytest.raises(SystemExit, match="no such thing"):
        list(module_of("turns").taking_turns(commands, 1))
    assert is_gone(lambda: os.kill(int(Path("number").read_text()), 0))
