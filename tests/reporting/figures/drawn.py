"""What is seen in a picture."""

import numpy as np


def pixels(image):
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def shows(image, colour):
    """Whether a colour is in the picture, however transparent: what it takes from white has its direction."""
    from matplotlib.colors import to_rgb

    taken, wanted = 255 - pixels(image), 255 - np.array(to_rgb(colour)) * 255
    length = np.linalg.norm(taken, axis=-1)
    alike = (taken @ wanted) / np.maximum(length, 1) / np.linalg.norm(wanted)
    return bool(((alike > 0.999) & (length > 60)).any())


def ink(image, rows):
    """The first and the last column with ink in the topmost rows, and the width."""
    inked = np.nonzero((pixels(image)[rows] < 200).any(-1).any(0))[0]
    return inked.min(), inked.max(), image.width
