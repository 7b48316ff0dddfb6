"""Several processes train as one does. They are launched by torchrun, as a user launches them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from tests.helpers import config_of, fit
from vae_runner import execute
from vae_runner.cli import main
from vae_runner.commands import train_together
from vae_runner.config import Tree, configs_directory
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory
from vae_runner.signals import interruptible
from vae_runner.training.device import choose_device
from vae_runner.training.distributed import LostProcess, _give_own_noise, _listening

REPOSITORY = Path(__file__).parents[2]
SMALL = "trainer.steps=25 trainer.log_steps=1 trainer.batch_size=63 trainer.evaluation_examples=100"
LOSS = {"rel": 1e-5}  # what rounding in float32 comes to in 25 steps of Adam
TERMS = {"rel": 1e-4, "abs": 1e-3}  # some are small differences of large numbers
WIDTH = "architecture.width=16 latent_dim=4"
CASES = {
    "vae": WIDTH,
    "noisy": f"{WIDTH} variant=beta_vae corruption=gaussian data.binarize=stochastic",
    "free_bits": f"{WIDTH} kl.free_bits=0.1",
    "beta_tcvae": f"{WIDTH} variant=beta_tcvae",
    "info_vae": f"{WIDTH} variant=info_vae",
    "normalised": f"{WIDTH} architecture.normalisation=batch architecture.dropout=0.2",
    "vq_vae": "architecture.width=16 variant=vq_vae",
}
OTHERS = {
    "capacity": "kl.capacity=5",
    "words": "variant=vrae data=text likelihood=categorical architecture.word_dropout=0.3 architecture.dropout=0.2",
    "holes": "variant=cvae corruption=mask_block corruption.level=[0.1,0.4] trainer.ema=0.9 trainer.gradient_clip=1",
    "of_two_layers": "variant=vrnn architecture.depth=2",
    "short": "variant=beta_tcvae trainer.batch_size=359",  # whose last batch has one example for each of three
    "normalised_vamp": "variant=vamp_vae architecture.normalisation=batch",
    "normalised_ss_vae": "variant=ss_vae architecture.normalisation=batch",
    "normalised_conv": "architecture=conv architecture.normalisation=batch architecture.dropout=0.2",
}


# where a single digit more or less in the initial weights moves one process by itself as far
SENSITIVE = {"planar_vae", "normalised_vamp", "normalised_ss_vae"}


def launched(processes: int, *words: str) -> list[str]:
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"),
        *words,
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}


def train_both_ways(root: Path, processes: int, cases: dict[str, str]) -> None:
    words = [word for name, overrides in cases.items() for word in (name, f"{SMALL} {overrides}")]
    subprocess.run(
        launched(processes, "tests/training/together.py", str(root), *words),
        cwd=REPOSITORY,
        env=environment(),
        check=True,
        timeout=900,
    )


def training_lines(directory: Path) -> list[dict[str, Any]]:
    return [line for line in RunDirectory(directory).read_metrics() if line["split"] == "train"]


def assert_same_curves(first: Path, second: Path, steps: int | None = None) -> None:
    """Of the first so many steps, or of all."""
    one, other = training_lines(first)[:steps], training_lines(second)[:steps]
    assert [line["step"] for line in one] == [line["step"] for line in other]
    for line, same in zip(one, other, strict=True):
        assert same["loss"] == pytest.approx(line["loss"], **LOSS), f"at step {line['step']}"
        for name in line.keys() - {"split", "examples_per_second"}:
            assert same[name] == pytest.approx(line[name], **TERMS), f"{name} at step {line['step']}"


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("both_ways")
    np.save(root / "digits.npy", (load_digits().images[:300, None] * 15.9).astype(np.uint8))
    on_disk = f"{WIDTH} data=arrays data.path={root / 'digits.npy'} data.in_memory=false data.binarize=stochastic"
    train_both_ways(root, 2, {**CASES, "on_disk": on_disk})
    return root


@pytest.mark.parametrize("name", [*CASES, "on_disk"])
def test_two_processes_train_as_one_does(both_ways, name):
    assert_same_curves(both_ways / name / "alone", both_ways / name / "together")


def test_two_processes_leave_the_files_of_one_run(both_ways):
    alone, together = (
        sorted(path.name for path in (both_ways / "vae" / way).rglob("*") if "tfevents" not in path.name)
        for way in ("alone", "together")
    )
    assert together == alone


@pytest.mark.slow
def test_three_processes_train_every_recipe_as_one_does(tmp_path):
    cases = {name: f"variant={name}" for name in Tree([configs_directory()]).options("variant")} | OTHERS
    train_both_ways(tmp_path, 3, cases)
    for name in cases.keys() - SENSITIVE:
        # from then on what was rounded otherwise shows, ten times as much every few steps
        assert_same_curves(tmp_path / name / "alone", tmp_path / name / "together", steps=15)


def the_other_process(leader: subprocess.Popen) -> int:
    """The number of the process of rank 1 that torchrun has started."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == leader.pid and b"\0RANK=1\0" in b"\0" + (path / "environ").read_bytes():
                return int(path.name)
        except OSError:
            continue
    raise AssertionError("there is no process of rank 1")


