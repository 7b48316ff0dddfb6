"""Tensors, wherever they are, as the NumPy arrays that pictures are drawn from."""

from typing import TypeAlias

import numpy as np
from torch import Tensor

Values: TypeAlias = Tensor | np.ndarray


def as_array(values: Values) -> np.ndarray:
    """A copy on the host, in float32 unless the values are integers or bool."""
    if isinstance(values, Tensor):
        values = values.detach()
        values = (values.float() if values.is_floating_point() else values).cpu().numpy()
    return np.asarray(values)
