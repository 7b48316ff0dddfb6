"""What a person watching the curves would say: each warning once, in plain words, with what to try."""

import logging
import math
from typing import Any

from vae_runner.evaluation.evaluate import Evaluation

log = logging.getLogger(__name__)

SETTLED = 100  # steps before which nothing is said, nor before this share of the run: a young model may look bad
SETTLED_SHARE = 0.25
COLLAPSED = 0.1  # share of active units at or below which the posterior has collapsed
UNINFORMATIVE = 0.5  # nats of mutual information below which z says next to nothing of x
UNVARIED = 0.2  # diversity of samples, as a share of the data's, below which they cover few modes
OVERFIT = 0.02  # rise of the validation loss over its best, as a share of all that was learnt, that is worth a word
WINNING = 0.98  # share of right verdicts from which a discriminator's gradient says little
LAGGING = 0.45  # share below which a discriminator judges what the model did some steps ago; at 0.5 all may be well
PATIENCE = 3  # validations in a row before a trend is called one


class Watch:
    """Says each thing once in a run's life: what was said is part of its state. steps: of the whole run."""

    def __init__(self, steps: int) -> None:
        self._settled = max(SETTLED, SETTLED_SHARE * steps)
        self.said: list[str] = []
        self.first: float | None = None  # the first training loss that was logged
        self.streaks: dict[str, int] = {}
        self.validation: list[float] = []
        self.training: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        return {
            key: value.copy() if hasattr(value, "copy") else value for key, value in vars(self).items() if key[0] != "_"
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def say(self, topic: str, message: str) -> None:
        if topic not in self.said:
            self.said.append(topic)
            log.warning(message)

    def at_start(self, warmup: float, epochs: float) -> None:
        """Looks at what is asked of the whole run, in epochs."""
        if warmup >= epochs:
            self.say(
                "warmup",
                f"scheduler.warmup={warmup:g} is in epochs, and the run has {epochs:.3g}: the learning rate rises to "
                "its end and never is optimizer.lr. Try a shorter scheduler.warmup.",
            )

    def at_log(self, step: int, loss: float) -> None:
        """Looks at the training loss of a window, the first of which is the first step alone."""
        if self.first is None:
            self.first = loss
        if loss > self.first + 2 * abs(self.first) + 1:
            self.say(
                "divergence",
                f"step {step}: the loss diverges: it is {loss:.4g}, and began at {self.first:.4g}. "
                "Try a smaller optimizer.lr, trainer.gradient_clip=1, or scheduler=cosine scheduler.warmup=1.",
            )

    def at_validation(self, step: int, evaluation: Evaluation, training: dict[str, float], kl_is_full: bool) -> None:
        """Looks at a validation; `training` are the running means of the epoch."""
        if step < self._settled:
            return
        if "divergence" in self.said:
            return  # whatever else is to be seen follows from it
        figures = evaluation.figures
        if kl_is_full and "loss" in training:  # under a warm-up the two losses are not of one objective
            self._overfitting(step, figures["loss"], training["loss"])
        if evaluation.kl_units is not None:
            self._collapse(step, evaluation)
        if "discriminator_accuracy" in training:
            self._game(step, training["discriminator_accuracy"])
        diversity = figures.get("sample_diversity")
        if "collapse" not in self.said and diversity is not None and self._lasts("diversity", diversity < UNVARIED):
            self.say(
                "diversity",
                f"step {step}: the samples cover few modes: their variance is {diversity:.0%} of the data's. "
                "Try a smaller kl.weight, a larger latent_dim, prior=mixture, or a longer run.",
            )

    def _collapse(self, step: int, evaluation: Evaluation) -> None:
        assert evaluation.kl_units is not None
        figures, levels = evaluation.figures, len(evaluation.kl_units)
        active = figures["active_units"]
        information = figures.get(f"level_{levels}_mutual_information", figures["mutual_information"])
        units = evaluation.units
        collapsed = active is not None and active <= COLLAPSED * units
        if self._lasts("collapse", collapsed):
            self.say(
                "collapse",
                f"step {step}: posterior collapse: {active} of {units} latent units are active, so z says next to "
                "nothing of x. Try KL warm-up (kl=linear), free bits (kl.free_bits=0.1), a smaller kl.weight, "
                "or an importance-weighted bound.",
            )
        little = information is not None and information < UNINFORMATIVE
        if self._lasts("information", little) and "collapse" not in self.said:
            where = "latent space" if levels == 1 else "top level of the ladder"
            self.say(
                "information",
                f"step {step}: the {where} is uninformative: x and z share {information:.2f} nats. Try "
                "architecture.normalisation=batch, architecture.dropout=0.1, a smaller kl.weight, or more data.",
            )

    def _game(self, step: int, accuracy: float) -> None:
        if self._lasts("winning", accuracy > WINNING):
            self.say(
                "game",
                f"step {step}: the discriminator wins: {accuracy:.1%} of its verdicts are right, so that its gradient "
                "says little. Try a smaller objective.discriminator_learning_rate or objective.width.",
            )
        # among thousands of verdicts exactly half are right when they are all the same, hardly ever otherwise
        if self._lasts("lagging", accuracy < LAGGING or abs(accuracy - 0.5) < 1e-6):
            self.say(
                "game",
                f"step {step}: the discriminator gives up: {accuracy:.1%} of its verdicts are right, as if it guessed "
                "or came too late. Try a larger objective.discriminator_learning_rate, or a smaller optimizer.lr.",
            )

    def _overfitting(self, step: int, validation: float | None, training: float) -> None:
        if validation is None or not math.isfinite(validation):
            return
        self.validation.append(validation)
        self.training.append(training)
        best = min(range(len(self.validation)), key=self.validation.__getitem__)
        start = self.validation[0] if self.first is None else max(self.first, self.validation[0])
        learnt = max(start - self.validation[best], 1e-9)
        rises = len(self.validation) - 1 - best >= PATIENCE and validation - self.validation[best] > OVERFIT * learnt
        if rises and training < self.training[best]:
            self.say(
                "overfitting",
                f"step {step}: overfitting: the validation loss has risen from {self.validation[best]:.4g} to "
                f"{validation:.4g} while the training loss fell to {training:.4g}. The best weights are kept in "
                "best.pt; try trainer.early_stopping=5, architecture.dropout=0.1, a smaller network, or more data.",
            )

    def _lasts(self, topic: str, condition: bool) -> bool:
        """Whether the condition held at this validation and the one before."""
        self.streaks[topic] = self.streaks.get(topic, 0) + 1 if condition else 0
        return self.streaks[topic] >= 2
