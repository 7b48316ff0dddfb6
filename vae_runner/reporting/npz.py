"""A .npz file whose largest array is never in memory as a whole."""

import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vae_runner.run_directory import whole_file


def write_npz(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    blocks: Iterable[np.ndarray],
    others: Callable[[], Mapping[str, Any]],
) -> None:
    """Writes the float32 array `name` of that shape, given block by block along its first dimension, beside `others`.

    others: asked after the last block. The file appears whole or not at all, and equal arrays give equal bytes.
    """
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(entry, header)
            for block in blocks:
                entry.write(np.ascontiguousarray(block, "<f4").tobytes())
        for other, value in others().items():
            with archive.open(f"{other}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(value), allow_pickle=False)
