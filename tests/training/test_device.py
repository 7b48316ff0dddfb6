"""Where to compute, as far as it can be told without a GPU."""

import pytest
import torch

from tests.helpers import config_of
from vae_runner.build import build_experiment
from vae_runner.config import Tree, configs_directory
from vae_runner.errors import UserError
from vae_runner.evaluation.evaluate import totals_of
from vae_runner.training.device import choose_device, lay_out

VARIANTS = [*Tree([configs_directory()]).options("variant")]


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


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in ("vrae", "vrnn")])
@pytest.mark.parametrize("architecture", ["conv", "resnet"])
def test_where_channels_lie_changes_no_loss(variant, architecture):
    config = config_of(f"variant={variant}", f"architecture={architecture}", "architecture.width=8")
    found = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        experiment = build_experiment(config)
        lay_out(experiment.model, torch.device(device), "bf16")
        torch.manual_seed(1)
        batch = experiment.data.batch(experiment.data.train, torch.arange(12))
        terms, _ = experiment.objective.losses(experiment.model, batch, experiment.kl)
        totals = totals_of(terms)
        sum(totals.values()).backward()
        norms = torch.stack([p.grad.norm() for p in experiment.model.parameters() if p.grad is not None])
        found.append((torch.stack([*totals.values()]), norms))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-3, atol=1e-4)
    # another vector of a codebook may be the nearest by a rounding
    torch.testing.assert_close(found[1][1], found[0][1], rtol=0.1, atol=1e-2)