def test_a_process_that_dies_ends_a_run_that_one_process_goes_on_with(tmp_path):
    settings = [*SMALL.split(), "architecture.width=16", "trainer.steps=100000", "trainer.checkpoint_steps=5"]
    directory = RunDirectory(tmp_path / "run")
    command = launched(2, "-m", "vae_runner", "train", f"hydra.run.dir={directory.path}", *settings)
    with open(tmp_path / "said", "w") as said:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=said, stderr=said)
        try:
            while not directory.last.is_file():
                assert process.poll() is None
                time.sleep(0.1)
            os.kill(the_other_process(process), signal.SIGKILL)
            assert process.wait(120) != 0
        finally:
            process.kill()
    assert directory.state() == "failed"
    assert directory.status()["processes"] == 2
    said_then = (tmp_path / "said").read_text()
    assert said_then.count("each batch is divided among 2 processes\n") == 1
    assert f"is gone, or silent; to go on: vae-run train resume={directory.path}" in said_then
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "said"]

    done = training_lines(directory.path)[-1]["step"]
    assert main(["train", f"resume={directory.path}", f"trainer.steps={done + 20}"]) == 0
    assert directory.status()["processes"] == 1
    fit(tmp_path / "alone", *settings, f"trainer.steps={done + 20}")
    assert_same_curves(tmp_path / "alone", directory.path)


GLOO = "/__w/pytorch/pytorch/third_party/gloo/gloo/transport/tcp"
HANGING = """
import sys, time, torch
from datetime import timedelta
from vae_runner.training import distributed
distributed.SILENCE = distributed.PATIENCE = timedelta(seconds=2)
world = distributed.Processes()
if world.rank == 1:
    time.sleep(8)
for _ in range(2):
    try:
        world._add(torch.ones(3))
    except distributed.LostProcess as error:
        print("lost:", error, flush=True)
"""


def test_a_process_that_is_silent_is_lost_at_every_look(tmp_path):
    (tmp_path / "hanging.py").write_text(HANGING)
    done = subprocess.run(
        launched(2, "hanging.py"), cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.stdout.count("lost: another process of this training is gone, or silent") >= 2


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(f"[{GLOO}/pair.cc:561] Connection closed by peer [127.0.0.1]:5524. This is typically caused by"),
        RuntimeError(f"[{GLOO}/unbound_buffer.cc:78] Timed out waiting 4000ms for recv operation to complete"),
        RuntimeError("Application timeout caused pair closure"),
        torch.distributed.DistNetworkError("failed to recv, got 0 bytes"),
        torch.distributed.DistBackendError("NCCL error: remote process exited\nncclRemoteError: A call failed"),
    ],
)
def test_what_torch_says_of_a_lost_connection_is_a_lost_process(error):
    with pytest.raises(LostProcess), _listening():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("The size of tensor a (3) must match the size of tensor b (5)"),
        RuntimeError(f"[enforce fail at {GLOO}/pair.cc:454] op.preamble.length <= op.nbytes. 20 vs 12"),
        torch.distributed.DistBackendError("NCCL error: invalid usage\nncclInvalidUsage: Duplicate GPU detected"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
)
def test_any_other_error_of_a_process_stays_what_it_is(error):
    with pytest.raises(type(error)) as raised, _listening():
        raise error
    assert raised.value is error


def test_that_another_process_is_lost_is_noted_though_torchrun_ends_this_one_meanwhile(tmp_path, monkeypatch):
    def told_to_end(self, **changes):
        if changes.get("state") == "failed":
            os.kill(os.getpid(), signal.SIGTERM)
        update(self, **changes)

    update, before = RunDirectory.update_status, signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(RunDirectory, "update_status", told_to_end)
    try:
        with interruptible(), pytest.raises(LostProcess), execute._status(RunDirectory(tmp_path), config_of()):
            raise LostProcess("another process is gone")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert RunDirectory(tmp_path).status()["state"] == "failed"


def test_noise_of_a_process_by_itself_leaves_all_random_states_as_they_were(monkeypatch):
    seeded = []
    monkeypatch.setattr("torch.cuda.manual_seed_all", seeded.append)  # which torch.manual_seed calls

    def drawn(rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        layers = torch.nn.LSTM(3, 4, num_layers=2, dropout=0.5)
        for parameter in layers.parameters():
            torch.nn.init.constant_(parameter, 0.5)
        _give_own_noise(layers, rank)
        torch.default_generator.manual_seed(0)
        h, _ = layers(torch.ones(5, 2, 3))
        return h, torch.get_rng_state()

    (one, state), (other, same) = drawn(0), drawn(1)
    assert not torch.equal(one, other)
    assert torch.equal(state, same)
    assert not seeded


def rank_of_two(monkeypatch, rank: int) -> None:
    for name, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


def test_a_sweep_is_not_for_several_processes():
    with pytest.raises(UserError, match="-m: several processes train one run"):
        train_together._lead(SimpleNamespace(leads=True), ["-m", "latent_dim=2,3"])


def test_a_batch_has_an_example_for_each_process():
    with pytest.raises(UserError, match=r"trainer\.batch_size=3: a batch is divided among 4 processes"):
        execute._built(config_of("trainer.batch_size=3"), SimpleNamespace(size=4))


def test_only_training_is_for_several_processes(monkeypatch, capsys):
    for rank in (0, 1):
        rank_of_two(monkeypatch, rank)
        assert main(["evaluate", "run=x"]) == 2
    assert capsys.readouterr().err == "vae-run: torchrun goes with train alone: type vae-run evaluate run=x\n"


def test_each_of_several_processes_has_a_device_of_its_own(monkeypatch):
    rank_of_two(monkeypatch, 1)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert str(choose_device("auto")) == str(choose_device("cuda")) == "cuda:1"
    with pytest.raises(UserError, match=r"trainer\.device=cuda:0: each of several processes has its own"):
        choose_device("cuda:0")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(UserError, match="type torchrun --nproc-per-node=1"):
        choose_device("auto")


def test_several_processes_without_gpus_are_on_the_cpu(monkeypatch):
    rank_of_two(monkeypatch, 1)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert str(choose_device("auto")) == "cpu"
