"""The discrete code of a VQ-VAE (van den Oord et al. 2017): the encoder's vectors, each replaced by the nearest of K.

    k_i = argmin_k |h_i - e_k|,   z = (e_{k_1}, ..., e_{k_P}),   dz/dh := 1 (straight-through),
    loss = -log p(x|z) - log p(k_1, ..., k_P) + commitment * |h - z|^2

The codebook e follows the vectors that fall to each code by moving averages (appendix A.1); a code that hardly any
vector falls to is moved to where one lies. q(k|x) is one sequence of codes, so log q = 0, and the bound is a true one.
"""

import math
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner import parts
from vae_runner.distributions.codes import UniformCodes, blocks
from vae_runner.distributions.numerics import at_least_float32
from vae_runner.distributions.posteriors.posterior import Posterior
from vae_runner.settings import Range

DEAD = 0.02  # of the use that every code would have if all had the same: below it a code is moved


class Code:
    """N sequences of codes as vectors, `mean` (N, *latent_shape).

    penalties: the commitment, for every loss. figures: the perplexity of the codes' use, from 1 to K.
    """

    def __init__(self, mean: Tensor, penalties: dict[str, Tensor], figures: dict[str, Tensor]) -> None:
        self.mean, self.penalties, self.figures = mean, penalties, figures

    def sample(self, samples: int = 1) -> Tensor:
        """The codes themselves, (samples, N, *latent_shape)."""
        return self.mean.expand(samples, *self.mean.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q = 0 of these codes, (..., N), as z (..., N, *latent_shape)."""
        return z.new_zeros(z.shape[: 1 + z.ndim - self.mean.ndim])

    def kl_units(self, p: Any) -> Tensor:
        """KL(q || p) = -log p(codes) in nats, (N, 1). Its gradient trains the prior and leaves the encoder alone."""
        return -p.log_prob(self.mean.detach())[:, None]


class Quantized(Posterior):
    """Latents (D, *rest) are D / code_dim codes at each place of the rest, all from one codebook of `codes` vectors.

    Raises UserError where D is not a multiple of code_dim.
    """

    per_unit = 1
    provides: ClassVar[set[str]] = {"density", "divergence", "uniform", "indices"}
    requires: ClassVar[dict[str, str]] = {
        "prior.over_codes": "its codes are a finite set, where a density over vectors means nothing: type "
        "prior=autoregressive, or prior=uniform",
    }
    codebook: Tensor
    use: Tensor
    sums: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        codes: Annotated[int, Range(2, 65536)] = 32,
        code_dim: Annotated[int, Range(1, 65536)] = 10,
        commitment: Annotated[float, Range(0, 1000)] = 0.1,
        decay: Annotated[float, Range(0, 1, open_high=True)] = 0.99,
    ) -> None:
        super().__init__(latent_shape)
        channels, *rest = latent_shape
        self.codes, self.code_dim, self.commitment, self.decay = codes, code_dim, commitment, decay
        self.grid = (blocks(channels, code_dim, "posterior.code_dim"), *rest)
        self.positions = math.prod(self.grid)
        self.register_buffer("codebook", torch.randn(codes, code_dim))
        # moving averages of how many vectors of a batch fall to each code, and of their sum: none as yet, so that the
        # first batch finds all codes dead and hands them vectors of its own
        self.register_buffer("use", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, code_dim))

    def forward(self, parameters: Tensor) -> Code:
        """q for parameters (N, D, *rest), the vectors to be replaced. In training each call moves the codebook."""
        h = at_least_float32(parameters)
        found = self._follow(self._split(h.detach())) if self.training else self.indices_of(h)
        code = self.vectors(found)
        use = parts.total(self._sum_by_code(found.flatten(), torch.ones(found.numel(), 1, device=h.device)))
        return Code(
            # equal to the codebook's vectors to the bit, with the gradient of h
            code + (h - h.detach()),
            penalties={"commitment": self.commitment * (h - code).square().sum() / len(h)},
            figures={"codebook_perplexity": torch.special.entr(use / use.sum()).sum().exp()},
        )

    def indices_of(self, z: Tensor) -> Tensor:
        """The codes of z (*batch, *latent_shape), each from 0 to codes - 1, (*batch, positions)."""
        return self._nearest(self._split(z.detach()))

    def vectors(self, indices: Tensor) -> Tensor:
        """The latents (*batch, *latent_shape) of codes (*batch, positions)."""
        batch = indices.ndim - 1
        vectors = F.embedding(indices, self.codebook).unflatten(batch, self.grid)
        return vectors.movedim(-1, batch + 1).flatten(batch, batch + 1)

    def choices(self) -> list[tuple[slice, Tensor]]:
        """The vectors of the codebook, for each code of a place."""
        starts = range(0, self.latent_shape[0], self.code_dim)
        return [(slice(start, start + self.code_dim), self.codebook) for start in starts]

    def uniform(self) -> UniformCodes:
        """The uniform distribution over all sequences of codes."""

        def draw(n: int) -> Tensor:
            return self.vectors(torch.randint(self.codes, (n, self.positions), device=self.codebook.device))

        return UniformCodes(self.latent_shape, self.positions * math.log(self.codes), draw)

    def _split(self, z: Tensor) -> Tensor:
        """(*batch, *latent_shape) -> (*batch, positions, code_dim)."""
        batch = z.ndim - len(self.latent_shape)
        return z.unflatten(batch, (-1, self.code_dim)).movedim(batch + 1, -1).flatten(batch, -2)

    def _nearest(self, vectors: Tensor) -> Tensor:
        """(..., code_dim) -> (...)."""
        with torch.autocast(vectors.device.type, enabled=False):
            # |h - e|^2 without |h|^2, which is the same for all e
            return (self.codebook.square().sum(1) - 2 * vectors @ self.codebook.T).argmin(-1)

    def _sum_by_code(self, found: Tensor, values: Tensor) -> Tensor:
        """found (M,), values (M, V) -> (codes, V)."""
        return values.new_zeros(self.codes, values.shape[1]).index_add(0, found, values)

    @torch.no_grad()
    def _follow(self, vectors: Tensor) -> Tensor:
        """Moves the codebook towards vectors (N, positions, code_dim). Returns which code each of them falls to."""
        # a step that is not finite is undone elsewhere, and must not be remembered here
        vectors = vectors.nan_to_num(0.0, 0.0, 0.0)
        flat, everywhere = vectors.flatten(0, 1), parts.gathered(vectors).flatten(0, 1)
        average = len(everywhere) / self.codes
        dead = self.use < DEAD * average
        moved = everywhere[torch.randint(len(everywhere), (self.codes,), device=flat.device)]
        self.codebook.copy_(torch.where(dead[:, None], moved, self.codebook))
        self.sums.copy_(torch.where(dead[:, None], average * moved, self.sums))
        self.use.masked_fill_(dead, average)
        found = self._nearest(flat)
        use = parts.total(self._sum_by_code(found, torch.ones_like(flat[:, :1])))[:, 0]
        self.use.mul_(self.decay).add_(use, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(parts.total(self._sum_by_code(found, flat)), alpha=1 - self.decay)
        self.codebook.copy_(self.sums / self.use[:, None])
        return found.view(vectors.shape[:-1])
