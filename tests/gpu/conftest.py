"""These need a GPU, and skip where torch finds none: `make test-gpu`."""

import pytest
import torch


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        skip = pytest.mark.skip(reason="needs a GPU: make test-gpu, where there is one")
        for item in items:
            if "tests/gpu/" in item.path.as_posix():
                item.add_marker(skip)
