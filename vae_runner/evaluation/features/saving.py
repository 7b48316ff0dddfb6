"""Trained features as a file, and back."""

import io
from pathlib import Path
from typing import Any

import torch

from vae_runner.errors import UserError
from vae_runner.evaluation.features.networks import Components, Features, Network, frozen
from vae_runner.run_directory import write_bytes

FORMAT = "vae_runner features 1"


def save(features: Features, path: Path) -> None:
    """Writes trained features to a file, which appears whole or not at all."""
    if not isinstance(features, Network | Components):
        raise UserError("features: those of a file are kept as that file")
    buffer = io.BytesIO()
    state = {name: value.cpu() for name, value in features.state_dict().items()}
    kind = type(features).__name__
    torch.save(
        {"format": FORMAT, "kind": kind, **features.settings, "accuracy": features.accuracy, "state": state}, buffer
    )
    write_bytes(path, buffer.getvalue())


def load(path: Path) -> Features:
    """Features that `save` wrote, on the CPU. Raises UserError where the file is anything else."""
    saved = state_in(read(path), path)
    if saved.pop("format", None) != FORMAT:
        raise UserError(f"{path}: not features of vae_runner")
    kind, accuracy, state = (saved.pop(key) for key in ("kind", "accuracy", "state"))
    shape = tuple(saved.pop("shape"))
    with torch.random.fork_rng([]):
        features: Network | Components = Network(shape, **saved) if kind == "Network" else Components(shape, **saved)
    features.load_state_dict(state)
    features.accuracy = accuracy
    return frozen(features)


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
