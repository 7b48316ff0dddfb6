"""`vae-run train` as a user types it: runs, mistakes, signals, resumes."""

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
import yaml

from vae_runner.cli import main

DEBUG = ["trainer=debug", "architecture.width=8", "latent_dim=3"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*args: str) -> int:
    return main(["train", *args])


@pytest.fixture(scope="module")
def completed(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("completed") / "run"
    assert train(*DEBUG, f"hydra.run.dir={directory}") == 0
    return directory


@pytest.fixture
def mine(completed, elsewhere) -> None:
    """A completed run in `mine`."""
    shutil.copytree(completed, "mine")


def refused(capsys, *args: str) -> str:
    """The one line with which a command line is refused, with nothing written."""
    before = sorted(Path().rglob("*"))
    assert train(*args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert "Traceback" not in line
    assert sorted(Path().rglob("*")) == before
    return line


def only_run() -> Path:
    (status,) = Path().rglob("status.json")
    return status.parent


def test_a_run_leaves_the_whole_run_directory(capsys):
    assert train(*DEBUG) == 0
    run = only_run()
    assert run.parts[:3] == ("outputs", "digits", "vae")
    expected = [".hydra/config.yaml", ".hydra/overrides.yaml", ".hydra/hydra.yaml", "config.yaml", "status.json"]
    expected += ["metrics.jsonl", "summary.json", "checkpoints/last.pt", "checkpoints/best.pt", "train.log"]
    assert [name for name in expected if not (run / name).is_file()] == []
    assert {path.name for path in (run / "images").iterdir() if path.is_dir()} == {
        "reconstructions",
        "samples",
        "traversals",
    }
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))
    assert json.loads((run / "status.json").read_text())["state"] == "completed"
    assert str(run) in capsys.readouterr().out


def test_the_saved_config_is_resolved_and_names_its_options():
    assert train(*DEBUG, "variant=beta_vae") == 0
    config = yaml.safe_load((only_run() / "config.yaml").read_text())
    assert config["kl"]["weight"] == 1.5
    assert config["choices"]["variant"] == "beta_vae"
    assert "${" not in yaml.safe_dump(config)


def test_equal_seeds_give_equal_runs_and_others_do_not():
    for directory, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert train(*DEBUG, f"seed={seed}", f"hydra.run.dir={directory}") == 0
    models = [torch.load(f"{d}/checkpoints/last.pt", weights_only=True)["model"] for d in "abc"]
    assert all(torch.equal(models[0][key], models[1][key]) for key in models[0])
    assert not all(torch.equal(models[0][key], models[2][key]) for key in models[0])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["seeed=1"], "seed"),
        (["dataset=mnist"], "data=mnist"),
        (["variant=3"], "variant"),
        (["variant=beta_va"], "beta_vae"),
        (["trainer.batch_size=-1"], "trainer.batch_size=-1"),
        (["trainer.batch_size=abc"], "trainer.batch_size=abc"),
        (["optimizer.lr=0.00025d"], "0.00025d"),
        (["latent_dim=0"], "latent_dim=0"),
        (["latent_dim=100000000"], "latent_dim"),
        (["architecture.width=-4"], "architecture.width=-4"),
        (["kl.weight=-1"], "kl.weight=-1"),
        (["seed=-1"], "seed=-1"),
        (["trainer.device=cuda:7"], "trainer.device=cuda:7"),
        (["trainer.device=gpu"], "trainer.device=gpu"),
        (["posterior=delta"], "prior=mixture"),
        (["variant=ae", "kl.weight=4"], "kl.weight=4"),
        (["variant=ae", "trainer.monitor=elbo"], "monitor"),
        (["architecture=conv", "architecture.depth=6"], "architecture.depth=6"),
        (["kl.weight=[1,2]"], "kl.weight: 2 numbers for 1 level"),
        (["kl.weight=1e300"], "kl.weight=1e300"),
        (["data.validation=0", "trainer.early_stopping=2"], "trainer.early_stopping"),
        (["data.validation=0", "scheduler=plateau"], "scheduler=plateau"),
        (["trainer.batch_size=1", "architecture.normalisation=batch"], "trainer.batch_size=1"),
        (["hydra.run.dir="], "hydra.run.dir is empty"),
        (["resume=nowhere"], "nowhere"),
        (["-m", "resume=nowhere"], "resume"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_line_and_leaves_nothing(capsys, args, said):
    assert said in refused(capsys, *args)


def arrays(tmp_path, **content):
    np.savez(tmp_path / "x.npz", **content)
    return ["data=arrays", f"data.path={tmp_path / 'x.npz'}"]


def test_data_outside_the_support_is_refused_with_the_fix(capsys, tmp_path):
    line = refused(capsys, *arrays(tmp_path, x=np.random.default_rng(0).normal(size=(50, 4))))
    assert "likelihood=gaussian" in line or "data.scale=unit" in line


def test_grey_levels_as_real_values_are_refused_with_both_ways_out(capsys, tmp_path):
    line = refused(capsys, *arrays(tmp_path, x=np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8)).astype(float)))
    assert "type likelihood=gaussian, or data.scale=unit" in line


