import shutil
import subprocess
import sys

import pytest
import torch
import yaml

from tests.helpers import config_of
from vae_runner import Run
from vae_runner.build import build_experiment
from vae_runner.cli import main
from vae_runner.errors import UserError
from vae_runner.evaluation.evaluate import evaluate

DEBUG = ["trainer=debug", "architecture.width=8", "latent_dim=3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", *DEBUG, "variant=beta_vae", f"hydra.run.dir={directory}"]) == 0
    return directory


@pytest.fixture
def run_directory(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_a_run_comes_back_with_model_config_and_data(trained):
    run = Run.load(trained, device="cpu")
    assert run.model.sample(64).shape == (64, 1, 8, 8)
    assert run.config["kl"]["weight"] == 1.5
    assert run.data.space == run.model.space
    assert run.step == 4
    assert run.summary["steps"] == 4


def test_the_loaded_model_has_the_saved_weights_and_reaches_the_saved_figures(trained):
    run = Run.load(trained, device="cpu")
    state = torch.load(trained / "checkpoints" / "best.pt", weights_only=True)["model"]
    assert all(torch.equal(value, state[key]) for key, value in run.model.state_dict().items())
    limit = run.config["trainer"]["evaluation_examples"]
    result = evaluate(run.model, run.objective, run.kl, run.data, run.data.test, run.device, limit=limit)
    assert result.figures == pytest.approx(run.summary["test"])


def test_the_model_loads_where_its_data_is_not(run_directory):
    config = yaml.safe_load((run_directory / "config.yaml").read_text())
    config["data"] = {
        "_target_": "vae_runner.data.arrays.Arrays",
        "path": "gone.npz",
        **{key: config["data"][key] for key in ("validation", "test", "limit", "binarize", "split_seed")},
    }
    (run_directory / "config.yaml").write_text(yaml.safe_dump(config))
    run = Run.load(run_directory, device="cpu")
    assert run.model.sample(2).shape == (2, 1, 8, 8)
    with pytest.raises(UserError, match=r"gone\.npz"):
        _ = run.data


def test_the_last_weights_can_be_asked_for(trained):
    assert Run.load(trained, device="cpu", weights="last").step == 4


def test_a_run_without_a_checkpoint_says_so(run_directory):
    (run_directory / "checkpoints" / "best.pt").unlink()
    with pytest.raises(UserError, match="no best checkpoint yet"):
        Run.load(run_directory)


def test_weights_that_do_not_fit_the_config_are_refused(run_directory):
    text = (run_directory / "config.yaml").read_text()
    (run_directory / "config.yaml").write_text(text.replace("latent_dim: 3", "latent_dim: 4"))
    with pytest.raises(UserError, match="does not fit the config beside it"):
        Run.load(run_directory)


def test_a_config_that_is_no_yaml_is_refused(run_directory):
    (run_directory / "config.yaml").write_text("a: [")
    with pytest.raises(UserError, match="not readable as YAML"):
        Run.load(run_directory)


def test_a_class_from_outside_is_used_only_when_trusted(run_directory, tmp_path, monkeypatch):
    (tmp_path / "mine_for_test.py").write_text("from vae_runner.objectives import ELBO\nclass Mine(ELBO):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = yaml.safe_load((run_directory / "config.yaml").read_text())
    config["objective"] = {"_target_": "mine_for_test.Mine"}
    (run_directory / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"mine_for_test\.Mine"):
        Run.load(run_directory)
    assert "mine_for_test" not in sys.modules
    assert type(Run.load(run_directory, trust=True).objective).__name__ == "Mine"


def test_importing_the_package_does_not_import_torch():
    code = "import sys, vae_runner; sys.exit('torch' in sys.modules or 'hydra' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_precision_of_gpus_is_refused_elsewhere():
    with pytest.raises(UserError, match=r"trainer\.precision=tf32: .* on cpu: type trainer\.precision=fp32"):
        build_experiment(config_of("trainer.precision=tf32", "trainer.device=cpu"))
