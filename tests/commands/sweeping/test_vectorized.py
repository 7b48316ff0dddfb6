"""`hydra/launcher=vectorized`: what each run of a stack leaves is what an ordinary run leaves."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from vae_runner.cli import main
from vae_runner.commands.sweeping import processes, together
from vae_runner.commands.sweeping.processes import processes_of_stacks
from vae_runner.commands.sweeping.stacks import Together
from vae_runner.run_directory import RunDirectory
from vae_runner.training import beside, checkpoint, fitting
from vae_runner.training.beside import Beside
from vae_runner.training.drawers import drawn_by
from vae_runner.training.fitting import Fitting
from vae_runner.training.stacked import lockstep
from vae_runner.training.stacked.steps import StackedSteps

DEBUG = ["trainer=debug", "architecture.width=8", "latent_dim=3"]
VECTORIZED = "hydra/launcher=vectorized"
HERE = "hydra.launcher.n_jobs=1"  # in this process


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stacked(monkeypatch) -> list[int]:
    """How many runs each stack had."""
    sizes: list[int] = []

    class Noted(StackedSteps):
        def __init__(self, fittings):
            sizes.append(len(fittings))
            super().__init__(fittings)

    monkeypatch.setattr(lockstep, "StackedSteps", Noted)
    return sizes


def sweep(*args: str, launcher: str = VECTORIZED, where: str = "s") -> int:
    here = [HERE] if launcher == VECTORIZED else []
    return main(["train", "-m", launcher, *here, *DEBUG, *args, f"hydra.sweep.dir={where}"])


def rows(where: str = "s") -> list[dict[str, str]]:
    with open(f"{where}/sweep.csv", newline="") as file:
        return list(csv.DictReader(file))


def figures(run: str) -> dict:
    return json.loads(Path(run, "summary.json").read_text())


def shape(value):
    """The keys of nested containers, and the kinds of what they hold."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return getattr(value, "shape", type(value).__name__), getattr(value, "dtype", None)


def at_step(monkeypatch, step: int, action) -> None:
    """Does something after every stacked step of that number."""
    original = StackedSteps.step

    def then(self, indices, now):
        original(self, indices, now)
        if now + 1 == step:
            action(self)

    monkeypatch.setattr(StackedSteps, "step", then)


