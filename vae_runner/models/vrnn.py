"""A latent for each step of a sequence (Chung et al. 2015, "A recurrent latent variable model for sequential data").

    p(x, z) = prod_t p(z_t | h_t) p(x_t | z_t, h_t),   q(z|x) = prod_t q(z_t | e_t, h_t),   h_t+1 = cell(h_t, x_t, z_t)

e_t is what the encoder knows at step t: x up to there, or, where it reads both ways, all of x. The prior is the
configured one, told h_t: prior=transition learns it; prior=normal leaves each z_t on its own (there VRNN-I).
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vae_runner import noise
from vae_runner.architectures.layers import context_size
from vae_runner.architectures.sequences import with_context
from vae_runner.data.space import Batch, Space
from vae_runner.models.evidence import Level
from vae_runner.models.free_running import FreeRun, free_run
from vae_runner.models.heads import head
from vae_runner.models.path import Path
from vae_runner.models.vae import Ladder, repeated


class VRNN(Ladder):
    """Latents (D, T), of which each step has D. Where teacher forcing is off, h_t follows from z alone."""

    takes_prompt = True
    provides: ClassVar[set[str]] = {"step_context"}
    requires: ClassVar[dict[str, str]] = {
        "architecture.recurrent": "a latent for each step needs steps: type architecture=recurrent",
        "posterior.pointwise": "the latents of a step are drawn one step at a time: type posterior=gaussian",
        "prior.factorised": "the prior of a step is told what came before: type prior=transition, or prior=normal",
    }

    def __init__(
        self,
        space: Space,
        condition: Callable[[Space], Any] | None,
        architecture: Any,
        posterior: Callable[..., Any],
        prior: Callable[..., Any],
        likelihood: Callable[[Space], Any],
        *,
        latent_dim: int,
    ):
        nn.Module.__init__(self)  # the wiring of a ladder is another one
        self.space, self.levels = space, 1
        self.likelihood = likelihood(space)
        self.condition = condition(space) if condition else None
        context = self.condition.shape if self.condition else ()
        told, width = context_size(context, spatial=False), architecture.width

        self.bottom_up = architecture.bottom_up(space, 1, context)
        self.posterior = posterior((latent_dim,))
        self.proposal = nn.Linear(self.bottom_up[0].size, width)
        self.of_state = nn.Linear(width, width, bias=False)
        self.posterior_heads = nn.ModuleList([nn.Linear(width, self.posterior.per_unit * latent_dim)])

        self.steps = architecture.steps(space)
        self.latent_shapes = [(latent_dim, self.steps.length)]
        self.prior = prior((latent_dim,), (width + told,))
        self.forced = architecture.teacher_forcing is not False
        self.word_dropout = architecture.word_dropout
        self.dropout = noise.Dropout(architecture.dropout)
        self.network = architecture.network(latent_dim + told + (self.steps.size if self.forced else 0))
        self.decoder = StepDecoder(nn.Linear(latent_dim + width + told, width), nn.ReLU(), self.dropout)
        self.likelihood_head = head((self.steps.length, width), self.likelihood.parameter_shape)

    @property
    def any_length(self) -> bool:
        return self.space.sequence

    @property
    def inference_parameters(self) -> list[nn.Parameter]:
        modules = [self.bottom_up, self.posterior, self.proposal, self.of_state, self.posterior_heads]
        return [parameter for module in modules for parameter in module.parameters()]

    def _infer(
        self, batch: Batch, context: Tensor | None, draw: Callable[[Any, bool], Tensor], samples: int
    ) -> list[Level]:
        # the loop over time holds only what hangs on the latents of the steps before
        features, there = self.bottom_up[0].along(batch.input, context, batch.mask if self.space.sequence else None)
        proposals = self.proposal(features).repeat(samples, 1, 1).unbind(1)
        told = self._told(batch.x, context).repeat(samples, 1, 1)
        h, memory = proposals[0].new_zeros(len(told), 1, self.network.hidden_size), None
        states, parameters, latents = [], [], []
        for proposal, before in zip(proposals, told.split(1, 1), strict=True):
            states.append(h)
            parameters.append(self.posterior_heads[0]((proposal + self.of_state(h[:, 0])).relu()))
            latents.append(draw(self.posterior(parameters[-1]), False)[0])
            h, memory = self._advance(latents[-1][:, None], before, memory)
        along, there = torch.cat(states, 1), there.repeat(samples, 1)
        q = Path(self.posterior(torch.stack(parameters, 1).flatten(0, 1)), there)
        p = Path(self.prior(with_context(along, repeated(context, samples)).flatten(0, 1)), there)
        return [Level(torch.stack(latents, 2).unflatten(0, (samples, -1)), q, p, along)]

    def _told(self, x: Tensor, context: Tensor | None) -> Tensor:
        """What each step leaves for those after it, beside its latents: (N, T, ...)."""
        steps = self.dropout(self.steps(x)) if self.forced else self.steps(x)[:, :, :0]
        if self.training and self.word_dropout:
            steps = steps * (noise.uniform_like(steps[:, :, :1]) >= self.word_dropout)
        return with_context(steps, context)

    def _advance(self, z: Tensor, told: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """The states after steps with latents z (N, t, D)."""
        return self.network(torch.cat([z, told], 2), memory)

    def _from(self, z: Tensor, features: Tensor | None) -> Tensor:
        assert features is not None
        return torch.cat([z.transpose(1, 2), features], 2)

    def decode(
        self,
        latents: Sequence[Tensor],
        context: Tensor | None = None,
        x: Tensor | None = None,
        prompt: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Any:
        """p(x|z) of latents (N, D, t) of the first t steps; those of later steps are drawn on the way from the prior.

        A prompt brings its own latents, those that q infers from it. Without x the model runs freely, as `Ladder` says.
        """
        if x is not None:
            states, _ = self._advance(latents[0].transpose(1, 2), self._told(x, context), None)
            states = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], 1)
            return self._decoded(self._from(latents[0], states), context)
        return self._run(latents[0], context, prompt, temperature)[1]

    def _run(
        self, z: Tensor, context: Tensor | None, prompt: Tensor | None, temperature: float
    ) -> tuple[list[Tensor], FreeRun]:
        """The latents (N, D, T) that a free run went by, beginning with z (N, D, t), and the run."""
        if prompt is not None:
            z = self._infer(Batch(prompt, prompt), context, lambda q, first: q.sample(1), 1)[0].z[0]
        walk = Walk(self, temperature)
        px = free_run(walk, self.likelihood_head, self.likelihood, self.space, z, context, prompt, temperature)
        return [torch.stack(walk.latents, 2)], px

    def generate(
        self,
        n: int,
        context: Tensor | None = None,
        temperature: float = 1.0,
        given: Sequence[Tensor] = (),
        prompt: Tensor | None = None,
    ) -> tuple[list[Tensor], FreeRun]:
        """n latents (n, D, T) and the examples drawn with them: a step's latents follow from x before it."""
        none = next(self.parameters()).new_zeros(n, self.latent_shapes[0][0], 0)
        return self._run(given[0] if given else none, context, prompt, temperature)

    def sample_latents(
        self, n: int, context: Tensor | None = None, temperature: float = 1.0, given: Sequence[Tensor] = ()
    ) -> list[Tensor]:
        return list(given) or self.generate(n, context, temperature)[0]


class StepDecoder(nn.Sequential):
    """From a step's latents and the state before it (N, T, D + width), and the context, to features (N, T, width)."""

    def forward(self, h: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(with_context(h, context))


class Walk:
    """A VRNN as a decoder that writes step by step, and keeps the `latents` it went by, (N, D) a step."""

    def __init__(self, model: VRNN, temperature: float):
        self.model, self.temperature = model, temperature
        self.latents: list[Tensor] = []

    def start(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor, Any]:
        h = z.new_zeros(len(z), 1, self.model.network.hidden_size)
        return z, context, h, None

    def advance(self, previous: Tensor | None, state: Any) -> tuple[Tensor, Any]:
        model, (given, context, h, memory), step = self.model, state, len(self.latents)
        if previous is not None:
            told = model._told(previous.unsqueeze(model.steps.time), context)
            h, memory = model._advance(self.latents[-1][:, None], told, memory)
        if step < given.shape[2]:
            z = given[:, :, step]
        else:
            z = model.prior.sample(len(h), with_context(h, context)[:, 0], self.temperature)
        self.latents.append(z)
        return model.decoder(model._from(z[:, :, None], h), context), (given, context, h, memory)
