"""A run is the same to the bit whether its examples lie in memory or on disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from tests.helpers import QUICK, fit
from tests.training.test_resume import Stopped, assert_equal, stop_at, what_is_left
from vae_runner.cli import main
from vae_runner.run_directory import RunDirectory
from vae_runner.training.fitting import Fitting

RUN = [*QUICK, "trainer.epochs=3", "trainer.validation_epochs=1", "kl=linear", "kl.length=3", "data.channels=1"]
RUN += ["data.binarize=stochastic", "corruption=mask_random", "architecture.dropout=0.1", "data=images"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """300 digits as image files, in a folder for each class."""
    root = tmp_path_factory.mktemp("digits")
    found = load_digits()
    for i, (image, label) in enumerate(zip(found.images[:300], found.target[:300], strict=True)):
        (root / str(label)).mkdir(exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).save(root / str(label) / f"{i}.png")
    return root


def in_memory(root: Path) -> list[str]:
    return [*RUN, f"data.path={root}", "data.in_memory=true"]


def on_disk(root: Path, workers: int) -> list[str]:
    return [*RUN, f"data.path={root}", "data.in_memory=false", f"data.workers={workers}"]


@pytest.mark.parametrize("more", [[], ["variant=cvae"], ["variant=ss_vae", "data.labels=40"]], ids=lambda m: str(m[:1]))
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_is_the_same_wherever_its_examples_lie(tmp_path, digits, more, workers):
    fit(tmp_path / "memory", *in_memory(digits), *more)
    fit(tmp_path / "disk", *on_disk(digits, workers), *more)
    for one, other in zip(what_is_left(tmp_path / "memory"), what_is_left(tmp_path / "disk"), strict=True):
        assert_equal(one, other)


def test_a_run_that_is_killed_goes_on_from_disk_to_the_same_bits(tmp_path, digits, monkeypatch):
    fit(tmp_path / "memory", *in_memory(digits))
    with monkeypatch.context() as patch:
        stop_at(patch, 6)
        with pytest.raises(Stopped):
            fit(tmp_path / "disk", *on_disk(digits, 2), "trainer.checkpoint_steps=5")
    fit(tmp_path / "disk", *on_disk(digits, 1), resume=True)
    for one, other in zip(what_is_left(tmp_path / "memory"), what_is_left(tmp_path / "disk"), strict=True):
        assert_equal(one, other)


def test_a_run_may_go_on_with_its_examples_elsewhere(tmp_path, digits):
    run = ["train", *on_disk(digits, 0), f"hydra.run.dir={tmp_path}/run"]
    assert main([*run, "trainer.epochs=1"]) == 0
    assert main(["train", f"resume={tmp_path}/run", "trainer.epochs=2", "data.in_memory=true"]) == 0


def test_an_image_that_is_gone_ends_the_run_in_one_line_and_back_again_it_goes_on(
    tmp_path, digits, capsys, monkeypatch
):
    path = shutil.copytree(digits, tmp_path / "digits")
    file = sorted(path.glob("1/*.png"))[3]
    content = file.read_bytes()
    monkeypatch.setattr(Fitting, "begin_epoch", lambda self: file.unlink())
    run = [*on_disk(path, 2), "data.validation=0", "data.test=0", f"hydra.run.dir={tmp_path}/run"]
    assert main(["train", *run]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{file}: No such file or directory; once that is mended: vae-run train resume=" in line
    assert RunDirectory(tmp_path / "run").status()["state"] == "failed"
    file.write_bytes(content)
    monkeypatch.undo()
    assert main(["train", f"resume={tmp_path}/run"]) == 0
    assert RunDirectory(tmp_path / "run").status()["state"] == "completed"


def test_ctrl_c_at_a_terminal_ends_a_run_that_reads_from_disk_and_it_goes_on(tmp_path, digits):
    """The signal goes to all processes of the group, those that read ahead among them."""
    run = [*on_disk(digits, 2), "trainer.epochs=4000", "trainer.validation_epochs=1000", "trainer.checkpoint_epochs=50"]
    process = subprocess.Popen(
        [sys.executable, "-m", "vae_runner", "train", *run, f"hydra.run.dir={tmp_path}/run"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    metrics, limit = tmp_path / "run" / "metrics.jsonl", time.monotonic() + 90
    while not (metrics.exists() and metrics.read_text().count("\n") > 3):
        assert time.monotonic() < limit
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "vae-run train resume=" in output
    done = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)["step"]
    assert main(["train", f"resume={tmp_path}/run", "trainer.epochs=null", f"trainer.steps={done + 5}"]) == 0


def test_commands_say_the_same_of_a_run_wherever_its_examples_lie(tmp_path, digits, capsys):
    written = []
    for name, where in (("memory", in_memory(digits)), ("disk", on_disk(digits, 0))):
        run = tmp_path / name
        assert main(["train", *where, "trainer.epochs=1", "corruption=none", f"hydra.run.dir={run}"]) == 0
        assert main(["encode", f"run={run}", f"out={run}.npz"]) == 0
        assert main(["evaluate", f"run={run}", "only=bound,likelihood,latents", "samples=20"]) == 0
        figures = json.loads((run / "evaluation.json").read_text())
        written.append(({name: torch.from_numpy(x) for name, x in np.load(f"{run}.npz").items()}, figures))
    assert_equal(written[0], written[1])
