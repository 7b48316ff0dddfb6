"""Recurrent networks over sequences, text, and images row by row (Bowman et al. 2016; Fabius & van Amersfoort 2015).

z gives the initial state and is an input of every step. With teacher forcing

    h_t = cell(h_t-1, x_t-1, z),   p(x|z) = prod_t p(x_t | h_t)

and without it x_t-1 is left out: z alone says what x is, all of it at once.
"""

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from vae_runner import noise
from vae_runner.architectures.layers import FlatStage, Shape, append_context, context_size
from vae_runner.architectures.mlp import MLP
from vae_runner.architectures.sequences import (
    ConvolutionalEncoder,
    Encoder,
    RecurrentEncoder,
    Steps,
    network,
    places,
    with_context,
)
from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.settings import Range

State = tuple[Tensor, Tensor | tuple[Tensor, Tensor]]  # what is given at every step, and the state of the cells


class Recurrent:
    """teacher_forcing: whether the decoder is told the step before; None: for binary and categorical data, where it
    is told most of what there is to know, and not for real values, which it could copy without any use of z."""

    provides: ClassVar[set[str]] = {"recurrent"}

    def __init__(
        self,
        *,
        cell: Literal["lstm", "gru"] = "lstm",
        width: Annotated[int, Range(1, 65536)] = 128,
        depth: Annotated[int, Range(1, 16)] = 1,
        encoder: Literal["recurrent", "bidirectional", "convolutional"] = "bidirectional",
        embedding: Annotated[int, Range(1, 65536)] = 32,
        dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.0,
        word_dropout: Annotated[float, Range(0, 1)] = 0.0,
        teacher_forcing: bool | None = None,
    ):
        self.cell, self.width, self.depth, self.encoder = cell, width, depth, encoder
        self.embedding, self.dropout, self.word_dropout = embedding, dropout, word_dropout
        self.teacher_forcing = teacher_forcing

    def steps(self, space: Space) -> Steps:
        """x as a vector per step.

        Raises UserError for vectors, which have no steps.
        """
        if not (space.sequence or space.image):
            raise UserError(
                f"architecture=recurrent reads sequences, text, or images row by row; this data has examples of shape "
                f"{tuple(space.shape)}: type architecture=mlp"
            )
        return Steps(space, self.embedding)

    def network(self, inputs: int) -> nn.GRU | nn.LSTM:
        """The recurrent layers over (N, T, inputs)."""
        return network(self.cell, inputs, self.width, self.depth, self.dropout)

    def bottom_up(self, space: Space, levels: int, context: Shape) -> nn.ModuleList:
        """One stage per level; the first reads the sequence, the others are hidden layers."""
        stages: list[Encoder | FlatStage] = [self._encoder(self.steps(space), context)]
        for _ in range(levels - 1):
            stages.append(self.top_down(stages[-1].shape, (), (), ()))
        return nn.ModuleList(stages)

    def _encoder(self, steps: Steps, context: Shape) -> Encoder:
        if self.encoder == "convolutional":
            return ConvolutionalEncoder(steps, context, self.dropout, self.width, self.depth)
        backward = self.encoder == "bidirectional"
        return RecurrentEncoder(steps, context, self.dropout, self.cell, self.width, self.depth, backward)

    def latent_shape(self, feature_shape: Shape, latent_dim: int, top: bool) -> Shape:
        return (latent_dim,)

    def top_down(self, latent_shape: Shape, start: Shape, target: Shape, context: Shape) -> FlatStage:
        """From the latents of a level to features for the level below."""
        return MLP(width=self.width, dropout=self.dropout).top_down(latent_shape, start, target, context)

    def decoder(self, latent_shape: Shape, start: Shape, space: Space, context: Shape) -> "Decoder":
        """From z, and the steps before where they are told, to features of each step.

        Raises UserError where steps are to be dropped that are not told.
        """
        steps = self.steps(space)
        forced = self.teacher_forcing
        if forced is None:
            forced = space.support in ("binary", "categorical")
        if self.word_dropout and not forced:
            raise UserError(
                f"architecture.word_dropout={self.word_dropout}: the decoder is not told the steps before; "
                f"type architecture.teacher_forcing=true, or architecture.word_dropout=0"
            )
        given = torch.Size(latent_shape).numel() + context_size(context, spatial=False)
        return AutoregressiveDecoder(self, steps, given) if forced else ParallelDecoder(self, steps, given)


class Decoder(nn.Module):
    """A stage from z (N, *latent_shape) and a context, which set off the cells, to (N, T, width)."""

    def __init__(self, settings: Recurrent, steps: Steps, given: int, inputs: int):
        super().__init__()
        self.network = settings.network(inputs)
        self.entry = nn.Linear(given, settings.depth * settings.width)
        self.dropout = noise.Dropout(settings.dropout)
        self.shape = (steps.length, settings.width)

    def start(self, z: Tensor, context: Tensor | None = None) -> State:
        """The state before the first step."""
        given = append_context(z.flatten(1), context)
        memory = self.entry(given).unflatten(1, (self.network.num_layers, -1)).transpose(0, 1).contiguous()
        return given, (memory.tanh(), memory) if isinstance(self.network, nn.LSTM) else memory.tanh()


class ParallelDecoder(Decoder):
    """All that a step sees is z and the context, weighed by a vector of its own that tells it where it is."""

    def __init__(self, settings: Recurrent, steps: Steps, given: int):
        super().__init__(settings, steps, given, settings.width)
        self.given = nn.Linear(given, settings.width)
        self.place = nn.Parameter(places(*self.shape))

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        given, hidden = self.start(z, context)
        return self.dropout(self.network(self.given(given)[:, None] * self.place, hidden)[0])


class AutoregressiveDecoder(Decoder):
    """A decoder that is told the step before; zeros stand for the one before the first, and for a dropped one."""

    autoregressive = True

    def __init__(self, settings: Recurrent, steps: Steps, given: int):
        super().__init__(settings, steps, given, steps.size + given)
        self.steps, self.word_dropout = steps, settings.word_dropout

    def forward(self, z: Tensor, context: Tensor | None = None, x: Tensor | None = None) -> Tensor:
        """Teacher-forced on x (N, *shape of x)."""
        assert x is not None
        given, hidden = self.start(z, context)
        before = self.dropout(self.steps(x))
        before = torch.cat([torch.zeros_like(before[:, :1]), before[:, :-1]], 1)
        if self.training and self.word_dropout:
            before = before * (noise.uniform_like(before[:, :, :1]) >= self.word_dropout)
        return self.dropout(self.network(with_context(before, given), hidden)[0])

    def advance(self, previous: Tensor | None, state: State) -> tuple[Tensor, State]:
        """The features of a step (N, 1, width), given x of the step before (N, ...) unless it is the first."""
        given, hidden = state
        if previous is None:
            before = given.new_zeros(len(given), 1, self.steps.size)
        else:
            before = self.dropout(self.steps(previous.unsqueeze(self.steps.time)))
        h, hidden = self.network(with_context(before, given), hidden)
        return self.dropout(h), (given, hidden)
