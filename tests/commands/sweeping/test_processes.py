"""Sweeps whose jobs run in other processes: joblib's, submitit's and Ray's."""

import csv
import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hydra.core.config_store import ConfigStore

from tests.ended import is_gone
from vae_runner.cli import main
from vae_runner.commands.sweeping import processes, worker
from vae_runner.commands.sweeping.launch import Launch
from vae_runner.commands.sweeping.processes import processes_for, threads_for
from vae_runner.config import compose
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.training import checkpoint

REPOSITORY = Path(__file__).parents[3]
DEBUG = ["trainer=debug", "architecture.width=8"]
LONG = [*DEBUG, "trainer.steps=1000", "trainer.log_steps=10", "trainer.validation_steps=1000"]
PARALLEL = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


def has_plugin(name: str) -> bool:
    return find_spec("hydra_plugins") is not None and find_spec(f"hydra_plugins.{name}") is not None


needs_joblib = pytest.mark.skipif(not has_plugin("hydra_joblib_launcher"), reason="hydra-joblib-launcher not installed")
needs_submitit = pytest.mark.skipif(
    not has_plugin("hydra_submitit_launcher"), reason="hydra-submitit-launcher not installed"
)
needs_ray = pytest.mark.skipif(not has_plugin("hydra_ray_launcher"), reason="hydra-ray-launcher not installed")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sweep(*args: str) -> int:
    return main(["train", "-m", *args, "hydra.sweep.dir=s"])


def states() -> list[str]:
    with open("s/sweep.csv", newline="") as file:
        return [row["state"] for row in csv.DictReader(file)]


def status(job: int) -> dict:
    return json.loads(Path(f"s/{job}/status.json").read_text())


@needs_joblib
@pytest.mark.parametrize(
    ("asked", "processes", "threads"),
    [(None, 2, 1), ("1", 2, 1), ("2", 2, 2), ("3", 2, 3), ("16", 2, 4), ("16", 8, 1), ("16", 20, 1), ("3,2", 2, 3)],
)
def test_processes_together_have_no_more_threads_than_there_are_cores(monkeypatch, asked, processes, threads):
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads_for(processes) == threads


@needs_joblib
@pytest.mark.parametrize("launcher", ["joblib", "vectorized"])
def test_processes_that_start_while_a_sweep_is_checked_take_its_jobs(launcher, monkeypatch):
    begun = []

    def looked_at(*arguments):
        deadline = time.monotonic() + 30
        while len(multiprocessing.active_children()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        begun.extend(process.pid for process in multiprocessing.active_children())

    monkeypatch.setattr("vae_runner.commands.sweeping.sweep._refuse_if_nothing_can_run", looked_at)
    assert sweep("seed=0,1,2,3", f"hydra/launcher={launcher}", "hydra.launcher.n_jobs=2", *DEBUG) == 0
    assert {status(job)["pid"] for job in range(4)} == {*begun}


@needs_joblib
def test_processes_of_a_sweep_that_is_refused_are_gone(capfd):
    assert sweep("seed=0,1", "latent_dim=-1", *PARALLEL, *DEBUG) == 2
    assert multiprocessing.active_children() == []
    assert len(capfd.readouterr().err.splitlines()) == 1


@needs_joblib
def test_processes_start_beforehand_but_for_a_sweep_that_is_there(monkeypatch):
    begun = []
    monkeypatch.setattr(processes, "_start", lambda *arguments: begun.append(arguments))
    assert sweep("seed=0,1", *PARALLEL, *DEBUG) == 0
    assert len(begun) == 1
    assert sweep("seed=0,1", *PARALLEL, *DEBUG) == 0
    assert len(begun) == 1


@needs_joblib
def test_processes_that_are_not_the_sweeps_own_outlive_one_that_is_refused():
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(30,))
    other.start()
    try:
        assert sweep("seed=0,1", "latent_dim=-1", *PARALLEL, *DEBUG) == 2
        assert other.is_alive()
    finally:
        other.kill()
        other.join()


