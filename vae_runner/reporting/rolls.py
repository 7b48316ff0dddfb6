"""Sequences of many channels as images: time to the right, channels upwards, as in a piano roll."""

import numpy as np

from vae_runner.reporting.arrays import Values, as_array
from vae_runner.reporting.grids import Limits
from vae_runner.reporting.midi import KEYS, LOWEST

NOTE = np.array([0.09, 0.24, 0.50], np.float32)
BLACK_KEYS = (1, 3, 6, 8, 10)  # from C
WHITE, BLACK = 0.97, 0.89


def as_images(x: Values, limits: Limits = (0.0, 1.0), missing: Values | None = None) -> np.ndarray:
    """x (N, T, D) as images (N, 3, D, T) within the same limits, from paper at the lower to ink at the upper one.

    Not-a-number is left white: there is nothing there. Where `missing` (N, T, D) is true it stays what it is. The rows
    of 88 channels are shaded as the keys of a piano.
    """
    array = as_array(x).astype(np.float32)
    low, high = limits
    ink = ((array - low) / max(high - low, 1e-12)).clip(0, 1)[..., None]
    keys = np.arange(LOWEST, LOWEST + array.shape[2]) % 12
    shaded = np.isin(keys, BLACK_KEYS) & (array.shape[2] == KEYS)
    paper = np.where(shaded, BLACK, WHITE).astype(np.float32)[:, None]
    colour = np.nan_to_num(paper + ink * (NOTE - paper), nan=1.0)
    if missing is not None:
        colour[as_array(missing)] = np.nan
    return low + (high - low) * colour.transpose(0, 3, 2, 1)[:, :, ::-1]