def test_a_run_leaves_the_files_and_keys_that_an_ordinary_one_leaves(stacked):
    assert sweep("seed=0,1,2") == 0
    assert stacked == [3]
    assert sweep("seed=0,1,2", launcher="hydra/launcher=basic", where="plain") == 0
    for number in range(3):
        ours, theirs = Path("s", str(number)), Path("plain", str(number))
        names = [
            sorted(file.relative_to(run).as_posix() for file in run.rglob("*") if "tfevents" not in file.name)
            for run in (ours, theirs)
        ]
        assert names[0] == names[1]
        assert len(list(ours.glob("tensorboard/events.out.*"))) == 1
        for file in ("status.json", "summary.json"):
            assert shape(json.loads((ours / file).read_text())) == shape(json.loads((theirs / file).read_text()))
        lines = [
            [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (ours, theirs)
        ]
        assert [[*line] for line in lines[0]] == [[*line] for line in lines[1]]
        for file in ("last.pt", "best.pt"):
            states = [checkpoint.load(run / "checkpoints" / file) for run in (ours, theirs)]
            assert shape(states[0]) == shape(states[1])
            assert states[0]["step"] == 4
        assert (ours / "config.yaml").read_text() == (theirs / "config.yaml").read_text()
        log = (ours / "train.log").read_text()
        assert "step 4/4" in log
        assert "job " not in log
    assert len({row["test elbo"] for row in rows()}) == 3


def test_runs_without_noise_come_to_the_figures_they_come_to_one_after_another():
    settings = ["variant=ae", "seed=0,1", "optimizer.lr=1e-3,1e-2"]
    assert sweep(*settings) == 0
    assert sweep(*settings, launcher="hydra/launcher=basic", where="plain") == 0
    for ours, theirs in zip(rows(), rows("plain"), strict=True):
        assert float(ours["test loss"]) == pytest.approx(float(theirs["test loss"]), rel=1e-5)


def test_jobs_that_do_not_stack_run_as_usual_and_it_says_why(capsys, stacked):
    assert sweep("seed=0,1", "kl.free_bits=0,0.1", "trainer.batch_size=32") == 0
    assert sweep("seed=0,1", "architecture.width=8,9", "hydra.launcher.at_once=2", where="two") == 0
    assert sweep("variant=rae_gp,factor_vae", "seed=0,1", where="refused") == 0
    assert stacked == [2, 2, 2, 2]
    output = capsys.readouterr().out
    assert "jobs 0, 2 are trained as one" in output
    assert "jobs 1, 3 are trained as one" in output
    assert "job 0 goes by itself: it takes a gradient within the step" in output
    assert "job 2 goes by itself: its objective has several players" in output
    assert {row["state"] for row in (*rows(), *rows("two"), *rows("refused"))} == {"completed"}


@pytest.mark.parametrize(
    ("typed", "said"),
    {
        ("latent_dim=2,3",): [
            "job 0 goes by itself: latent_dim=2, which is 3 in job 1",
            "job 1 goes by itself: latent_dim=3, which is 2 in job 0",
        ],
        ("likelihood=bernoulli,gaussian",): [
            "job 0 goes by itself: likelihood=bernoulli, which is gaussian in job 1",
            "job 1 goes by itself: likelihood=gaussian, which is bernoulli in job 0",
        ],
        ("variant=vae,ae", "prior=mixture"): [
            "job 0 goes by itself: posterior=gaussian, which is delta in job 1",
            "job 1 goes by itself: posterior=delta, which is gaussian in job 0",
        ],
        ("kl=constant,linear", "kl.capacity=null,3", "seed=0"): [
            "jobs 0, 2 are trained as one",
            "jobs 1, 3 are trained as one",
        ],
        ("kl.capacity=3,null",): [
            "job 0 goes by itself: kl.capacity=3, which is null in job 1",
            "job 1 goes by itself: kl.capacity=null, which is 3 in job 0",
        ],
        ("objective=importance_weighted", "objective.samples=2,3"): [
            "job 0 goes by itself: objective.samples=2, which is 3 in job 1",
            "job 1 goes by itself: objective.samples=3, which is 2 in job 0",
        ],
        ("kl.weight=[1,2],[1,3]",): [],
    }.items(),
)
def test_why_jobs_do_not_stack_is_said_as_it_is_typed(capsys, monkeypatch, typed, said):
    monkeypatch.setattr(together, "run_here", lambda *_: None)  # what goes by itself is not trained here
    sweep(*typed)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "goes by itself" in line or "as one" in line] == said


def test_nothing_is_said_to_be_trained_where_nothing_is_left_to_train(capsys, stacked):
    assert sweep("seed=0,1", "trainer.steps=3") == 0
    assert main(["train", "resume=s/0", "trainer.steps=6"]) == 0
    assert main(["train", "resume=s/1", "trainer.steps=6"]) == 0
    assert stacked == [2]
    capsys.readouterr()
    assert sweep("seed=0,1", "trainer.steps=3") == 0
    said = capsys.readouterr().out
    assert stacked == [2]
    assert "trained as one" not in said
    assert said.count("left as it was completed, with trainer.steps=6") == 2


def test_no_more_jobs_are_stacked_than_was_said(stacked):
    assert sweep("seed=range(5)", "hydra.launcher.at_once=3") == 0
    assert stacked == [3, 2]


def test_of_networks_that_would_not_stay_in_the_cache_fewer_are_stacked(stacked, monkeypatch):
    # weights, gradients and two moments of 64-8-8-(2 x 3) and 3-8-8-64, in bytes
    monkeypatch.setattr("vae_runner.commands.sweeping.stacks.CACHED", 3 * 4 * 4 * 1326)
    assert sweep("seed=range(6)") == 0
    assert stacked == [3, 3]
    assert sweep("seed=range(4)", "hydra.launcher.at_once=4", where="said") == 0
    assert stacked == [3, 3, 4]


