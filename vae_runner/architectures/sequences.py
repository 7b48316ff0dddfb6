"""Pieces of networks over sequences: x as a vector per step, and encoders that honour where a sequence ends."""

import math

import torch
from torch import Tensor, nn

from vae_runner import noise
from vae_runner.architectures.layers import Shape, context_size
from vae_runner.data.space import Space


class Steps(nn.Module):
    """x as one vector of `size` per step: tokens embedded, images row by row."""

    def __init__(self, space: Space, embedding: int):
        super().__init__()
        self.time = 2 if space.image else 1  # the dimension that steps are counted along
        self.length = space.shape[self.time - 1]
        self.embedding = nn.Embedding(space.categories, embedding) if space.categories else nn.Identity()
        self.size = embedding if space.categories else space.size // self.length

    def forward(self, x: Tensor) -> Tensor:
        """x (N, T, D), tokens (N, T) or images (N, C, T, W) -> (N, T, size)."""
        x = self.embedding(x)
        return x.transpose(1, 2).flatten(2) if self.time == 2 else x


def network(cell: str, inputs: int, width: int, depth: int, dropout: float) -> nn.GRU | nn.LSTM:
    """Layers of recurrent units over (N, T, inputs)."""
    kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
    return kind(inputs, width, depth, batch_first=True, dropout=dropout if depth > 1 else 0.0)


def places(steps: int, width: int) -> Tensor:
    """Where a step is, as waves (steps, width) of unit mean square: from half a cycle in all to one in eight steps.

    Waves make neighbours alike, as the steps of series and images are (cf. Vaswani et al. 2017, section 3.5).
    """
    cycles = torch.logspace(math.log10(0.5), math.log10(max(steps / 8, 1)), width)
    turn = torch.arange(steps)[:, None] / steps * cycles + torch.rand(width)
    return math.sqrt(2) * (2 * math.pi * turn).sin()


def with_context(h: Tensor, context: Tensor | None) -> Tensor:
    """Joins a context (N, ...) to each step of (N, T, F)."""
    if context is None:
        return h
    return torch.cat([h, context.flatten(1)[:, None].expand(-1, h.shape[1], -1)], 2)


def present(mask: Tensor | None, h: Tensor) -> Tensor:
    """Which steps of h (N, T, F) come before the end of their sequence, (N, T): up to the last that counts at all."""
    if mask is None:
        return torch.ones_like(h[:, :, 0])
    counts = mask.to(h.dtype).flatten(2).amax(2) if mask.dim() > 2 else mask.to(h.dtype)
    counts = counts.expand(h.shape[:2])
    # a sequence of no steps at all would leave nothing to read
    return torch.cat([torch.ones_like(counts[:, :1]), counts.flip(1).cummax(1).values.flip(1)[:, 1:]], 1)


def reverse(h: Tensor, present: Tensor) -> Tensor:
    """h (N, T, F) with the steps of each sequence in reverse order; what follows its end stays where it is."""
    step = torch.arange(h.shape[1], device=h.device)
    mirrored = present.sum(1, keepdim=True).long() - 1 - step
    return h.gather(1, mirrored.where(mirrored >= 0, step)[:, :, None].expand_as(h))


class Encoder(nn.Module):
    """A stage from sequences, and a context at each step, to one vector; a subclass says how the steps are read.

    `shape` of that vector; `size` of the features of a step.
    """

    any_length = True
    shape: Shape
    size: int

    def __init__(self, steps: Steps, context: Shape, dropout: float):
        super().__init__()
        self.steps, self.dropout = steps, noise.Dropout(dropout)
        self.inputs = steps.size + context_size(context, spatial=False)

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """x (N, T, D), mask (N, T, 1), or as `Steps` and `present` take them -> (N, *shape)."""
        return self.summary(*self.along(x, context, mask))

    def along(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The features of each step (N, T, size), and which steps there are (N, T)."""
        h = with_context(self.dropout(self.steps(x)), context)
        there = present(mask, h)
        return self.dropout(self.read(h, there)), there

    def read(self, h: Tensor, there: Tensor) -> Tensor:
        """Features of each step (N, T, size) from inputs (N, T, inputs); there (N, T): which steps there are."""
        raise NotImplementedError

    def summary(self, h: Tensor, there: Tensor) -> Tensor:
        """One vector (N, *shape) from the features of each step (N, T, size)."""
        raise NotImplementedError


class RecurrentEncoder(Encoder):
    """Recurrent layers, and where `backward` others that begin at the end; the vector is where each has come to."""

    def __init__(self, steps: Steps, context: Shape, dropout: float, cell: str, width: int, depth: int, backward: bool):
        super().__init__(steps, context, dropout)
        self.directions = nn.ModuleList(
            network(cell, self.inputs, width, depth, dropout) for _ in range(2 if backward else 1)
        )
        self.size = width * len(self.directions)
        self.shape = (self.size,)

    def read(self, h: Tensor, there: Tensor) -> Tensor:
        read = [self.directions[0](h)[0]]
        for backward in self.directions[1:]:
            read.append(reverse(backward(reverse(h, there))[0], there))
        return torch.cat(read, 2)

    def summary(self, h: Tensor, there: Tensor) -> Tensor:
        forward, *backward = h.chunk(len(self.directions), 2)
        last = there.sum(1).long() - 1
        return torch.cat([forward[torch.arange(len(h), device=h.device), last], *(b[:, 0] for b in backward)], 1)


class ConvolutionalEncoder(Encoder):
    """Residual convolutions of 3 steps, `depth` at each dilation 1, 2, 4, ..., until a step sees the whole sequence.

    The vector is the mean and the maximum over the steps (dilations: van den Oord et al. 2016). Neither says where
    something was, so the steps are told their places first.
    """

    places: Tensor

    def __init__(self, steps: Steps, context: Shape, dropout: float, width: int, depth: int):
        super().__init__(steps, context, dropout)
        dilations = [2**i for i in range(max(1, math.ceil(math.log2(steps.length)))) for _ in range(depth)]
        self.entry = nn.Linear(self.inputs, width)
        self.register_buffer("places", places(steps.length, width))
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in dilations)
        self.size = width
        self.shape = (2 * width,)

    def read(self, h: Tensor, there: Tensor) -> Tensor:
        h, there = (self.entry(h) + self.places[: h.shape[1]]).transpose(1, 2), there[:, None]
        for layer in self.layers:
            # what follows the end is kept at zero, as what follows the longest sequence is
            h = h + torch.relu(layer(h * there))
        return h.transpose(1, 2)

    def summary(self, h: Tensor, there: Tensor) -> Tensor:
        there = there[:, :, None]
        mean = (h * there).sum(1) / there.sum(1)
        return torch.cat([mean, h.masked_fill(there == 0, -torch.inf).amax(1)], 1)
