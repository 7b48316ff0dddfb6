"""What a fit comes to: the figures of its best weights, as `summary.json` has them."""

from typing import TYPE_CHECKING, Any

from vae_runner.evaluation.evaluate import Evaluation
from vae_runner.signals import GracefulStop
from vae_runner.training import checkpoint

if TYPE_CHECKING:
    from vae_runner.training.fitting import Fitting

TRAINING = 10_000  # training examples that are evaluated, at most: to be held against test examples, not to be exact


def evaluate_best(fitting: "Fitting", stop: GracefulStop) -> tuple[int, dict[str, Evaluation]]:
    """The step of the best weights, and of every split that has examples, by its name. Leaves them in the model.

    Raises Interrupted where it was asked to stop.
    """
    experiment, data = fitting.experiment, fitting.experiment.data
    best = checkpoint.load(fitting.directory.best)
    experiment.model.load_state_dict(best["model"])
    experiment.objective.load_state_dict(best["objective"])
    evaluations = {}
    for name, split in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        stop.check()
        if len(split):
            evaluations[name] = fitting.evaluate(split, TRAINING if name == "train" else None)
    stop.check()
    return best["step"], evaluations


def summary_of(
    fitting: "Fitting", best_step: int, evaluations: dict[str, Evaluation], running: dict[str, float], seconds: float
) -> dict[str, Any]:
    """best_step: of the weights that were evaluated. running: means over the last epoch's training batches.

    seconds: of training, all sittings.
    """
    done, budget = fitting.recorder.step, fitting.budget
    return {
        "train_running": running,
        **dict.fromkeys(("train", "validation", "test")),
        **{name: evaluation.figures for name, evaluation in evaluations.items()},
        "examples": {name: evaluation.examples for name, evaluation in evaluations.items()},
        "kl_estimator": _kl_estimator(evaluations["train"]),
        "monitor": fitting.monitor,
        "best_step": best_step,
        "best_epoch": best_step / budget.steps_per_epoch,
        "steps": done,
        "epochs": done / budget.steps_per_epoch,
        "parameters": sum(parameter.numel() for parameter in fitting.experiment.model.parameters()),
        "seconds": seconds,
        "examples_per_second": done / budget.steps_per_epoch * budget.examples / seconds,
    }


def _kl_estimator(evaluation: Evaluation) -> str | None:
    if evaluation.figures["kl"] is None:
        return None
    return "Monte Carlo estimate, 1 sample" if evaluation.kl_is_estimate else "closed form"
