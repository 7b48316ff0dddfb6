"""`vae-run sample` of text."""

import pytest

from vae_runner.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("text")
    (directory / "names.txt").write_text("anna\nhanna\nannabel\nhannah\n" * 20, encoding="utf-8")
    command = f"train data=text data.path={directory}/names.txt architecture=recurrent likelihood=categorical"
    assert main([*command.split(), "architecture.width=8", "trainer=debug", f"hydra.run.dir={directory}/run"]) == 0
    return directory / "run"


def test_all_begin_with_the_prompt(run, capsys):
    capsys.readouterr()
    assert main(["sample", f"run={run}", "n=3", "prompt=hann"]) == 0
    _, *texts = capsys.readouterr().out.splitlines()
    assert [text[:4] for text in texts] == ["hann"] * 3


def test_a_prompt_of_characters_that_the_model_has_not_seen_is_refused(run, refused):
    line = refused("sample", f"run={run}", "prompt=hXnZ", unchanged=run)
    assert line.endswith("prompt=hXnZ: this model has not seen 'X', 'Z' in its text")


def test_text_has_no_mean(run, refused):
    assert "draw=mean: text has none" in refused("sample", f"run={run}", "draw=mean", unchanged=run)
