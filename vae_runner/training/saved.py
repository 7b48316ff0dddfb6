"""What of a fit outlives its process: weights to use the model by, and the state to go on from."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vae_runner.errors import UserError
from vae_runner.noise import seed_generators
from vae_runner.training import checkpoint, optimizers
from vae_runner.training.seeds import derived

if TYPE_CHECKING:
    from vae_runner.training.fitting import Fitting


def weights_of(fitting: "Fitting", done: int) -> dict[str, Any]:
    """What it takes to use the model again: also the space of its data, which need not be there then."""
    experiment = fitting.experiment
    return {
        "model": experiment.model.state_dict(),
        "objective": experiment.objective.state_dict(),
        "space": asdict(experiment.data.space),
        "examples": len(experiment.data.train),
        "step": done,
        "epoch": done / fitting.budget.steps_per_epoch,
    }


def state_of(fitting: "Fitting", done: int, seconds: float) -> dict[str, Any]:
    """Everything that the steps from `done` on depend on."""
    return {
        **weights_of(fitting, done),
        "optimizers": {player.name: optimizers.state_of(player.optimizer) for player in fitting.players},
        "schedules": {player.name: player.schedule.state_dict() for player in fitting.players},
        "average": fitting.average.state_dict() if fitting.average else None,
        "random": _random_states(fitting, done),
        "sums": fitting.sums.state_dict(),
        "best": dict(fitting.best),
        "watch": fitting.watch.state_dict(),
        "seconds": seconds,
    }


def _random_states(fitting: "Fitting", done: int) -> dict[str, Tensor | None]:
    """Of the generators that training draws from. A run that draws with others goes on with noise of its own."""
    device = fitting.experiment.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if fitting.is_stacked:
            seed_generators(device, derived(fitting.experiment.seed, "noise", done))
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return {"cpu": torch.get_rng_state(), "cuda": cuda}


def bring_back(fitting: "Fitting", state: dict[str, Any]) -> None:
    """Makes a fit what it was. Raises UserError where the state is of another network or config."""
    experiment, device = fitting.experiment, fitting.experiment.device
    checkpoint.restore_weights(experiment.model, state, fitting.directory.last)
    try:
        experiment.objective.load_state_dict(state["objective"])
        for player in fitting.players:
            optimizers.restore_state(player.optimizer, state["optimizers"][player.name])
            player.schedule.load_state_dict(state["schedules"][player.name])
        if fitting.average:
            fitting.average.load_state_dict(state["average"])
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{fitting.directory.last}: does not fit this run's config ({reason})") from error
    torch.set_rng_state(state["random"]["cpu"])
    if device.type == "cuda" and state["random"]["cuda"] is not None:
        torch.cuda.set_rng_state(state["random"]["cuda"], device)
    fitting.sums.load_state_dict(state["sums"], device)
    fitting.best, fitting.seconds, fitting.finite_at = state["best"], state["seconds"], state["step"]
    fitting.watch.load_state_dict(state["watch"])
