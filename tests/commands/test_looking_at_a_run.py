"""What `sample`, `reconstruct`, `traverse` and `evaluate` have in common: their arguments, and the run they open."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from tests.commands.conftest import RUNS
from vae_runner.cli import main
from vae_runner.run_directory import RunDirectory
from vae_runner.training import checkpoint

COMMANDS = ("sample", "reconstruct", "traverse", "evaluate")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", RUNS)
def test_each_leaves_its_pictures_in_a_run_of_any_variant_and_says_where(command, name, trained, capsys, figures_drawn):
    run = trained(name)
    capsys.readouterr()
    assert main([command, f"run={run}", *(["feature_steps=20", "samples=5"] if command == "evaluate" else [])]) == 0
    pictures = [Path(line) for line in capsys.readouterr().out.splitlines() if line.endswith(".png")]
    assert pictures
    for picture in pictures:
        assert picture.is_relative_to(run / "images")
        with Image.open(picture) as image:
            assert image.width > 50
            assert image.convert("L").getextrema() != (255, 255)


@pytest.mark.parametrize("command", [*COMMANDS, "compare"])
def test_help_names_every_setting_and_imports_no_torch(command):
    code = (
        "import sys; from vae_runner.cli import main; code = main([sys.argv[1], '--help']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    shown = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True, check=True).stdout
    assert shown.startswith(f"vae-run {command} ")
    for setting in (
        ("sort=", "out=") if command == "compare" else ("run=DIR", "device=auto", "data.path=null", "trust=")
    ):
        assert f"  {setting}" in shown


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["sample", "n=0"], "n=0: must be from 1"),
        (["sample", "n=-1"], "n=-1: must be from 1"),
        (["sample", "n=abc"], "n=abc: must be a whole number from 1"),
        (["sample", "n="], "n=: must be a whole number"),
        (["sample", "n=1.5"], "n=1.5: must be a whole number"),
        (["sample", "n=true"], "n=true: must be a whole number"),
        (["sample", "seed=4294967296"], "seed=4294967296: must be from 0 to 4294967295"),
        (["sample", "seed=-1"], "seed=-1: must be from 0"),
        (["sample", "temperature=0"], "temperature=0: must be above 0"),
        (["sample", "temperature=-0.5"], "temperature=-0.5: must be above 0"),
        (["sample", "temperature=nan"], "temperature=nan: must be a number above 0"),
        (["sample", "draw=men"], "draw=men: must be one of mean, sample; did you mean mean?"),
        (["sample", "temprature=1"], "did you mean temperature=1?"),
        (["sample", "n=3", "n=4"], "n=4: n is given twice, before as n=3"),
        (["sample", "--n=3"], "did you mean n=3?"),
        (["sample", "overwrite=yes"], "overwrite=yes: must be true or false"),
        (["sample", "weights=first"], "weights=first: must be one of best, last"),
        (["sample", "device=cuda:99"], "device=cuda:99: not on this machine"),
        (["sample", "device=gpu"], "device=gpu: no such kind of device"),
        (["reconstruct", "split=tst"], "split=tst: must be one of test, validation, train; did you mean test?"),
        (["reconstruct", "n=201"], "n=201: must be from 1 to 200"),
        (["traverse", "units=0"], "units=0: must be from 1"),
        (["traverse", "span=0"], "span=0: must be above 0"),
        (["traverse", "steps=1"], "steps=1: must be from 2"),
        (["traverse", "example=297"], "example=297: the test examples go from 0 to 296"),
        (["traverse", "example=-1"], "example=-1: must be 0 or more"),
        (["evaluate", "split=every"], "split=every: must be one of test, validation, train, all"),
        (["evaluate", "limit=1"], "limit=1: must be 2 or more"),
        (["evaluate", "n=3"], "evaluate has no n"),
    ],
)
def test_a_mistaken_argument_is_refused_in_one_line(args, said, trained, refused):
    run = trained("vae")
    command, *rest = args
    line = refused(command, f"run={run}", *rest, unchanged=run)
    assert said in line
    assert "trainer." not in line


def test_a_run_must_be_named(trained, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused("sample") == "sample needs run=DIR, the directory of a run"
    assert refused("sample", "run=").startswith("sample needs run=DIR")
    run = trained("vae")
    assert refused("sample", run) == f"{run}: settings are key=value; did you mean run={run}?"
    for time in ("2026-01-02", "2026-01-10"):
        (Path("outputs/digits/vae") / time).mkdir(parents=True)
        (Path("outputs/digits/vae") / time / "config.yaml").touch()
    assert refused("sample").endswith("; the latest here is run=outputs/digits/vae/2026-01-10")


def test_what_is_no_run_is_refused(trained, refused, tmp_path):
    assert refused("sample", f"run={tmp_path / 'nowhere'}").endswith("nowhere: no such directory")
    (tmp_path / "file").touch()
    line = refused("sample", f"run={tmp_path / 'file'}", unchanged=tmp_path)
    assert line == f"run={tmp_path / 'file'}: is a file; give the directory of a run"
    assert "not the directory of a run" in refused("sample", f"run={tmp_path}", unchanged=tmp_path)
    run = trained("vae")
    assert f"such as {run.parent}" in refused("sample", f"run={run.parent}")


def test_a_run_without_a_checkpoint_is_refused_with_what_it_has(copied, refused):
    run = copied("vae")
    (run / "checkpoints" / "best.pt").unlink()
    line = refused("sample", f"run={run}", unchanged=run)
    assert line.endswith("it has no best checkpoint yet (state: completed); type weights=last")
    assert main(["sample", f"run={run}", "weights=last"]) == 0
    shutil.rmtree(run / "checkpoints")
    assert "it has no best checkpoint yet" in refused("sample", f"run={run}", unchanged=run)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_or_foreign_checkpoint_is_refused(command, copied, refused, tmp_path):
    run = copied("vae")
    best = run / "checkpoints" / "best.pt"
    whole = best.read_bytes()

    best.write_bytes(whole[: len(whole) // 2])
    assert "best.pt: damaged" in refused(command, f"run={run}", unchanged=run)

    flipped = bytearray(whole)
    # between tensors there is padding, where a flipped bit does no harm
    for place in range(len(whole) // 3, 2 * len(whole) // 3, 97):
        flipped[place] ^= 16
    best.write_bytes(flipped)
    assert "best.pt: damaged" in refused(command, f"run={run}", unchanged=run)

    torch.save({"state_dict": {}}, best)
    assert "not a checkpoint of vae_runner" in refused(command, f"run={run}", unchanged=run)

    best.write_bytes(whole)
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "latent_dim": 5}))
    assert "does not fit the config beside it" in refused(command, f"run={run}", unchanged=run)


def test_a_checkpoint_that_would_run_code_runs_none(copied, refused, tmp_path):
    run, trace = copied("vae"), tmp_path / "ran"

    class Harmful:
        def __reduce__(self):
            return Path.mkdir, (trace,)

    torch.save({"format": checkpoint.FORMAT, "model": Harmful()}, run / "checkpoints" / "best.pt")
    assert "refused" in refused("sample", f"run={run}", unchanged=run)
    assert not trace.exists()


def test_code_from_elsewhere_runs_only_when_trusted(copied, refused, tmp_path, monkeypatch):
    run = copied("vae")
    (tmp_path / "priors_of_mine.py").write_text(
        "from pathlib import Path\n"
        f"Path({str(tmp_path / 'imported')!r}).touch()\n"
        "from vae_runner.distributions.priors.normal import Normal\n"
        "class Mine(Normal): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["prior"]["_target_"] = "priors_of_mine.Mine"
    (run / "config.yaml").write_text(yaml.safe_dump(config))

    assert "trust" in refused("sample", f"run={run}", unchanged=run)
    assert not (tmp_path / "imported").exists()
    assert main(["sample", f"run={run}", "trust=true"]) == 0
    assert (tmp_path / "imported").exists()


def test_a_split_without_examples_is_refused_with_those_that_have_some(copied, refused):
    run = copied("vae")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["validation"] = 0
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    for command in ("reconstruct", "traverse", "evaluate"):
        line = refused(command, f"run={run}", "split=validation", unchanged=run)
        assert line.endswith("has no validation examples; type split=test or split=train")


def test_data_that_is_gone_is_named_but_not_needed_for_samples(copied, refused, tmp_path):
    run = copied("vectors")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["path"] = str(tmp_path / "gone.npy")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "gone.npy" in refused("reconstruct", f"run={run}", unchanged=run)
    assert main(["sample", f"run={run}", "n=4"]) == 0


@pytest.mark.parametrize(
    "command",
    [
        ["reconstruct"],
        ["evaluate", "only=bound"],
        ["traverse"],
        ["translate"],
        ["sample", "n=4"],
        ["encode", "out=codes.npz"],
    ],
)
def test_data_that_was_moved_is_read_from_where_it_is_now(command, copied, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = copied("pairs")
    config = yaml.safe_load((run / "config.yaml").read_text())
    shutil.copy(config["data"]["path"], "now.npz")
    config["data"]["path"] = "before.npz"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert refused(*command, f"run={run}", unchanged=run) == (
        f"data.path=before.npz: there is no such file in {tmp_path}, where a relative path begins; if the data of this "
        f"run has moved, type data.path=NEW"
    )
    assert refused(*command, f"run={run}", "data.path=/no.npz", unchanged=run) == (
        "data.path=/no.npz: there is no such file; if the data of this run has moved, type data.path=NEW"
    )
    line = refused(*command, f"run={run}", "data.root=.", unchanged=run)
    assert line == "data.root=.: the data of this run has no data.root; it has data.path"
    assert main([*command, f"run={run}", "data.path=now.npz"]) == 0


def test_data_that_is_made_has_no_place(trained, refused):
    run = trained("vae")
    line = refused("evaluate", f"run={run}", "data.path=x", unchanged=run)
    assert line == "data.path=x: the data of this run has no data.path; it is made, not read; leave it out"
    assert "did you mean data.path=x?" in refused("evaluate", f"run={run}", "data_path=x", unchanged=run)


def test_a_run_that_cannot_be_written_to_is_refused(copied, refused, monkeypatch):
    run = copied("vae")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vae_runner.reporting.png.write_bytes", fail)
    line = refused("sample", f"run={run}", unchanged=run)
    assert line.endswith("sample.png: cannot be written (No space left on device)")


def test_an_interrupted_run_can_be_looked_at(copied):
    run = copied("vae")
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, "state": "interrupted"}))
    (run / "summary.json").unlink()
    assert RunDirectory(run).state() == "interrupted"
    for command in COMMANDS:
        assert main([command, f"run={run}"]) == 0
