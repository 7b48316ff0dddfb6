"""Checkpoints: tensors and plain containers, readable with `weights_only=True`, written whole and checked when read."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from vae_runner.errors import UserError
from vae_runner.run_directory import write_bytes

FORMAT = "vae_runner checkpoint 1"


def save(path: Path, state: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(tree_map_only(Tensor, _by_itself, {"format": FORMAT, **state}), buffer)
    write_bytes(path, buffer.getbuffer())


def kept(state: dict[str, Any]) -> dict[str, Any]:
    """The state as it is now, on the CPU, whatever becomes of its tensors."""
    return tree_map_only(Tensor, lambda tensor: tensor.detach().to("cpu", copy=True), state)


def _by_itself(tensor: Tensor) -> Tensor:
    """The tensor without whatever else lies in its memory, which would be saved with it, in the order of its axes."""
    if tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes:
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def restore_weights(model: torch.nn.Module, state: dict[str, Any], path: Path) -> None:
    """Loads a checkpoint's weights. Raises UserError where they are another network's."""
    try:
        model.load_state_dict(state["model"])
    except (RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: does not fit the config beside it ({reason})") from error


def load(path: Path) -> dict[str, Any]:
    """The state, on the CPU.

    Raises UserError where the file is missing, damaged, not one of ours, or holds anything but data.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not content.startswith(b"PK"):
        raise UserError(f"{path}: not a checkpoint (it is not a file that torch.save writes)")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()  # reads every entry against its CRC, which torch.load does not
    except Exception as error:
        raise UserError(f"{path}: damaged ({error}); it was truncated or changed after writing") from error
    if damaged:
        raise UserError(f"{path}: damaged (the checksum of {damaged} does not match); it was changed after writing")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path}: refused: it holds more than tensors and plain containers, or is damaged") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of vae_runner")
    return state