def test_data_with_nan_is_refused(capsys, tmp_path):
    x = np.ones((50, 4))
    x[3, 2] = np.nan
    assert "NaN" in refused(capsys, *arrays(tmp_path, x=x))


def test_one_example_is_refused(capsys, tmp_path):
    assert "at least 2" in refused(capsys, *arrays(tmp_path, x=np.ones((1, 4))))


def test_a_typo_in_a_file_of_the_user_s_is_refused_with_the_file(capsys, tmp_path):
    (tmp_path / "mine" / "variant").mkdir(parents=True)
    (tmp_path / "mine" / "variant" / "sharp.yaml").write_text("# @package _global_\nkl:\n  wieght: 2.0\n")
    line = refused(capsys, "--config-dir", "mine", "variant=sharp")
    assert "kl.weight" in line
    assert "sharp.yaml" in line


def test_a_variant_of_the_user_s_trains(tmp_path):
    (tmp_path / "mine" / "variant").mkdir(parents=True)
    (tmp_path / "mine" / "variant" / "heavy.yaml").write_text("# @package _global_\nkl:\n  weight: 9.0\n")
    assert train("--config-dir", "mine", "variant=heavy", *DEBUG) == 0
    assert only_run().parts[2] == "heavy"


def test_a_list_of_variants_names_its_directory():
    assert train("variant=[vae,beta_vae]", *DEBUG) == 0
    assert only_run().parts[2] == "vae+beta_vae"


