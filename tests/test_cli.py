"""`vae-run` as a user meets it: help, messages, exit codes, Hydra behind a command word, completion, make."""

import gc
import os
import pty
import resource
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from omegaconf import DictConfig

from vae_runner import __version__, cli
from vae_runner.commands.hydra_app import CommandLine, run_hydra
from vae_runner.commands.shell_completion import SCRIPTS, candidates
from vae_runner.config import Tree
from vae_runner.errors import UserError

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in an empty directory, as somebody else's would."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    return directory


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a `vae-run` that runs this checkout by this interpreter."""
    directory = tmp_path_factory.mktemp("bin")
    script = directory / "vae-run"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -m vae_runner "$@"\n')
    script.chmod(0o755)
    return directory


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a mistake is answered with."""
    assert cli.main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    return line


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


# --- the first words


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(capsys, arguments) -> None:
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed for name in cli.COMMANDS)
    assert 'eval "$(vae-run -sc install=bash)"' in printed


def test_version_is_the_packages(capsys) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"vae-run {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "trian: there is no such command; did you mean train?"),
        (["zzz"], f"zzz: there is no such command; choose one of {', '.join(cli.COMMANDS)}"),
        (["-m", "train", "seed=1,2"], "the command comes first: vae-run train -m seed=1,2"),
        (["variant=vae", "seed=3"], "variant=vae: no command is given; did you mean vae-run train variant=vae seed=3?"),
        (["list", "vriant"], "vriant: there is no such group; did you mean vae-run list variant?"),
        (["list", "mnist"], "mnist: is an option of data; did you mean vae-run list data?"),
        (["list", "data", "mnist"], "vae-run list takes one group: mnist is too much"),
        (["list", "-cd", "no"], "--config-dir no: there is no such directory"),
        (["-sc", "install=tcsh"], "-sc install=tcsh: type -sc install=SHELL or uninstall=SHELL, SHELL one of bash, "
         "zsh, fish"),
        (["train", "dataset=mnist"], "dataset=mnist: there is no group dataset; did you mean data=mnist?"),
        (["train", "--cfg", "job", "kl.wieght=4"], "kl.wieght=4: kl=constant has no wieght; did you mean kl.weight=4?"),
        (["train", "--help", "variant=3"], "variant=3: there is no variant 3; choose one of "
         + ", ".join(Tree.of().options("variant"))),
        (["train", "--epochs", "10"], "--epochs: there is no such flag, and settings take no dashes; did you mean "
         "trainer.epochs=...?"),
        (["train", "--lr=3"], "--lr=3: there is no such flag, and settings take no dashes; did you mean "
         "optimizer.lr=3?"),
        (["train", "--mulitrun"], "--mulitrun: there is no such flag; did you mean --multirun?"),
        (["train", "--cfg", "jobs"], "argument --cfg/-c: invalid choice: 'jobs' (choose from 'job', 'hydra', 'all')"),
        (["train", "--cfg", "job", "-m"], "--multirun and --cfg do not go together: give one of them"),
        (["train", "--resolve"], "--resolve goes with --cfg job"),
        (["train", "--config-name", "x"], "--config-name: vae-run has one config; give your own options with "
         "--config-dir DIR"),
        (["validate", "--cfg", "job"], "vae-run validate shows no config; type vae-run train with the same arguments"),
        (["validate", "-m", "variant=ae,vea"], "variant=vea: there is no variant vea; did you mean variant=vae?"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_two(capsys, elsewhere, arguments, expected) -> None:
    line = refusal(capsys, *arguments)
    # how argparse quotes choices differs between versions of Python
    assert line.replace("'", "") == f"vae-run: {expected}".replace("'", "")
    assert list(elsewhere.iterdir()) == []


def test_each_of_several_mistakes_has_its_line(capsys) -> None:
    assert cli.main(["validate", "seed=-1", "latent_dim=0"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "vae-run: seed=-1: must be from 0 to 4294967295",
        "vae-run: latent_dim=0: must be from 1 to 65536",
    ]


def test_a_mistake_shows_its_traceback_when_asked(capsys, monkeypatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert cli.main(["train", "--cfg", "job", "seed=[1"]) == 2
    printed = capsys.readouterr().err
    assert "Traceback (most recent call last)" in printed
    assert printed.splitlines()[-1] == "vae-run: seed=[1: a ] is missing"


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130), (UserError("so"), 2), (BrokenPipeError(), 0)])
def test_what_a_command_raises_becomes_an_exit_code(monkeypatch, raised, code) -> None:
    def main(args: list[str]) -> int:
        raise raised

    monkeypatch.setattr("vae_runner.commands.list.main", main)
    monkeypatch.setattr(cli.os, "dup2", lambda *_: None)
    assert cli.main(["list"]) == code


