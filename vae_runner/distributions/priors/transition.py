"""The prior of a step, p(z_t | h_t) = N(z_t; m(h_t), diag(v(h_t))), learned from the state h_t that the steps before
have left (Chung et al. 2015, equation 5)."""

from typing import ClassVar

from vae_runner.distributions.priors.conditional import Conditional


class Transition(Conditional):
    """The network of a conditional prior, told what came before instead of, or beside, a condition."""

    requires: ClassVar[dict[str, str]] = {
        "model.step_context": "it follows the steps before, and there are none: type model=vrnn, or prior=normal",
    }
