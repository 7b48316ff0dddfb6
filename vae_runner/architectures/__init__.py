"""The networks, as layers: factories that know shapes and nothing of latents."""

from vae_runner.architectures.conv import Conv
from vae_runner.architectures.mlp import MLP
from vae_runner.architectures.resnet import ResNet

__all__ = ["MLP", "Conv", "ResNet"]