@needs_joblib
def test_jobs_run_in_processes_of_one_thread_and_print_whole_lines_and_what_fails_says_so_once(capfd, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    # `ae` has no KL to weigh: its job fails
    assert sweep("variant=vae,ae", "seed=0,1", "kl.weight=2", *PARALLEL, *DEBUG) == 1
    assert states() == ["completed", "completed", "failed", "failed"]
    assert "kl.weight=2" in status(2)["error"]
    processes = {status(job)["pid"] for job in range(4)}
    assert len(processes) <= 2
    assert os.getpid() not in processes
    assert {status(job)["threads"] for job in range(4)} == {1}
    output = capfd.readouterr()
    assert [word for word in ("Error executing job", "Traceback") if word in output.out + output.err] == []
    lines = output.out.splitlines()
    assert lines[0].endswith("2 at a time")
    told = [line for line in lines if line.startswith("job ") and not line.startswith("job  ")]
    assert [line for line in lines[1:] if not line.startswith(("job ", "  ", "──", "in s"))] == []
    for job in range(4):
        mine = [line for line in told if line.startswith(f"job {job}: ")]
        assert "kl.weight=2" in mine[0]
        assert ("done in" if job < 2 else "error: ") in mine[-1]
        assert sum("error: " in line for line in mine) == (job >= 2)
        assert (", validation loss " in mine[-1]) == (job < 2)
    assert "steps/s" not in "".join(told)
    assert "steps/s" in Path("s/0/train.log").read_text()


def start(*args: str, launcher: list[str] = PARALLEL, settings: list[str] = LONG) -> subprocess.Popen:
    """The sweep as a user starts it in a terminal: a group of processes of its own."""
    command = [sys.executable, "-m", "vae_runner", "train", "-m", *args, "hydra.sweep.dir=s", *launcher, *settings]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_steps(*jobs: int) -> None:
    deadline = time.monotonic() + 60
    while not all(Path(f"s/{job}/metrics.jsonl").is_file() for job in jobs):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def group_is_empty(group: int) -> bool:
    return is_gone(lambda: os.killpg(group, 0))


@needs_joblib
def test_ctrl_c_while_processes_start_is_told_in_lines_and_not_in_tracebacks():
    stacks = ["hydra/launcher=vectorized", "hydra.launcher.n_jobs=2"]
    process = start("seed=range(6)", launcher=stacks)
    assert process.stdout is not None
    assert process.stdout.readline().endswith("in 2 processes\n")
    time.sleep(0.7)  # into the imports of the processes, or wherever they are by then
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "ending; every run stops after the step in hand" in output


@needs_joblib
def test_ctrl_c_interrupts_every_run_and_the_same_command_does_the_rest():
    process = start("seed=0,1,2")
    wait_for_steps(0, 1)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert states() == ["interrupted", "interrupted", "pending"]
    assert "Traceback" not in printed
    assert group_is_empty(process.pid)
    done = [RunDirectory(f"s/{job}") for job in (0, 1)]
    assert all(run.last.is_file() for run in done)
    assert sweep("seed=0,1,2", *PARALLEL, *LONG) == 0
    assert states() == ["completed"] * 3
    for run in done:
        steps = [line["step"] for line in run.read_metrics() if line["split"] == "train"]
        assert steps == [1, *range(10, 1001, 10)]


def test_ctrl_c_interrupts_every_run_of_every_stack_and_the_same_command_does_the_rest():
    stacks = ["hydra/launcher=vectorized", "hydra.launcher.n_jobs=2", "hydra.launcher.at_once=2"]
    process = start("seed=range(6)", launcher=stacks)
    wait_for_steps(0, 1, 2, 3)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert states() == ["interrupted"] * 4 + ["pending"] * 2
    assert "Traceback" not in printed
    assert group_is_empty(process.pid)
    assert all(RunDirectory(f"s/{job}").last.is_file() for job in range(4))
    assert sweep("seed=range(6)", *stacks, "hydra.launcher.n_jobs=1", *LONG) == 0
    assert states() == ["completed"] * 6


@needs_joblib
def test_a_process_that_the_system_kills_is_told_of_in_one_line():
    process = start("seed=0,1")
    wait_for_steps(0, 1)
    os.kill(status(0)["pid"], signal.SIGKILL)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1, printed
    assert states() == ["killed", "killed"]
    assert "hydra.launcher.n_jobs=1" in printed
    assert "Traceback" not in printed


@needs_joblib
def test_where_the_first_process_is_killed_the_runs_in_hand_end_as_interrupted_and_no_process_stays():
    process = start("seed=0,1,2", settings=[*LONG, "trainer.steps=100000"])
    wait_for_steps(0, 1)
    process.kill()
    process.communicate(timeout=60)  # until nobody has its output any more
    assert group_is_empty(process.pid)
    assert [RunDirectory(f"s/{job}").state() for job in range(3)] == ["interrupted", "interrupted", "none"]


@needs_joblib
def test_jobs_that_take_longer_than_the_launcher_waits_are_told_of_in_one_line(capfd):
    assert sweep("seed=0,1", *PARALLEL, "hydra.launcher.timeout=0.01", *DEBUG) == 1
    assert "hydra.launcher.timeout=0.01: a job took longer" in capfd.readouterr().out


@needs_joblib
def test_a_process_that_is_told_to_end_before_it_has_a_job_interrupts_the_sweep(monkeypatch, capfd):
    start_all = processes._start

    def start_and_end(*arguments):
        start_all(*arguments)
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGTERM)

    monkeypatch.setattr(processes, "_start", start_and_end)
    assert sweep("seed=0,1", *PARALLEL, *DEBUG) == 130
    assert states() == ["pending", "pending"]
    assert "interrupted; to go on" in capfd.readouterr().out


