"""What a likelihood family states and does."""

from typing import Any, ClassVar

from torch import Tensor, nn

from vae_runner.data.space import Space
from vae_runner.errors import UserError

SUPPORTS = {"binary": "0 or 1", "unit": "in [0, 1]", "real": "any real number", "categorical": "categories"}


class Likelihood(nn.Module):
    """Turns the network's parameters into p(x|z,c).

    option: its name in the config. supports: the values of `Space.support` it takes. fixes: what to type for others.
    discrete: whether log_prob is of a probability mass, not of a density. parameter_shape: of one example's parameters.
    """

    option: ClassVar[str]
    supports: ClassVar[set[str]]
    fixes: ClassVar[dict[str, str]]
    discrete: ClassVar[bool] = False
    provides: ClassVar[set[str]] = set()
    requires: ClassVar[dict[str, str]] = {}

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.check(space)
        self.parameter_shape = tuple(space.shape)

    @classmethod
    def check(cls, space: Space) -> None:
        """Raises UserError, with what to type instead, where the data lies outside this likelihood's support."""
        if space.support not in cls.supports:
            allowed = " or ".join(words for support, words in SUPPORTS.items() if support in cls.supports)
            given = SUPPORTS.get(space.support, space.support)
            fix = "likelihood=categorical" if space.support == "categorical" else cls.fixes.get(space.support)
            scaled = ", or data.scale=unit where they have a least and a greatest" if space.support == "real" else ""
            advice = f": type {fix}{scaled}" if fix else ""
            raise UserError(f"likelihood={cls.option} takes values {allowed}, those of this data are {given}{advice}")

    def is_mass(self, support: str) -> bool:
        """Whether log_prob of the very values of such data is the logarithm of a probability, of grey targets none."""
        return self.discrete and support in ("binary", "categorical")

    def forward(self, parameters: Tensor) -> Any:
        """px for parameters (N, *parameter_shape).

        px has `log_prob(x, mask=None)` in nats (N,), summed over the event, of x (N, *shape) and a mask that broadcasts
        to it; `mean` and `sample()`, both (N, *shape).
        """
        raise NotImplementedError