def test_an_error_of_ours_keeps_its_traceback(monkeypatch) -> None:
    def main(args: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("vae_runner.commands.list.main", main)
    with pytest.raises(ZeroDivisionError):
        cli.main(["list"])


def test_a_reader_that_has_gone_is_no_error(command: Path) -> None:
    run = subprocess.run(
        ["bash", "-c", f"set -o pipefail; '{command}/vae-run' list data | true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


# --- list


def test_list_shows_every_group_with_its_options_and_default(capsys) -> None:
    assert cli.main(["list"]) == 0
    printed = capsys.readouterr().out
    for group in Tree.of().groups.values():
        assert f"{group.name:<14}{group.summary}\n" in printed
    assert "bernoulli*" in printed


def test_list_of_a_group_shows_a_line_on_each_option(capsys) -> None:
    assert cli.main(["list", "variant"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(Tree.of().options("variant"))
    assert any(line.startswith("vae*") and "Kingma & Welling 2014" in line for line in lines)


def test_list_shows_the_users_own_options(capsys, tmp_path) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant/mine.yaml").write_text("# @package _global_\n# my own idea\nseed: 3\n")
    assert cli.main(["list", "variant", "--config-dir", str(tmp_path)]) == 0
    assert any(line.split(maxsplit=1)[1:] == ["my own idea"] for line in capsys.readouterr().out.splitlines())


# --- what must be quick


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], ["torch", "hydra", "omegaconf", "yaml", "rich", "numpy"]),
        (["list"], ["torch", "hydra", "omegaconf", "yaml", "rich", "numpy"]),
        (["list", "variant"], ["torch", "hydra", "omegaconf", "yaml", "rich", "numpy"]),
        (["train", "--cfg", "job"], ["torch", "matplotlib", "sklearn", "tensorboard"]),
        (["train", "--help"], ["torch", "matplotlib", "sklearn", "tensorboard"]),
    ],
)
def test_a_quick_answer_imports_nothing_heavy(arguments, absent) -> None:
    run = python(
        "import sys\nfrom vae_runner.cli import main\n"
        f"try:\n    main({arguments})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {absent} if name in sys.modules], file=sys.stderr)"
    )
    assert run.stderr.strip() == "[]"


def test_importing_the_package_does_not_import_torch() -> None:
    assert python("import sys, vae_runner, vae_runner.config; print('torch' in sys.modules)").stdout == "False\n"


@pytest.mark.parametrize(("arguments", "seconds"), [("--help", 0.5), ("list", 0.5), ("train --cfg job", 1.0)])
def test_a_quick_answer_takes_little_time(command: Path, arguments: str, seconds: float) -> None:
    def processor_time() -> float:  # not the clock's, which other work on the machine stretches
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    taken = []
    for _ in range(3):
        before = processor_time()
        subprocess.run([str(command / "vae-run"), *arguments.split()], check=True, capture_output=True)
        taken.append(processor_time() - before)
    assert min(taken) < seconds


# --- validate


def test_validate_says_what_would_run(capsys, elsewhere) -> None:
    assert cli.main(["validate", "variant=[beta_vae]", "latent_dim=3"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("OK: data=digits ")
    assert printed.endswith(" variant=[beta_vae]\n")
    assert list(elsewhere.iterdir()) == []


def test_validate_builds_what_would_be_trained(capsys) -> None:
    assert cli.main(["validate", "variant=svae", "latent_dim=1"]) == 2
    assert capsys.readouterr().err.startswith("vae-run: latent_dim=1: posterior=hyperspherical needs a sphere")


def test_validate_checks_where_a_run_would_be_and_the_one_that_would_go_on(capsys, elsewhere) -> None:
    assert cli.main(["validate", "hydra.run.dir="]) == 2
    assert "hydra.run.dir is empty" in capsys.readouterr().err
    assert cli.main(["validate", "resume=nowhere"]) == 2
    assert capsys.readouterr().err == "vae-run: resume=nowhere: no such directory\n"
    assert cli.main(["train", "trainer=debug", "hydra.run.dir=mine"]) == 0
    assert cli.main(["validate", "resume=mine", "latent_dim=5"]) == 2
    assert "latent_dim=5: the run to resume was started with" in capsys.readouterr().err
    assert cli.main(["validate", "resume=mine", "trainer.steps=9"]) == 0


def test_validate_downloads_nothing(capsys, elsewhere) -> None:
    assert cli.main(["validate", "data=mnist", "data.root=nowhere"]) == 0
    assert "not held against the data: 4 files are missing" in capsys.readouterr().out
    assert list(elsewhere.iterdir()) == []


def test_validate_checks_every_job_of_a_sweep(capsys) -> None:
    assert cli.main(["validate", "-m", "variant=ae,vae", "latent_dim=2,3"]) == 0
    assert capsys.readouterr().out == "OK: a sweep of 4 runs\n"
    assert cli.main(["validate", "-m", "latent_dim=2,-3"]) == 2
    assert capsys.readouterr().err == "vae-run: latent_dim=-3: must be from 1 to 65536\n"


# --- Hydra behind the command word


def hydra_prints(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        run_hydra(lambda config: None, arguments)
    assert end.value.code == 0
    return capsys.readouterr().out


def test_train_help_shows_groups_and_config(capsys) -> None:
    printed = hydra_prints(capsys, "--help", "kl=linear")
    assert printed.startswith("Trains a VAE: vae-run train")
    assert "\nlikelihood: bernoulli, " in printed
    assert "_target_: vae_runner.kl.Linear" in printed


def test_cfg_shows_the_config_of_those_overrides_and_runs_nothing(capsys, elsewhere) -> None:
    run_hydra(lambda config: pytest.fail("nothing is to run"), ["--cfg", "job", "latent_dim=7", "variant=beta_vae"])
    printed = capsys.readouterr().out
    assert "latent_dim: 7\n" in printed
    assert "weight: 1.5\n" in printed
    assert list(elsewhere.iterdir()) == []


def test_a_config_dir_may_stand_between_overrides(capsys, tmp_path) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant/mine.yaml").write_text("# @package _global_\nlatent_dim: 9\n")
    line = CommandLine.parse(["seed=4", "--config-dir", str(tmp_path), "variant=mine"])
    assert (line.overrides, line.config_dir) == (["seed=4", "variant=mine"], str(tmp_path))
    run_hydra(lambda config: None, ["--cfg", "job", "seed=4", "--config-dir", str(tmp_path), "variant=mine"])
    assert "latent_dim: 9\n" in capsys.readouterr().out


def test_a_task_is_given_its_config_and_its_result_comes_back(elsewhere) -> None:
    def task(config: DictConfig) -> tuple[int, list[str]]:
        return config.latent_dim, list(config)[:3]

    assert run_hydra(task, ["latent_dim=7", "hydra.run.dir=here"]) == (7, ["seed", "latent_dim", "resume"])
    assert (elsewhere / "here/.hydra/config.yaml").is_file()


def test_what_a_task_raises_comes_out_as_it_was_raised(capsys) -> None:
    def task(config: DictConfig) -> None:
        raise UserError("of the task")

    with pytest.raises(UserError, match="of the task"):
        run_hydra(task, ["hydra.run.dir=here"])
    assert capsys.readouterr().err == ""
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_a_sweep_runs_every_job_in_a_directory_of_its_own(elsewhere) -> None:
    seen = []
    result = run_hydra(
        lambda config: seen.append((config.kl.weight, config.kl.length)),
        ["-m", "kl=linear", "kl.weight=1,2", "kl.length=5", "hydra.sweep.dir=sweep"],
    )
    assert result is None
    assert seen == [(1, 5), (2, 5)]
    assert sorted(path.name for path in (elsewhere / "sweep").iterdir()) == ["0", "1", "multirun.yaml"]


def test_a_swept_option_may_have_settings_that_the_default_lacks(elsewhere) -> None:
    seen = []
    run_hydra(lambda c: seen.append(c.kl.length), ["-m", "kl=linear,cosine", "kl.length=5", "hydra.sweep.dir=sweep"])
    assert seen == [5, 5]


def test_a_job_that_fails_does_not_keep_the_others_from_running() -> None:
    seen = []

    def task(config: DictConfig) -> None:
        seen.append(config.seed)
        if config.seed == 1:
            raise ValueError("the first")

    with pytest.raises(ValueError, match="the first"):
        run_hydra(task, ["-m", "seed=1,2", "hydra.sweep.dir=sweep"])
    assert seen == [1, 2]


# --- completion


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vae-run tra", ["train ", "translate ", "traverse "]),
        ("vae-run --v", ["--version "]),
        ("vae-run train vari", ["variant="]),
        ("vae-run train variant=beta_v", ["beta_vae "]),
        ("vae-run train kl.wei", ["kl.weight="]),
        ("vae-run train kl=linear kl.le", ["kl.length="]),
        ("vae-run train kl.weight=", ["1.0 "]),
        ("vae-run train -m variant=ae,beta_v", ["ae,beta_vae"]),
        ("vae-run train variant=[ae,beta_v", ["[ae,beta_vae"]),
        ("vae-run train --co", ["--config-dir "]),
        ("vae-run train --config-dir ", []),
        ("vae-run validate data=mni", ["mnist "]),
        ("vae-run list vari", ["variant "]),
        ("vae-run evaluate r", ["run="]),
        ("vae-run evaluate run=x", []),
        ("vae-run train nothing_like_it", []),
    ],
)
def test_a_line_is_completed_behind_the_command_word(line: str, expected: list[str]) -> None:
    # what stands before the last = is the same in every candidate
    head = line.split()[-1].rpartition("=")[0]
    assert [word[len(head) + 1 :] if head else word for word in candidates(line)] == expected


def test_the_users_own_options_are_completed(tmp_path: Path) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant/mine.yaml").write_text("# @package _global_\n")
    assert candidates(f"vae-run train --config-dir {tmp_path} variant=min") == ["variant=mine "]


def test_the_class_of_an_option_is_not_offered_as_a_setting() -> None:
    assert not [word for word in candidates("vae-run train kl.") if "_target_" in word]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vae-run tra", "train |translate |traverse |"),
        ("vae-run train vari", "variant=|"),
        ("vae-run train variant=beta_v", "beta_vae |"),
        ("vae-run train kl=linear kl.len", "kl.length=|"),
    ],
)
def test_bash_gets_its_completions_from_the_installed_function(command: Path, line: str, expected: str) -> None:
    script = f"""
        PATH="{command}:$PATH"
        eval "$(vae-run -sc install=bash)"
        COMP_LINE="{line}" COMP_POINT={len(line)} COMP_WORDS=(vae-run)
        _vae_run_complete
        printf '%s|' "${{COMPREPLY[@]}}"
    """
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == (expected, "")


