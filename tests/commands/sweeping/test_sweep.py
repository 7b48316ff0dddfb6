"""`vae-run train -m`: a directory per job, one table, and a second start that does only what is left."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from vae_runner.cli import main
from vae_runner.commands.sweeping.sweep import _rows as table_of
from vae_runner.run_directory import RunDirectory
from vae_runner.training.fitting import Fitting

DEBUG = ["trainer=debug", "architecture.width=8"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def completed(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("completed") / "sweep"
    assert sweep("seed=0,1", f"hydra.sweep.dir={directory}") == 0
    return directory


def sweep(*args: str) -> int:
    return main(["train", "-m", *args, *DEBUG])


def rows(directory="s"):
    with open(f"{directory}/sweep.csv", newline="") as file:
        return list(csv.DictReader(file))


def break_when(monkeypatch, condition, error=None):
    original = Fitting.step

    def broken(self, batch, step):
        if condition(self.experiment.config, step):
            raise error or RuntimeError("broken on purpose")
        original(self, batch, step)

    monkeypatch.setattr(Fitting, "step", broken)


def test_every_job_has_its_own_directory_and_a_row(capsys):
    assert sweep("variant=ae,vae", "latent_dim=2,3", "hydra.sweep.dir=s") == 0
    table = rows()
    assert [(row["variant"], row["latent_dim"]) for row in table] == [
        ("ae", "2"),
        ("ae", "3"),
        ("vae", "2"),
        ("vae", "3"),
    ]
    assert {row["state"] for row in table} == {"completed"}
    assert all(Path("s", str(i), "summary.json").is_file() for i in range(4))
    assert float(table[2]["test elbo"]) < 0
    assert table[0]["test elbo"] == ""
    assert "test elbo" in capsys.readouterr().out


def test_numbers_in_the_table_are_numbers_however_they_were_typed():
    assert sweep("optimizer.lr=1e-3,2E-3", "hydra.sweep.dir=s") == 0
    assert [row["optimizer.lr"] for row in rows()] == ["0.001", "0.002"]


@pytest.mark.parametrize("said", ["SIGTERM", ""])
def test_a_job_that_is_interrupted_before_it_trains_notes_the_signal(monkeypatch, said):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt(*([said] if said else []))

    monkeypatch.setattr("vae_runner.execute.build_experiment", stopped)
    assert sweep("seed=0", "hydra.sweep.dir=s") == 130
    status = json.loads(Path("s/0/status.json").read_text())
    assert (status["state"], status["error"]) == ("interrupted", said or "SIGINT")


def test_two_sweeps_never_share_a_directory():
    assert sweep("seed=0,1") == 0
    assert sweep("seed=0,1") == 0
    assert len(list(Path("outputs/sweeps").iterdir())) == 2


def test_a_failing_job_leaves_its_traceback_and_the_others_go_on(monkeypatch):
    break_when(monkeypatch, lambda config, step: config["seed"] == 1 and step == 2)
    assert sweep("seed=0,1,2", "hydra.sweep.dir=s") == 1
    assert [row["state"] for row in rows()] == ["completed", "failed", "completed"]
    status = json.loads(Path("s/1/status.json").read_text())
    assert "broken on purpose" in status["error"]
    assert "Traceback" in status["error"]
    assert "Traceback" in Path("s/1/train.log").read_text()


def test_a_job_that_cannot_be_built_fails_alone():
    assert sweep("variant=vae,ae", "kl.weight=2", "hydra.sweep.dir=s") == 1
    assert [row["state"] for row in rows()] == ["completed", "failed"]
    assert "kl.weight=2" in json.loads(Path("s/1/status.json").read_text())["error"]


def test_a_job_that_is_refused_again_says_so_and_notes_when(capsys):
    first = sweep("variant=vae,ae", "kl.weight=2", "hydra.sweep.dir=s")
    before = json.loads(Path("s/1/status.json").read_text())
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("error: ")]
    assert sweep("variant=vae,ae", "kl.weight=2", "hydra.sweep.dir=s") == first
    after = json.loads(Path("s/1/status.json").read_text())
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("error: ")] == said != []
    assert [row["state"] for row in rows()] == ["completed", "failed"]
    assert after["ended"] > before["ended"]
    assert "kl.weight=2" in after["error"]


def test_a_job_that_was_completed_with_fewer_steps_goes_on(tmp_path):
    short = tmp_path / "own" / "trainer" / "short.yaml"
    short.parent.mkdir(parents=True)
    for steps in (3, 6):
        short.write_text(f"defaults: [debug, _self_]\nsteps: {steps}\n")
        line = ["seed=0,1", "trainer=short", "architecture.width=8", f"--config-dir={tmp_path / 'own'}"]
        assert main(["train", "-m", *line, "hydra.sweep.dir=s"]) == 0
        assert [json.loads(Path("s", job, "summary.json").read_text())["steps"] for job in "01"] == [steps, steps]


def test_a_job_that_was_completed_with_more_steps_is_shown_with_them(capsys):
    assert sweep("seed=0,1", "trainer.steps=3", "hydra.sweep.dir=s") == 0
    assert main(["train", "resume=s/0", "trainer.steps=6"]) == 0
    capsys.readouterr()
    assert sweep("seed=0,1", "trainer.steps=3", "hydra.sweep.dir=s") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert len(said) == 1
    assert "s/0: 6 steps are done, more than the 3 asked for; left as it was completed, with trainer.steps=6" in said[0]
    assert "resume=" not in said[0]
    assert [row["trainer.steps"] for row in rows()] == ["6", "3"]
    assert [row["state"] for row in rows()] == ["completed", "completed"]


def test_ctrl_c_leaves_a_table_and_the_same_command_does_the_rest(monkeypatch, capsys):
    with monkeypatch.context() as patch:
        break_when(patch, lambda config, step: config["seed"] == 1 and step == 2, KeyboardInterrupt())
        assert sweep("seed=0,1,2", "hydra.sweep.dir=s") == 130
    assert [row["state"] for row in rows()] == ["completed", "interrupted", "pending"]
    first = Path("s/0/summary.json").stat().st_mtime_ns
    capsys.readouterr()
    assert sweep("seed=0,1,2", "hydra.sweep.dir=s") == 0
    assert [row["state"] for row in rows()] == ["completed"] * 3
    assert Path("s/0/summary.json").stat().st_mtime_ns == first
    assert "completed before, skipped" in capsys.readouterr().out


def test_a_failed_job_is_tried_again(monkeypatch):
    with monkeypatch.context() as patch:
        break_when(patch, lambda config, step: config["seed"] == 1)
        assert sweep("seed=0,1", "hydra.sweep.dir=s") == 1
    assert sweep("seed=0,1", "hydra.sweep.dir=s") == 0
    assert [row["state"] for row in rows()] == ["completed", "completed"]


def test_a_sweep_is_made_longer_by_the_same_command_with_more_steps():
    assert sweep("seed=0,1", "hydra.sweep.dir=s", "trainer.steps=4") == 0
    assert sweep("seed=0,1", "hydra.sweep.dir=s", "trainer.steps=6") == 0
    assert [json.loads(Path(f"s/{job}/summary.json").read_text())["steps"] for job in (0, 1)] == [6, 6]


def test_a_job_that_cannot_go_on_is_told_by_its_directory(capsys, monkeypatch):
    with monkeypatch.context() as patch:
        break_when(patch, lambda config, step: step == 3)
        assert sweep("seed=0", "trainer.checkpoint_steps=2", "hydra.sweep.dir=s") == 1
    capsys.readouterr()
    RunDirectory("s/0").last.unlink()
    assert sweep("seed=0", "trainer.checkpoint_steps=2", "hydra.sweep.dir=s") == 1
    said = capsys.readouterr().out
    assert "s/0/checkpoints, and nothing else says where training stood" in said
    assert "resume=" not in said


def test_another_sweep_s_directory_is_refused(capsys, completed):
    shutil.copytree(completed, "s")
    before = Path("s/0/.hydra/overrides.yaml").read_text()
    capsys.readouterr()
    assert sweep("seed=5,6", "hydra.sweep.dir=s") == 2
    assert "holds another sweep" in capsys.readouterr().err
    assert Path("s/0/.hydra/overrides.yaml").read_text() == before


def test_it_is_the_same_sweep_in_whichever_order_it_is_typed(capsys):
    assert sweep("seed=0,1", "latent_dim=3", "hydra.sweep.dir=s") == 0
    capsys.readouterr()
    assert sweep("latent_dim=3", "seed=0,1", "hydra.sweep.dir=s") == 0
    assert capsys.readouterr().out.count("completed before, skipped") == 2
    assert sweep("++latent_dim=3", "seed=0,1", "hydra.sweep.dir=s") == 0
    assert sweep("latent_dim=3", "++latent_dim=4", "seed=0,1", "hydra.sweep.dir=s") == 2
    assert "holds another sweep" in capsys.readouterr().err


@pytest.mark.parametrize("left", ["", "trainer:\n  steps: [", "seed: 1"])
def test_a_job_whose_config_was_torn_by_a_kill_is_in_the_table(left, completed):
    shutil.copytree(completed, "s")
    Path("s/0/.hydra/config.yaml").write_text(left)
    assert [row["state"] for row in table_of(Path("s"), None)] == ["completed"] * len(rows())


@pytest.mark.parametrize(
    "mistake",
    [
        "latent_dm=2,3",
        "variant=vae,beta_va",
        "latent_dim=-1,-2",
        "kl.weight=1,2,-4,3",
        "kl.weight=1,foo",
        "variant=[aae,iwae],vae",
        "seed=shuffle(1,2)",
        "trainer.device=cpu,gpu",
    ],
)
def test_a_mistake_ends_a_sweep_before_it_begins(capsys, mistake):
    assert sweep(mistake, "hydra.sweep.dir=s") == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not os.path.exists("s")


@pytest.mark.parametrize("method", ["write_summary", "update_status"])
def test_ctrl_c_at_the_end_of_a_job_leaves_it_complete_and_begins_no_other(monkeypatch, method):
    original = getattr(RunDirectory, method)

    def interrupted(self, *args, **changes):
        if method == "write_summary" or changes.get("state") == "completed":
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *args, **changes)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, method, interrupted)
        assert sweep("seed=0,1", "hydra.sweep.dir=s") == 130
    assert [row["state"] for row in rows()] == ["completed", "pending"]
    assert sweep("seed=0,1", "hydra.sweep.dir=s") == 0


@pytest.mark.parametrize("launcher", ["basic", "vectorized"])
@pytest.mark.parametrize("where", ["vae_runner.commands.sweeping.job.resolved", "hydra.core.utils.configure_log"])
def test_ctrl_c_that_a_library_turns_into_an_error_of_its_own_ends_the_sweep(monkeypatch, capsys, launcher, where):
    def stopped(*args, **kwargs):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            raise AttributeError("half-made")

    arguments = ["seed=0,1", f"hydra/launcher={launcher}", "hydra.sweep.dir=s"]
    with monkeypatch.context() as patch:
        patch.setattr(where, stopped)
        assert sweep(*arguments) == 130
    assert [row["state"] for row in rows()] == ["pending"] * 2
    assert "warning: interrupted; to go on: the same command with hydra.sweep.dir='s'" in capsys.readouterr().out
    assert sweep(*arguments) == 0


@pytest.mark.parametrize("launcher", ["basic", "vectorized"])
def test_a_job_that_fails_says_so_once(capfd, launcher):
    assert sweep("kl.weight=1,[1,2]", f"hydra/launcher={launcher}", "hydra.sweep.dir=s") == 1
    assert [row["state"] for row in rows()] == ["completed", "failed"]
    output = capfd.readouterr()
    said = f"{output.out}{output.err}"
    assert said.count("error: kl.weight: 2 numbers for 1 level of latents") == 1
    assert "Error executing job" not in said
    assert "Traceback" not in said


def test_a_sweeper_is_given_the_monitored_figure():
    from vae_runner.commands.hydra_app import run_hydra
    from vae_runner.commands.sweeping import job as sweep_job

    returned = []

    def job(config):
        returned.append(sweep_job.job(config))
        return returned[-1]

    run_hydra(job, ["-m", "seed=3", "hydra.sweep.dir=s", *DEBUG])
    assert returned == [json.loads(Path("s/0/summary.json").read_text())["validation"]["loss"]]


def test_a_sweep_over_lists_of_variants_has_jobs():
    assert sweep("variant=[vae,beta_vae],[ae]", "hydra.sweep.dir=s") == 0
    assert [row["variant"] for row in rows()] == ["[vae,beta_vae]", "[ae]"]
    shutil.rmtree("s")


def test_the_directories_of_jobs_are_their_numbers(capsys):
    assert sweep("seed=0,1", "hydra.sweep.dir=s", "hydra.sweep.subdir=same") == 2
    assert "hydra.sweep.subdir=same" in capsys.readouterr().err
    assert not os.path.exists("s")


def test_a_job_that_was_killed_before_its_first_checkpoint_logs_each_step_once(monkeypatch):
    with monkeypatch.context() as patch:
        break_when(patch, lambda config, step: step == 1)
        assert sweep("seed=0", "hydra.sweep.dir=s", "trainer.validation_steps=4") == 1
    assert sweep("seed=0", "hydra.sweep.dir=s", "trainer.validation_steps=4") == 0
    steps = [json.loads(line)["step"] for line in Path("s/0/metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 4]


def test_a_run_is_not_put_into_a_sweep_s_directory(capsys, completed):
    shutil.copytree(completed, "s")
    capsys.readouterr()
    assert main(["train", *DEBUG, "hydra.run.dir=s"]) == 2
    assert "holds a sweep" in capsys.readouterr().err


def test_jobs_share_the_data_that_was_read(monkeypatch):
    from vae_runner.build import _opened
    from vae_runner.data.digits import Digits

    _opened.cache_clear()
    read = []
    original = Digits.load
    monkeypatch.setattr(Digits, "load", lambda self: read.append(1) or original(self))
    assert sweep("seed=0,1", "hydra.sweep.dir=s") == 0
    assert len(read) == 1


def test_a_job_whose_process_is_told_to_exit_is_interrupted_and_goes_on_later(monkeypatch):
    with monkeypatch.context() as patch:
        break_when(patch, lambda config, step: step == 3, SystemExit(1))
        with pytest.raises(SystemExit):
            sweep("seed=0", "hydra.sweep.dir=s")
    assert json.loads(Path("s/0/status.json").read_text())["state"] == "interrupted"
    assert sweep("seed=0", "hydra.sweep.dir=s") == 0
    assert [row["state"] for row in rows()] == ["completed"]


def test_a_sweep_that_cannot_be_where_it_is_to_go_names_its_own_setting(capsys):
    Path("file").write_text("")
    assert sweep("seed=0,1", "hydra.sweep.dir=file/sweep") == 2
    assert capsys.readouterr().err.endswith("choose another place with hydra.sweep.dir=DIR\n")
