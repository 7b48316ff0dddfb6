"""A guard against operators that wait for the device, or that a recording of what it does cannot hold."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class NoWaiting(TorchDispatchMode):
    """Fails on operators whose result the host must have before it can go on, or that copy from the host's memory."""

    waiting = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero", "lift_fresh")
    # on a GPU these wait where no mode sees it, or in their backward passes; torch.cuda.set_sync_debug_mode finds them
    secretly = ("cumprod", "trace", "index_fill")
    backwards = ("prod",)  # in its backward pass, which it has none of inside a Function

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::").lstrip("_")
        assert not any(name == word.lstrip("_") or name.startswith("unique") for word in self.waiting), name
        assert name.rstrip("_") not in self.secretly, name
        assert not (name in self.backwards and torch.is_grad_enabled()), name
        if name in ("index", "index_put"):
            assert all(index is None or index.dtype is not torch.bool for index in args[1]), "a boolean index"
        return func(*args, **(kwargs or {}))
