"""Strided convolutions up, transposed convolutions down, as in DCGAN (Radford et al. 2016)."""

from torch import nn

from vae_runner.architectures.layers import normalisation
from vae_runner.architectures.pyramid import Pyramid


class Conv(Pyramid):
    """One 4x4 convolution of stride 2 per halving. Odd sizes come back exactly, through the output padding."""

    def halve(self, inputs: int, outputs: int, size: tuple[int, ...], smaller: tuple[int, ...]) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 4, stride=2, padding=1),
            *normalisation(self.normalisation, outputs, spatial=True),
            self.activate(),
        ]

    def double(self, inputs: int, outputs: int, size: tuple[int, ...], larger: tuple[int, ...]) -> list[nn.Module]:
        odd = (larger[0] % 2, larger[1] % 2)
        return [
            nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, output_padding=odd),
            *normalisation(self.normalisation, outputs, spatial=True),
            self.activate(),
        ]
