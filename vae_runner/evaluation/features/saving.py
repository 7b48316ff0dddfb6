"""Trained features as a file, and back."""

import io
from pathlib import Path
from typing import Any

import torch

from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.evaluation.features.networks import Components, Features, Network, frozen
from vae_runner.evaluation.features.summaries import Summaries
from vae_runner.run_directory import write_bytes

FORMAT = "vae_runner features 2"


def save(features: Features, path: Path) -> None:
    """Writes trained features to a file, which appears whole or not at all."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **_saved(features)}, buffer)
    write_bytes(path, buffer.getvalue())


def _saved(features: Features) -> dict[str, Any]:
    kind = type(features).__name__
    if isinstance(features, Summaries):
        space = features.space
        own = {"shape": list(space.shape), "support": space.support, "categories": space.categories}
        return {"kind": kind, **own, "inner": _saved(features.inner)}
    if not isinstance(features, Network | Components):
        raise UserError("features: those of a file are kept as that file")
    state = {name: value.cpu() for name, value in features.state_dict().items()}
    return {"kind": kind, **features.settings, "accuracy": features.accuracy, "state": state}


def load(path: Path) -> Features:
    """Features that `save` wrote, on the CPU. Raises UserError where the file is anything else."""
    saved = state_in(read(path), path)
    if saved.pop("format", None) != FORMAT:
        raise UserError(f"{path}: not features of vae_runner")
    return frozen(_made(saved))


def _made(saved: dict[str, Any]) -> Any:
    kind, shape = saved.pop("kind"), tuple(saved.pop("shape"))
    if kind == "Summaries":
        space = Space(shape, saved["support"], ragged=True, categories=saved["categories"])
        return Summaries(space, _made(saved["inner"]))
    accuracy, state = saved.pop("accuracy"), saved.pop("state")
    with torch.random.fork_rng([]):
        features: Network | Components = Network(shape, **saved) if kind == "Network" else Components(shape, **saved)
    features.load_state_dict(state)
    features.accuracy = accuracy
    return features


def read(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def state_in(content: bytes, path: Path) -> dict[str, Any]:
    """A file of tensors and plain containers."""
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path}: not a file of weights, or it holds more than tensors, or is damaged") from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: not a file of weights")
    return dict(state)