def drawn_elsewhere():
    from vae_runner.training.drawers import drawers, drawn_by

    with drawers(1):
        return os.getpid(), drawn_by(os.getpid)()


@needs_joblib
def test_processes_of_a_sweep_have_others_draw_for_them(capfd):
    from joblib import Parallel, delayed

    settings = {"n_jobs": 2, "batch_size": 1}
    with processes.workers(2, settings, "cpu"):
        found = Parallel(**settings)(delayed(drawn_elsewhere)() for _ in range(2))
    trained, drew = map(set, zip(*found, strict=True))
    assert os.getpid() not in trained
    assert drew.isdisjoint(trained)
    assert "Traceback" not in capfd.readouterr().err


@needs_joblib
def test_processes_of_a_sweep_have_others_read_from_disk_for_them():
    np.save("x.npy", np.random.default_rng(0).random((300, 4), np.float32))
    data = ["data=arrays", "data.path=x.npy", "data.in_memory=false", "data.workers=1", "data.validation=0.1"]
    assert sweep("seed=0,1", *PARALLEL, *DEBUG, *data) == 0
    assert states() == ["completed"] * 2


@needs_joblib
def test_a_disk_that_is_full_is_told_of_in_a_line_of_its_job(capfd, monkeypatch):
    original = checkpoint.write_bytes

    def full(path, data):
        if path.parts[-3] == "1":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        original(path, data)

    monkeypatch.setattr(checkpoint, "write_bytes", full)
    for launcher in ("basic", "vectorized"):
        settings = ["hydra.launcher.n_jobs=1"] if launcher == "vectorized" else []
        where = f"hydra.sweep.dir={launcher}"
        assert main(["train", "-m", "seed=0,1,2", f"hydra/launcher={launcher}", *settings, *DEBUG, where]) == 1
        said = capfd.readouterr()
        (line,) = [line for line in (said.out + said.err).splitlines() if "No space left" in line]
        assert "once that is mended: vae-run train resume=" in line


def test_no_job_begins_in_a_worker_whose_sweep_has_ended(monkeypatch):
    from hydra.core.hydra_config import HydraConfig

    from vae_runner.execute import Interrupted

    config = compose(["hydra.sweep.dir=s"])
    config.hydra.job.num = 0
    monkeypatch.setattr(HydraConfig.instance(), "cfg", config)
    monkeypatch.setattr(worker._Worker, "begun", True)
    monkeypatch.setattr(worker._Worker, "ended", False)
    with pytest.raises(Interrupted, match="has ended"):
        worker.job(config)
    assert not Path("s").exists()


@pytest.mark.parametrize("asked", [1, 3, -1])
def test_there_are_no_more_processes_than_jobs(asked):
    cores = processes_for(-1, None)
    assert processes_for(asked, 2) == min(asked if asked > 0 else cores, 2)


@pytest.mark.parametrize("asked", [0, "x", None, 1.5, True, -1000])
def test_no_process_at_all_is_refused(asked):
    with pytest.raises(UserError, match=rf"n_jobs={asked}: must be a number of processes, or -1 for one on each core"):
        processes_for(asked, 2)