def test_a_job_with_a_mistake_fails_by_itself(capsys):
    assert sweep("seed=0,1", "kl.weight=1,[1,2]") == 1
    assert [row["state"] for row in rows()] == ["completed", "failed", "completed", "failed"]
    assert "kl.weight: 2 numbers for 1 level" in capsys.readouterr().out


def test_a_run_that_breaks_down_leaves_the_others_alone(monkeypatch, stacked):
    def blow_up(steps):
        (fitting,) = [fitting for fitting in steps.fittings if fitting.experiment.seed == 1]
        for parameter in fitting.experiment.model.parameters():
            parameter.data.fill_(float("nan"))

    at_step(monkeypatch, 2, blow_up)
    assert sweep("seed=0,1,2", "trainer.log_steps=1", "trainer.validation_steps=4") == 1
    assert [row["state"] for row in rows()] == ["completed", "failed", "completed"]
    assert stacked == [3, 2]
    log = Path("s/1/train.log").read_text()
    assert "step 3: the loss is not finite" in log
    assert "not finite" not in Path("s/0/train.log").read_text()


def test_a_run_that_stops_early_leaves_the_others_to_go_on(monkeypatch, stacked):
    original = Fitting._compare

    def worse(self, done, value):
        original(self, done, value if self.experiment.seed != 1 else 1000.0 + done)

    monkeypatch.setattr(Fitting, "_compare", worse)
    settings = ["trainer.steps=6", "trainer.validation_steps=2", "trainer.early_stopping=1"]
    assert sweep("seed=0,1", "kl.weight=1", *settings) == 0
    assert [figures(f"s/{number}")["steps"] for number in (0, 1)] == [6, 4]
    assert stacked == [2]


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_interrupts_every_run_and_the_same_command_goes_on(monkeypatch, capsys, stacked, signals):
    def interrupt(steps):
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGINT)

    settings = ["seed=0,1,2", "trainer.checkpoint_steps=1"]
    with monkeypatch.context() as patch:
        at_step(patch, 2, interrupt)
        assert sweep(*settings) == 130
    assert [row["state"] for row in rows()] == ["interrupted"] * 3
    done = [checkpoint.load(RunDirectory(f"s/{number}").last) for number in range(3)]
    assert {state["step"] for state in done} == {3 - signals}
    assert len({state["random"]["cpu"].numpy().tobytes() for state in done}) == 3
    assert "hydra.sweep.dir='s'" in capsys.readouterr().out

    # one by hand, the others by the same command
    assert main(["train", "resume=s/1"]) == 0
    assert sweep(*settings) == 0
    assert [row["state"] for row in rows()] == ["completed"] * 3
    assert [figures(f"s/{number}")["steps"] for number in range(3)] == [4, 4, 4]
    assert stacked == [3, 2]
    steps = [json.loads(line)["step"] for line in Path("s/0/metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert "completed before, skipped" in capsys.readouterr().out


def test_a_run_that_left_a_stack_ends_where_an_ordinary_one_does(monkeypatch):
    with monkeypatch.context() as patch:
        at_step(patch, 2, lambda steps: os.kill(os.getpid(), signal.SIGINT))
        assert sweep("variant=ae", "seed=0,1") == 130
    assert main(["train", "resume=s/1"]) == 0
    assert sweep("variant=ae", "seed=1", launcher="hydra/launcher=basic", where="plain") == 0
    ends = [checkpoint.load(RunDirectory(run).last) for run in ("s/1", "plain/0")]
    for name, tensor in ends[1]["model"].items():
        if not name.startswith("prior."):  # which is fitted to the codes, from where it was
            torch.testing.assert_close(ends[0]["model"][name], tensor, rtol=1e-3, atol=1e-5)
    assert shape(ends[0]["optimizers"]) == shape(ends[1]["optimizers"])


def test_a_wrong_number_of_jobs_is_refused_before_anything_begins(capsys, tmp_path):
    assert sweep("seed=0,1", "hydra.launcher.at_once=1") == 2
    assert "hydra.launcher.at_once=1: must be a number of jobs, from 2, or null" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_options_of_the_users_own_stack_too(stacked, tmp_path):
    own = tmp_path / "own" / "variant"
    own.mkdir(parents=True)
    (own / "light.yaml").write_text("# @package _global_\nkl:\n  weight: 0.1\n")
    assert sweep("variant=vae,light", "seed=0,1", "--config-dir", str(tmp_path / "own")) == 0
    assert stacked == [4]


def test_processes_share_the_jobs_and_each_trains_its_own_as_one(capfd):
    jobs = ["seed=0,1", "kl.weight=1,[1,2]", "optimizer.lr=1e-3,1e-4"]
    assert main(["train", "-m", VECTORIZED, "hydra.launcher.n_jobs=2", *DEBUG, *jobs, "hydra.sweep.dir=s"]) == 1
    found = {row["job"]: row["state"] for row in rows()}
    failed = [job for job, row in zip(found, rows(), strict=True) if row["kl.weight"] != "1"]
    assert {job for job, state in found.items() if state == "failed"} == {*failed}
    assert len(failed) == 4
    assert {*found.values()} == {"completed", "failed"}
    processes = {json.loads(Path("s", job, "status.json").read_text())["pid"] for job in found}
    assert len(processes) <= 2  # one that is done before the other has begun takes its share as well
    assert os.getpid() not in processes
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].endswith("in 2 processes")
    assert sum("are trained as one" in line for line in lines) == 2
    for job in found:
        (last,) = [line for line in lines if line.startswith(f"job {job}: ")][-1:]
        assert ("2 numbers for 1 level" if job in failed else "done in") in last


@pytest.mark.parametrize(
    ("typed", "jobs", "device", "processes"),
    [(None, 16, "cpu", 2), (None, 3, "cpu", 1), (None, None, "cpu", 1), (1, 16, "cpu", 1), (2, 16, "cpu", 2)],
)
def test_a_process_has_two_jobs_at_least_unless_it_is_said_otherwise(monkeypatch, typed, jobs, device, processes):
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    assert processes_of_stacks({"at_once": 16, "n_jobs": typed}, device, jobs) == processes


@pytest.mark.parametrize(
    ("jobs", "cores", "gpus", "visible", "shared_by"),
    [
        *((7, 16, 1, None, 1), (16, 16, 1, None, 2), (64, 16, 1, None, 4), (200, 16, 1, None, 4), (64, 2, 1, None, 2)),
        *(
            (64, 16, 0, None, 4),
            (64, 16, 8, None, 8),
            (16, 16, 8, None, 2),
            (64, 16, 8, "3", 4),
            (200, 64, 8, "3,5", 8),
        ),
    ],
)
def test_processes_that_share_a_gpu_have_eight_jobs_at_least_and_four_share_one_at_most(
    monkeypatch, tmp_path, jobs, cores, gpus, visible, shared_by
):
    for number in range(gpus):
        (tmp_path / f"gpu{number}").touch()
    monkeypatch.setattr(processes, "EACH_GPU", str(tmp_path / "gpu[0-9]*"))
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    monkeypatch.setattr("joblib.effective_n_jobs", lambda n: cores)
    monkeypatch.setattr("vae_runner.training.device.choose_device", torch.device)
    assert processes_of_stacks({"at_once": 16, "n_jobs": None}, "cuda", jobs) == shared_by


def test_a_gpu_is_one_that_is_there_and_seen_and_that_torch_was_built_for(monkeypatch, tmp_path):
    settings = {"at_once": None, "n_jobs": None}
    there, absent = (str(tmp_path),), (str(tmp_path / "none"),)
    built = {"gpus": ["libtorch_cpu.so", "libtorch_cuda.so"], "cpus": ["libtorch_cpu.so"], "elsewhere": []}
    torch_for_gpus, torch_for_cpus, torch_elsewhere = (tmp_path / name / "__init__.py" for name in built)
    for name, libraries in built.items():
        (tmp_path / name / "lib").mkdir(parents=True)
        for library in libraries:
            (tmp_path / name / "lib" / library).touch()
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    monkeypatch.setattr(processes.sys, "platform", "linux")
    for variable in processes.VISIBLE_DEVICES:
        monkeypatch.delenv(variable, raising=False)

    def shared_by(devices, torch_file, visible=None):
        monkeypatch.setattr(processes, "GPU_DEVICES", devices)
        monkeypatch.setattr(processes, "find_spec", lambda name: SimpleNamespace(origin=str(torch_file)))
        with monkeypatch.context() as environment:
            if visible is not None:
                environment.setenv("CUDA_VISIBLE_DEVICES", visible)
            return processes_of_stacks(settings, "auto", 8)

    of_a_gpu, of_cores = 1, 2
    assert shared_by(there, torch_for_gpus) == of_a_gpu
    assert shared_by(there, torch_for_gpus, visible="0") == of_a_gpu
    for hidden in ("", " ", "-1", "-1,0", "none", "NoDevFiles"):
        assert shared_by(there, torch_for_gpus, visible=hidden) == of_cores
    assert shared_by(there, torch_for_gpus, visible="GPU-4b0b1d33,1") == of_a_gpu
    assert shared_by(there, torch_for_cpus) == of_cores
    assert shared_by(there, torch_elsewhere) == of_a_gpu
    assert shared_by(absent, torch_for_gpus) == of_cores


def test_how_many_processes_there_are_is_known_before_torch_is_imported():
    code = """
import sys
from vae_runner.commands.sweeping import processes
processes.GPU_DEVICES = ("/",)
print(processes.processes_of_stacks({"at_once": None, "n_jobs": None}, "auto", 16), "torch" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said[1] == "False"


@pytest.mark.parametrize(
    ("device", "runs", "processes", "drawing"),
    [
        ("cpu", 64, 1, 0),
        ("cuda", 8, 1, 4),
        ("cuda", 16, 4, 3),
        ("cuda", 64, 1, 15),
        ("cuda", 16, 16, 0),
        ("cuda", 16, 20, 0),
    ],
)
def test_on_a_gpu_the_cores_that_training_leaves_draw_for_two_runs_each(monkeypatch, device, runs, processes, drawing):
    monkeypatch.setattr(together, "cores", lambda: 16)
    part = Together([None] * runs, [SimpleNamespace(device=torch.device(device))] * runs)
    assert together._drawers(part, processes) == drawing


def test_runs_whose_pictures_are_drawn_in_other_processes_leave_what_they_leave_without(monkeypatch, figures_drawn):
    assert sweep("seed=0,1,2,3", where="here") == 0
    monkeypatch.setattr(fitting, "Beside", lambda device: Beside(torch.device("cuda")))
    monkeypatch.setattr(together, "_drawers", lambda part, processes: 2)
    drawn_in = []
    monkeypatch.setattr(beside, "drawn_by", lambda drawing: drawn_in.append(drawn_by(os.getpid)()) or drawn_by(drawing))
    assert sweep("seed=0,1,2,3", where="elsewhere") == 0
    assert len({*drawn_in}) == 2
    assert os.getpid() not in drawn_in
    assert pictures_of("elsewhere") == pictures_of("here")


def pictures_of(where: str) -> dict[str, bytes]:
    return {str(file.relative_to(where)): file.read_bytes() for file in Path(where).rglob("*.png")}


def test_processes_that_cannot_be_are_refused(capsys, tmp_path):
    assert main(["train", "-m", VECTORIZED, "hydra.launcher.n_jobs=0", *DEBUG, "seed=0,1", "hydra.sweep.dir=s"]) == 2
    assert "hydra.launcher.n_jobs=0: must be a number of processes" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
