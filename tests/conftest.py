"""What the tests share: one thread (small tensors gain nothing from two), the device, and where the real data may be.

They run on the CPU, also where there is a GPU. `make test-gpu` runs those in tests/gpu, with TEST_ON_GPU=1.
"""

import gc
import os
import pickle
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

if not os.environ.get("TEST_ON_GPU"):
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks


def pytest_collection_finish():
    """What was imported stays: to look through it for garbage again and again is a tenth of all the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNNER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def own_options_read_once():
    """The files of the config tree do not change meanwhile, and to parse them is a quarter of composing a config."""
    from hydra._internal.sources_registry import SourcesRegistry

    from vae_runner.config import compose, configs_directory

    compose([])  # by now Hydra has loaded what it reads files by
    source, tree = SourcesRegistry.instance().types["file"], str(configs_directory().resolve())
    read, kept = source.load_config, {}

    def load_config(self, config_path):
        if self.path != tree:
            return read(self, config_path)
        if config_path not in kept:
            kept[config_path] = pickle.dumps(read(self, config_path))
        return pickle.loads(kept[config_path])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "load_config", load_config)
        yield


@pytest.fixture(autouse=True)
def own_random_numbers():
    """A test draws the same numbers whatever was drawn before it in its process."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def figures_undrawn(request):
    """Figures come out blank, in a twentieth of the time, except for tests that look at them."""
    with pytest.MonkeyPatch.context() as patch:
        if "figures_drawn" not in request.fixturenames:
            from matplotlib.backends.backend_agg import FigureCanvasAgg

            patch.setattr(FigureCanvasAgg, "draw", lambda canvas: canvas.get_renderer().clear())
        yield


@pytest.fixture
def figures_drawn():
    """What a test asks for that looks at figures."""


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