@needs_joblib
def test_a_word_for_the_number_of_processes_is_refused_with_what_is_allowed(capsys):
    assert sweep("seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=x", *DEBUG) == 2
    assert capsys.readouterr().err.strip() == "vae-run: hydra.launcher.n_jobs=x: must be a whole number"


@needs_joblib
def test_jobs_that_are_done_are_passed_over_in_one_line_each(capfd):
    assert sweep("seed=0,1", *DEBUG) == 0
    capfd.readouterr()
    assert sweep("seed=0,1", *PARALLEL, *DEBUG) == 0
    told = [line for line in capfd.readouterr().out.splitlines() if line.startswith("job ")]
    told = [line for line in told if not line.startswith("job  ")]
    assert sorted(told) == [f"job {job}: seed={job} {' '.join(DEBUG)}: completed before, skipped" for job in (0, 1)]


@pytest.mark.parametrize("typed", ["jobli", "rai"])
def test_a_mistyped_launcher_is_answered_with_the_nearest_and_with_the_plugins(capsys, typed):
    assert sweep("seed=0,1", f"hydra/launcher={typed}", *DEBUG) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"did you mean {'joblib' if typed == 'jobli' else 'ray'}?" in line
    assert "ray (pip install 'vae-runner[ray]')" in line or "ray" in line.partition("Hydra has ")[2]


@needs_joblib
def test_one_process_is_this_one():
    assert sweep("seed=0", "hydra/launcher=joblib", *DEBUG) == 0
    assert status(0)["pid"] == os.getpid()


def test_processes_take_gpus_in_turn(monkeypatch):
    import torch

    taken = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(signal, "signal", lambda *args: None)
    monkeypatch.setattr(signal, "pthread_sigmask", lambda *args: None)
    monkeypatch.setattr(worker.gc, "freeze", lambda: None)
    monkeypatch.setattr(worker._Worker, "begun", False)
    monkeypatch.setattr(worker, "_end_without", lambda first: None)
    for number in (1, 2, 3):
        monkeypatch.setattr(worker.multiprocessing.current_process(), "_name", f"LokyProcess-{number}")
        worker.begin(os.getppid(), "cpu")
    assert taken == [1, 0, 1]


@pytest.mark.parametrize(
    ("launcher", "extra"), [("joblib", "parallel"), ("slurm", "slurm"), ("submitit_local", "slurm"), ("ray", "ray")]
)
def test_a_plugin_that_is_not_installed_is_named_before_anything_runs(monkeypatch, capsys, launcher, extra):
    compose([])  # by now the plugins that are installed have put their options there
    options = ConfigStore.instance().repo["hydra"]["launcher"]
    for name in ("joblib", "submitit_slurm", "submitit_local", "ray"):
        monkeypatch.delitem(options, f"{name}.yaml", raising=False)
    assert sweep("seed=0,1", f"hydra/launcher={launcher}", *DEBUG) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"pip install 'vae-runner[{extra}]'" in line
    assert not Path("s").exists()


@needs_submitit
def test_jobs_of_submitit_run_and_are_in_the_table(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    assert sweep("seed=0", "hydra/launcher=submitit_local", *DEBUG) == 0
    assert states() == ["completed"]
    assert status(0)["pid"] != os.getpid()
    (log,) = Path("s/.submitit").rglob("*_log.out")
    assert "done in" in log.read_text()


@needs_submitit
def test_a_job_on_slurm_is_queued_again_when_its_time_is_over():
    launcher = compose(["hydra/launcher=slurm", "hydra.launcher.partition=gpu"]).hydra.launcher
    assert (launcher.partition, launcher.timeout_min, launcher.max_num_timeout) == ("gpu", 240, 3)


@needs_submitit
def test_without_slurm_nothing_is_sent_to_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sweep("seed=0,1", "hydra/launcher=slurm", *DEBUG) == 2
    assert "no srun" in capsys.readouterr().err
    assert not Path("s").exists()


@needs_submitit
def test_slurm_goes_on_after_ctrl_c_and_that_is_said(monkeypatch, tmp_path):
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "scancel" in Launch.of(compose(["hydra/launcher=slurm"]), 2).interrupted


@needs_ray
def test_jobs_of_a_local_ray_run_and_are_in_the_table(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    assert sweep("seed=0,1", "hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", *DEBUG) == 0
    assert states() == ["completed", "completed"]
    assert os.getpid() not in {status(0)["pid"], status(1)["pid"]}
