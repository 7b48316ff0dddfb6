"""Arrays written block by block."""

import numpy as np
import pytest

from vae_runner.reporting.npz import write_npz


def test_blocks_come_back_as_one_array_beside_the_others(tmp_path):
    x = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    seen = []

    def blocks():
        for block in (x[:4], x[4:]):
            seen.append(len(block))
            yield block

    path = tmp_path / "x.npz"
    write_npz(path, "x", x.shape, blocks(), lambda: {"count": sum(seen), "what": "text"})
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["x"], x)
        assert arrays["count"] == 7
        assert arrays["what"].item() == "text"


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"old")

    def blocks():
        yield np.zeros((1, 2), np.float32)
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        write_npz(path, "x", (2, 2), blocks(), dict)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