def test_a_directory_that_holds_a_run_is_never_overwritten(capsys, mine):
    before = {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}
    assert "holds a run already (completed)" in refused(capsys, *DEBUG, "hydra.run.dir=mine")
    assert before == {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_cannot_be_written_is_refused(capsys, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot be written" in refused(capsys, *DEBUG, "hydra.run.dir=locked/run")


def test_a_place_that_cannot_be_a_directory_is_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(capsys, *DEBUG, "hydra.run.dir=file/run")


def test_a_completed_run_is_not_resumed_without_more_to_do(capsys, mine):
    assert "the run is completed" in refused(capsys, "resume=mine")
    assert train("resume=mine", "trainer.steps=6") == 0
    assert json.loads(Path("mine/summary.json").read_text())["steps"] == 6


@pytest.mark.parametrize("damage", ["fewer steps", "truncated checkpoint", "lost checkpoint"])
def test_a_refused_resume_leaves_a_completed_run_as_it_was(capsys, mine, damage):
    last = Path("mine/checkpoints/last.pt")
    if damage == "truncated checkpoint":
        last.write_bytes(last.read_bytes()[:1000])
    if damage == "lost checkpoint":
        last.unlink()
    before = {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}
    refused(capsys, "resume=mine", "trainer.steps=2" if damage == "fewer steps" else "trainer.steps=9")
    assert before == {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}


@pytest.mark.parametrize("change", ["latent_dim=5", "variant=beta_vae", "kl.weight=2", "seed=3", "data.limit=50"])
def test_a_resume_as_another_run_is_refused(capsys, mine, change):
    assert change.partition("=")[0] in refused(capsys, "resume=mine", change)


def test_a_resume_stays_where_its_run_is(capsys, mine):
    line = refused(capsys, "resume=mine", "hydra.run.dir=copy", "trainer.steps=6")
    assert line.startswith("vae-run: hydra.run.dir=copy: a run goes on where it is, in mine")


def test_a_resume_of_what_is_no_run_names_its_key(capsys, tmp_path):
    assert refused(capsys, "resume=r/none") == "vae-run: resume=r/none: no such directory"
    (tmp_path / "file").touch()
    assert refused(capsys, "resume=file") == "vae-run: resume=file: is a file; give the directory of a run"
    assert refused(capsys, "resume=.").startswith("vae-run: resume=.: not the directory of a run")


def test_a_saved_config_with_a_target_outside_the_library_is_refused_before_it_is_imported(capsys, mine, tmp_path):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    config = yaml.safe_load(Path("mine/config.yaml").read_text())
    for target in ("evil.Evil", "os.system", "vae_runner.run_directory.os.system", "builtins.exec"):
        config["objective"] = {"_target_": target}
        Path("mine/config.yaml").write_text(yaml.safe_dump(config))
        assert target in refused(capsys, "resume=mine", "trainer.steps=9")
    assert not (tmp_path / "ran").exists()


def start(*args: str, **environment: str) -> subprocess.Popen:
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-m", "vae_runner", "train", *args],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, seconds=90):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "never happened"
        time.sleep(0.05)


LONG = ["trainer.steps=4000", "trainer.validation_steps=500", "trainer.checkpoint_steps=20", "architecture.width=8"]
LONG += ["latent_dim=2", "trainer.log_steps=10", "trainer.batch_size=16", "data.limit=200"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_a_run_that_says_how_to_resume_it(number):
    process = start(*LONG, "hydra.run.dir=mine")
    metrics = Path("mine/metrics.jsonl")
    wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") > 3)
    process.send_signal(number)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "vae-run train resume=mine" in output
    assert json.loads(Path("mine/status.json").read_text())["state"] == "interrupted"
    done = torch.load("mine/checkpoints/last.pt", weights_only=True)["step"]
    assert done < 4000
    assert train("resume=mine", f"trainer.steps={done + 20}") == 0
    assert json.loads(Path("mine/status.json").read_text())["state"] == "completed"


def test_a_killed_run_loses_one_checkpoint_interval_at_most_and_resumes(capsys):
    process = start(*LONG, "hydra.run.dir=mine")
    metrics, last = Path("mine/metrics.jsonl"), Path("mine/checkpoints/last.pt")
    wait_for(lambda: last.exists() and metrics.read_text().count("\n") > 12)
    with pytest.raises(AssertionError, match="2"):
        # another process has it
        assert train("resume=mine") == 0
    assert "another process is writing this run" in capsys.readouterr().err
    process.kill()
    process.wait()
    logged = json.loads(metrics.read_text().splitlines()[-1])["step"]
    done = torch.load(last, weights_only=True)["step"]
    assert done > logged - 20 - 10
    assert train("resume=mine", f"trainer.steps={done + 20}") == 0
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == done + 20


def test_a_broken_run_is_marked_failed_with_its_traceback(monkeypatch, capsys):
    from vae_runner.training.fitting import Fitting

    def broken(self, batch, step):
        raise RuntimeError("the disk caught fire")

    monkeypatch.setattr(Fitting, "step", broken)
    with pytest.raises(RuntimeError):
        train(*DEBUG)
    run = only_run()
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "failed"
    assert "Traceback" in status["error"]
    assert "the disk caught fire" in (run / "train.log").read_text()


def test_a_run_that_is_not_finite_fails_in_one_line(monkeypatch, capsys):
    from vae_runner.training.step import TrainingStep

    original = TrainingStep.gradients

    def poisoned(self, batch, playing):
        batch.x[0] = float("nan")
        return original(self, batch, playing)

    monkeypatch.setattr(TrainingStep, "gradients", poisoned)
    assert train(*DEBUG) == 1
    assert "step 1: the loss is not finite" in capsys.readouterr().out
    assert json.loads((only_run() / "status.json").read_text())["state"] == "failed"


def test_a_disk_that_fills_up_ends_a_run_in_one_line_and_it_resumes(monkeypatch, capsys):
    from vae_runner.training import checkpoint

    def full(path, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_bytes", full)
        assert train(*DEBUG, "hydra.run.dir=mine") == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "No space left on device" in line
    assert "vae-run train resume=mine" in line
    assert json.loads(Path("mine/status.json").read_text())["state"] == "failed"
    assert train("resume=mine") == 0


def test_a_full_disk_is_refused_before_there_is_a_run(monkeypatch, capsys):
    from vae_runner.commands import places

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(places, "write_bytes", full)
    assert train(*DEBUG) == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert not list(Path().rglob("config.yaml"))


def test_ctrl_c_during_the_final_evaluation_interrupts_and_the_resume_completes(monkeypatch):
    from vae_runner.training.fitting import Fitting

    original = Fitting.evaluate

    def interrupted(self, split, most=None):
        if split is self.experiment.data.test:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, split, most)

    assert train(*DEBUG, "hydra.run.dir=whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(Fitting, "evaluate", interrupted)
        assert train(*DEBUG, "hydra.run.dir=mine") == 130
    assert json.loads(Path("mine/status.json").read_text())["state"] == "interrupted"
    assert train("resume=mine") == 0
    summaries = [json.loads(Path(d, "summary.json").read_text()) for d in ("whole", "mine")]
    assert all(summaries[0][split] == summaries[1][split] for split in ("train", "validation", "test", "train_running"))


def test_a_place_is_the_path_that_was_typed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert train(*DEBUG, "hydra.run.dir='~/a run, with = and \\'quotes\\''") == 0
    assert (tmp_path / "home" / "a run, with = and 'quotes'" / ".hydra" / "config.yaml").is_file()
    assert (tmp_path / "home" / "a run, with = and 'quotes'" / "summary.json").is_file()
