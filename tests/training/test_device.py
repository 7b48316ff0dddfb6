"""Where to compute, as far as it can be told without a GPU."""

import pytest
import torch

from tests.helpers import config_of
from vae_runner.build import build_experiment
from vae_runner.errors import UserError
from vae_runner.training.device import choose_device, lay_out


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 1)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_a_gpu_is_told_by_its_number_which_torch_asks_for(two_gpus, name):
    assert choose_device(name) == torch.device("cuda", 1)


def test_a_gpu_that_is_not_there_is_refused(two_gpus):
    assert str(choose_device("cuda:0")) == "cuda:0"
    with pytest.raises(UserError, match="which has cpu, cuda:0, cuda:1; use auto"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    ("device", "precision", "last"),
    [("cuda", "bf16", True), ("cuda", "tf32", True), ("cuda", "fp32", False), ("cpu", "bf16", False)],
)
def test_channels_lie_last_where_a_gpu_convolves_on_matrix_units(device, precision, last):
    config = config_of("architecture=conv", "architecture.width=8")
    model, plain = (build_experiment(config).model for _ in range(2))
    lay_out(model, torch.device(device), precision)
    model.load_state_dict(plain.state_dict())  # a checkpoint is read into what is there
    (name, weight), *_ = [(n, p) for n, p in model.named_parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    assert weight.is_contiguous(memory_format=torch.channels_last) == last
    assert torch.equal(weight, plain.get_parameter(name))
