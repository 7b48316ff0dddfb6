"""What is imported when: a command waits for nothing that it does not use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

HEAVY = {"torch", "torchvision", "matplotlib", "tensorboard", "sklearn", "scipy", "pandas", "joblib", "submitit", "ray"}
HEAVY |= {"torch._dynamo", "torch._inductor"}  # torch's compiler, which torch's optimizers import

RUN = """
import contextlib, io, json, sys
from vae_runner.cli import main

code = 0
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):  # with which Hydra ends --help
    code = main({arguments!r})
print(json.dumps([code, sorted({heavy!r} & set(sys.modules))]))
"""

TRAIN = """
import contextlib, io, json, sys
from vae_runner.cli import main
from vae_runner.training.fitting import Fitting

seen = {{}}
original = Fitting.step


def step(self, batch, number):
    seen.setdefault("step", sorted({heavy!r} & set(sys.modules)))
    original(self, batch, number)


Fitting.step = step
with contextlib.redirect_stdout(io.StringIO()):
    code = main(["train", "trainer=debug", "architecture.width=8", "hydra.run.dir=run", *{arguments!r}])
print(json.dumps([code, seen["step"], sorted({heavy!r} & set(sys.modules))]))
"""


def run(script: str, directory: Path, *arguments: str, **environment: str) -> list:
    done = subprocess.run(
        [sys.executable, "-c", script.format(arguments=list(arguments), heavy=HEAVY)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("words", ["--help", "list", "list variant", "train --help", "train --cfg job"])
def test_what_only_shows_the_config_imports_no_library(tmp_path, words):
    assert run(RUN, tmp_path, *words.split()) == [0, []]


def test_completion_imports_no_library(tmp_path):
    line = "vae-run train variant=be"
    assert run(RUN, tmp_path, "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line))) == [0, []]


def test_checking_a_config_imports_torch_alone(tmp_path):
    assert run(RUN, tmp_path, "validate") == [0, ["torch"]]


@pytest.mark.parametrize("optimizer", ["adam", "adamax"])
def test_training_begins_before_matplotlib_and_never_needs_scikit_learn_or_torch_s_compiler(tmp_path, optimizer):
    code, at_first_step, at_the_end = run(TRAIN, tmp_path, f"optimizer={optimizer}", "trainer.epochs=3")
    assert code == 0
    assert at_first_step == ["tensorboard", "torch"]
    assert at_the_end == ["matplotlib", "tensorboard", "torch"]


def test_features_to_compare_samples_in_are_trained_without_torch_s_compiler(tmp_path):
    assert run(TRAIN, tmp_path)[0] == 0
    cache = {"VAE_RUNNER_CACHE": str(tmp_path / "cache")}
    code, imported = run(RUN, tmp_path, "evaluate", "run=run", "only=samples", "feature_steps=2", **cache)
    assert code == 0
    assert any((tmp_path / "cache").iterdir())
    assert not {"torch._dynamo", "torch._inductor"} & set(imported)


def test_mnist_is_read_without_torchvision_s_friends(tmp_path, shared_data):
    code, at_first_step, _ = run(TRAIN, tmp_path, "data=mnist", "data.download=false", VAE_RUNNER_DATA=str(shared_data))
    assert code == 0
    assert set(at_first_step) <= {"tensorboard", "torch", "torchvision"}
