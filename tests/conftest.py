"""What the tests share: one thread (small tensors gain nothing from two), the device, and where the real data may be.

They run on the CPU, also where there is a GPU. `make test-gpu` runs those in tests/gpu, with TEST_ON_GPU=1.
"""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

if not os.environ.get("TEST_ON_GPU"):
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNNER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, or a skip that names what is missing."""
    folder = Path(os.environ.get("VAE_RUNNER_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "MNIST").is_dir():
        pytest.skip(f"real data: no MNIST under {folder} (set VAE_RUNNER_DATA)")
    return folder


@pytest.fixture
def no_waiting():
    """A context in which an operator that waits for the device fails."""
    from tests.waiting import NoWaiting

    return NoWaiting
