"""What is trained in the benchmarks: data, the network as anybody would write it, and the settings of `vae-run train`.

The three networks of a job (by hand, pythae's, ours) have the same layers, so they have the same number of parameters.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENTS = 20


class Reader(nn.Module):
    """The states of both directions of an LSTM over (N, T, D), where each has read everything: (N, 2 * width)."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.network = nn.LSTM(inputs, width, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[1][0].transpose(0, 1).flatten(1)


class Sequences(nn.Module):
    """A decoder from z (N, 20) to (N, T, D): an LSTM that z sets off, told z at each step, weighed by place."""

    def __init__(self, steps: int, outputs: int, width: int):
        super().__init__()
        self.network = nn.LSTM(width, width, batch_first=True)
        self.entry, self.given = nn.Linear(LATENTS, width), nn.Linear(LATENTS, width)
        self.place = nn.Parameter(torch.randn(steps, width))
        self.out = nn.Linear(width, outputs)

    def forward(self, z: Tensor) -> Tensor:
        memory = self.entry(z)[None]
        return self.out(self.network(self.given(z)[:, None] * self.place, (memory.tanh(), memory))[0])


def mlp() -> tuple[nn.Module, nn.Module]:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 2 * LATENTS))
    decoder = nn.Sequential(nn.Linear(LATENTS, 400), nn.ReLU(), nn.Linear(400, 784), nn.Unflatten(1, (1, 28, 28)))
    return encoder, decoder


def conv(side: int) -> tuple[nn.Module, nn.Module]:
    """Strided convolutions down to 4x4, 32 channels at first and twice as many at each halving."""
    channels = [3, *(32 * 2**i for i in range((side // 4).bit_length() - 1))]
    down: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        down += [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU()]
    size = channels[-1] * 16
    up: list[nn.Module] = [nn.Linear(LATENTS, size), nn.ReLU(), nn.Unflatten(1, (channels[-1], 4, 4))]
    for before, after in zip(channels[:1:-1], channels[-2:0:-1], strict=True):
        up += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU()]
    up += [nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 3, 1)]
    return nn.Sequential(*down, nn.Flatten(), nn.Linear(size, 2 * LATENTS)), nn.Sequential(*up)


class Residual(nn.Module):
    """x + f(x), which begins as the identity."""

    def __init__(self, channels: int):
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, 1, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.f = nn.Sequential(nn.SiLU(), nn.Conv2d(channels, channels, 3, 1, 1), nn.SiLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


def resnet(side: int) -> tuple[nn.Module, nn.Module]:
    """A residual block at each resolution down to 4x4, 32 channels at first and twice as many at each halving."""
    channels = [3, *(32 * 2**i for i in range((side // 4).bit_length() - 1))]
    down: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        down += [nn.Conv2d(before, after, 3, 1, 1), nn.AvgPool2d(2), Residual(after)]
    size = channels[-1] * 16
    up: list[nn.Module] = [nn.Linear(LATENTS, size), nn.SiLU(), nn.Unflatten(1, (channels[-1], 4, 4))]
    for before, after in zip(channels[:0:-1], [*channels[-2:0:-1], 32], strict=True):
        up += [nn.Conv2d(before, after, 3, 1, 1), nn.Upsample(scale_factor=2), Residual(after)]
    up += [nn.SiLU(), nn.Conv2d(32, 3, 1)]
    return nn.Sequential(*down, nn.SiLU(), nn.Flatten(), nn.Linear(size, 2 * LATENTS)), nn.Sequential(*up)


def recurrent() -> tuple[nn.Module, nn.Module]:
    return nn.Sequential(Reader(1, 64), nn.Linear(128, 2 * LATENTS)), Sequences(64, 1, 64)


@dataclass
class Job:
    """network: builds encoder (-> mean and log-variance) and decoder (-> logits, or means). bernoulli: of uint8 images,
    the targets of a cross-entropy; else of real values, those of half a squared error. settings: of our runner.
    """

    name: str
    epochs: int
    settings: list[str]
    bernoulli: bool = True
    batch_size: int = 128
    learning_rate: float = 1e-3
    shape: tuple[int, ...] = ()
    counts: tuple[int, int] = (0, 0)
    network: Callable[[], tuple[nn.Module, nn.Module]] = mlp

    def make(self, root: Path, most: int | None = None) -> None:
        """Writes `train.npy` and `test.npy`, and what our runner reads, into a folder: `most` training examples."""
        generator = torch.Generator().manual_seed(0)
        if self.name == "mlp" and (found := mnist()):
            train, test = found
        else:
            train, test = (self._examples(n, generator) for n in self.counts)
        train = train[:most]
        np.save(root / "train.npy", train.numpy())
        np.save(root / "test.npy", test.numpy())
        np.savez(root / "both.npz", x_train=train.numpy(), x_test=test.numpy())

    def _examples(self, n: int, generator: torch.Generator) -> Tensor:
        if self.bernoulli:  # smooth blobs of colour
            coarse = torch.rand(n, self.shape[0], 4, 4, generator=generator)
            return F.interpolate(coarse, self.shape[1:], mode="bicubic").mul(255).clamp(0, 255).to(torch.uint8)
        phase, cycles = torch.rand(2, n, 1, generator=generator)
        waves = (2 * torch.pi * (phase + torch.linspace(0, 1, self.shape[0]) * (1 + 4 * cycles))).sin()
        return (waves + 0.1 * torch.randn(waves.shape, generator=generator))[..., None]

    def command(self, root: Path, place: Path, epochs: int, examples: int) -> list[str]:
        """The arguments of `vae-run train`."""
        steps = epochs * examples // self.batch_size
        return [
            *(["data=arrays"] if self.bernoulli else ["data=series", "data.scale=none"]),
            f"data.path={root / 'both.npz'}",
            "data.validation=0.02",
            f"latent_dim={LATENTS}",
            f"trainer.batch_size={self.batch_size}",
            f"trainer.epochs={epochs}",
            f"optimizer.lr={self.learning_rate}",
            f"trainer.log_steps={max(1, min(50, steps // 6))}",
            f"hydra.run.dir={place}",
            *self.settings,
        ]


def mnist() -> tuple[Tensor, Tensor] | None:
    """Training and test images, where VAE_RUNNER_DATA has them."""
    from vae_runner.data.published.mnist import MNIST

    root = os.environ.get("VAE_RUNNER_DATA", "data")
    if not any((Path(root) / "MNIST" / "raw").glob("train-images*")):
        return None
    data = MNIST(name="MNIST", root=root, download=False, validation=0).open()
    train, test = (split.take(torch.arange(len(split)))[0] for split in (data.train, data.test))
    return train, test


def of_colour(kind: str, side: int, counts: tuple[int, int]) -> Job:
    shape = (3, side, side)
    network = {"conv": conv, "resnet": resnet}[kind]
    return Job(f"{kind}{side}", 1, [f"architecture={kind}"], shape=shape, counts=counts, network=lambda: network(side))


JOBS = {
    job.name: job
    for job in (
        Job("mlp", 10, ["architecture.depth=1"], shape=(1, 28, 28), counts=(60_000, 10_000), network=mlp),
        of_colour("conv", 32, (6_000, 500)),
        of_colour("conv", 64, (1_500, 200)),
        of_colour("resnet", 32, (3_000, 200)),
        Job(
            "recurrent",
            1,
            ["architecture=recurrent", "architecture.width=64", "likelihood=gaussian", "likelihood.scale=1"],
            bernoulli=False,
            shape=(64, 1),
            counts=(10_000, 1_000),
            network=recurrent,
        ),
    )
}
