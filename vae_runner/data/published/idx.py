"""The file format of MNIST: a big-endian header (type, number of axes, their lengths), then the bytes."""

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def read_idx(path: Path) -> Tensor:
    """A uint8 tensor from an idx file, packed (.gz) or not. Raises ValueError or OSError when it is damaged."""
    content = path.read_bytes()
    return parse_idx(gzip.decompress(content) if path.suffix == ".gz" else content)


def parse_idx(content: bytes) -> Tensor:
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 4:
        raise ValueError("not an idx file of bytes")
    axes = content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise ValueError("the header is cut off")
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{len(content) - start} bytes where {' x '.join(map(str, shape))} were promised")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy())
