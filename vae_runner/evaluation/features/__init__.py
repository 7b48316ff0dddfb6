"""Features in which samples are compared with data, from a small network that is trained on the data itself.

What is known as FID compares images in the features of an Inception network. Where there is none at hand, or the data
is not photographs, a network that learnt to tell the data's own classes takes its place:

    images with classes       convolutions                          features: its last hidden layer, 64 units
    images without            the same, told by how many quarter turns an image was turned (Gidaris et al. 2018);
                              half turns, where images are not square. Images are also shifted by up to an eighth of a
                              side, or else where their centre lies, to half a pixel, tells the turn
    vectors with classes      a fully connected network             the same
    vectors without           their whitened principal components, 64 at most, and no network
    text                      as vectors, of how often each token is in it, and each two side by side
    sequences of any length   as vectors, of means over their steps: of values, and of products of two, at one step
                              and at a step and the one before
    images, given a file      Inception v3 (Szegedy et al. 2016)    its 2,048 pooled features

The features of a network are scaled, all by one number, so that their mean variance over the training examples is 1.
Figures in one of these compare with each other, for the same data and the same network, and not with published ones.
Each says in `name` what it is. Sequences of vectors, where they are of one length, count as one long vector.
"""

from vae_runner.evaluation.features.inception import InceptionFeatures
from vae_runner.evaluation.features.networks import Components, Features, Network
from vae_runner.evaluation.features.saving import load, save
from vae_runner.evaluation.features.summaries import ended_alike, to_its_end
from vae_runner.evaluation.features.training import train_features

__all__ = [
    "Components",
    "Features",
    "InceptionFeatures",
    "Network",
    "ended_alike",
    "load",
    "save",
    "to_its_end",
    "train_features",
]