def typed_into(shell: list[str], lines: list[str], keys: str, command: Path, until: str) -> str:
    """What an interactive shell shows for `keys`, at the latest after half a minute."""
    process, terminal = pty.fork()
    if process == 0:
        environment = {**os.environ, "PATH": f"{command}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "$ "}
        os.execvpe(shell[0], shell, environment)
    shown = ""
    try:
        for text in [*(f"{line}; echo rea''dy\n" for line in lines), keys]:
            os.write(terminal, text.encode())
            goal, shown, end = (until if text == keys else "ready"), "", time.monotonic() + 30
            while goal not in shown and time.monotonic() < end:
                if select.select([terminal], [], [], 0.1)[0]:
                    shown += os.read(terminal, 65536).decode(errors="replace")
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)
    return shown


@pytest.mark.parametrize(
    ("shell", "install"),
    [
        (["bash", "--norc", "-i"], 'eval "$(vae-run -sc install=bash)"'),
        (["zsh", "-f", "-i"], 'eval "$(vae-run -sc install=zsh)"'),
        (["fish", "-N", "-i"], "vae-run -sc install=fish | source"),
    ],
)
def test_the_tab_key_completes(command: Path, shell: list[str], install: str) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} here")
    shown = typed_into(shell, [install], "vae-run train vari\tbeta_v\t", command, until="variant=beta_vae")
    assert "vae-run train variant=beta_vae" in shown


