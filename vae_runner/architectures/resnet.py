"""Residual blocks between resolutions, pre-activated (He et al. 2016, "Identity mappings")."""

from typing import Annotated, Any

from torch import Tensor, nn

from vae_runner.architectures.layers import ACTIVATIONS, normalisation
from vae_runner.architectures.pyramid import Pyramid
from vae_runner.settings import Range


class ResidualBlock(nn.Module):
    """x + f(x), f: two times normalise, activate, convolve 3x3. The last convolution starts at zero (identity)."""

    def __init__(self, channels: int, activation: str, norm: str):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [*normalisation(norm, channels, spatial=True), ACTIVATIONS[activation]()]
            layers += [last := nn.Conv2d(channels, channels, 3, padding=1)]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.residual = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


class ResNet(Pyramid):
    """`blocks` residual blocks at each resolution; average pooling down, nearest-neighbour enlarging up."""

    def __init__(self, *, blocks: Annotated[int, Range(1, 64)] = 1, **common: Any):
        super().__init__(**common)
        self.blocks = blocks

    def halve(self, inputs: int, outputs: int, size: tuple[int, ...], smaller: tuple[int, ...]) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.AvgPool2d(2), *self._residuals(outputs)]

    def double(self, inputs: int, outputs: int, size: tuple[int, ...], larger: tuple[int, ...]) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.Upsample(size=larger), *self._residuals(outputs)]

    def close(self, channels: int) -> list[nn.Module]:
        # pre-activated blocks leave their sum bare
        return [*normalisation(self.normalisation, channels, spatial=True), self.activate()]

    def _residuals(self, channels: int) -> list[nn.Module]:
        return [ResidualBlock(channels, self.activation, self.normalisation) for _ in range(self.blocks)]
