import os
import pickle
import zipfile

import pytest
import torch

from vae_runner.errors import UserError
from vae_runner.training import checkpoint


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"model": {"w": torch.arange(2000.0)}, "step": 3})
    return path


def test_a_checkpoint_comes_back_as_it_was(saved):
    state = checkpoint.load(saved)
    assert torch.equal(state["model"]["w"], torch.arange(2000.0))
    assert state["step"] == 3


def test_torch_reads_it_without_unpickling_code(saved):
    assert torch.load(saved, weights_only=True)["step"] == 3


def test_one_flipped_bit_is_found_wherever_it_is(saved):
    content = saved.read_bytes()
    with zipfile.ZipFile(saved) as archive:
        entry = max(archive.infolist(), key=lambda entry: entry.file_size)
    start = content.index(torch.arange(2000.0).numpy().tobytes())
    assert entry.file_size >= 8000
    for position in (start, start + 4001, start + 7999):
        damaged = bytearray(content)
        damaged[position] ^= 16
        saved.write_bytes(damaged)
        with pytest.raises(UserError, match=r"last\.pt: damaged"):
            checkpoint.load(saved)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_one_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"damaged|not a checkpoint"):
        checkpoint.load(saved)


def test_another_program_s_file_is_refused(tmp_path):
    path = tmp_path / "theirs.pt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(UserError, match="not a checkpoint of vae_runner"):
        checkpoint.load(path)


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "evil.pt"
    torch.save({"format": checkpoint.FORMAT, "model": Evil()}, path)
    with pytest.raises(UserError, match="refused"):
        checkpoint.load(path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="not a checkpoint"):
        checkpoint.load(path)
    assert not (tmp_path / "ran").exists()


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.pt: cannot be read"):
        checkpoint.load(tmp_path / "gone.pt")