def test_every_shell_has_a_script(capsys) -> None:
    for shell, script in SCRIPTS.items():
        assert cli.main(["-sc", f"install={shell}"]) == 0
        assert capsys.readouterr().out == f"{script}\n"


# --- make


def make(directory: Path, *arguments: str) -> str:
    if not shutil.which("make"):
        pytest.skip("no make here")
    # the tests may themselves run under make, which tells its children so
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", *arguments]
    run = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=True)
    return run.stdout


def test_make_help_names_every_target(elsewhere) -> None:
    shutil.copy(REPOSITORY / "Makefile", elsewhere)
    printed = make(elsewhere)
    for target in ("train", "test", "dashboard", "benchmark", "format"):
        assert f"make {target} " in printed


def test_make_installs_once(elsewhere) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, elsewhere)
    first = make(elsewhere, "-n", "train")
    assert "-m venv .venv" in first
    assert "pip install" in first
    (elsewhere / ".venv").mkdir()
    for stamp in (".created", ".installed"):
        (elsewhere / ".venv" / stamp).touch()
    assert make(elsewhere, "-n", "train", "ARGS=latent_dim=2").strip() == ".venv/bin/vae-run train latent_dim=2"


def test_make_installs_again_when_the_requirements_change(elsewhere) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, elsewhere)
    (elsewhere / ".venv").mkdir()
    for stamp in (".created", ".installed"):
        (elsewhere / ".venv" / stamp).touch()
        os.utime(elsewhere / ".venv" / stamp, (0, 0))
    printed = make(elsewhere, "-n", "train")
    assert "pip install" in printed
    assert "-m venv" not in printed


def test_the_process_of_a_command_does_not_look_for_garbage_in_what_was_imported_at_its_end():
    script = (
        "import atexit, gc, sys; from vae_runner.cli import command; "
        "atexit.register(lambda: print(gc.get_freeze_count() > 1000, gc.get_threshold()[0] > 700)); "
        "sys.argv = ['vae-run', '--version']; sys.exit(command())"
    )
    assert python(script).stdout.splitlines()[-1] == "True True"


def test_a_command_that_is_called_leaves_the_collection_of_garbage_as_it_is():
    before = gc.get_threshold(), gc.get_freeze_count()
    assert cli.main(["--version"]) == 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
