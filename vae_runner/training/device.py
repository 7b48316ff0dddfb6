"""Where and how precisely to compute."""

import contextlib
from typing import Any

import torch
from torch import nn

from vae_runner import launched
from vae_runner.errors import UserError
from vae_runner.settings import Form

DEVICES = Form("auto|cpu(:0)?|cuda(:[0-9]{1,3})?|mps", "auto, cpu, cuda, cuda:N or mps")


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA, then MPS, then the CPU. Of several processes each has a GPU of its own.

    Raises UserError where it is unknown or not there.
    """
    if launched.processes() > 1:
        name = _of_this_process(name)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"trainer.device={name}: no such kind of device; use {DEVICES}") from None
    there = {
        "cpu": device.index in (None, 0),
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        found = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        found += ["mps"] if torch.backends.mps.is_available() else []
        raise UserError(f"trainer.device={name}: not on this machine, which has {', '.join(found)}; use auto")
    if name == "cuda":  # which of them has to be said: tensors tell, and are compared by it
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _of_this_process(name: str) -> str:
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if name not in ("auto", "cuda"):
        raise UserError(f"trainer.device={name}: each of several processes has its own; use auto, cpu or cuda")
    number, there = launched.local_rank(), torch.cuda.device_count()
    if number >= there > 0:
        raise UserError(
            f"trainer.device={name}: more processes on this machine than GPUs, of which it has {there}; "
            f"type torchrun --nproc-per-node={there}, or trainer.device=cpu"
        )
    return f"cuda:{number}"


def lay_out(model: nn.Module, device: torch.device, precision: str) -> None:
    """Puts the channels of a model's maps last where a GPU convolves on matrix units: a fifth to two fifths faster."""
    if device.type == "cuda" and precision != "fp32":
        model.to(memory_format=torch.channels_last)  # what is no map stays as it is


def autocast(device: torch.device, precision: str) -> Any:
    """The context of a forward pass at that precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
