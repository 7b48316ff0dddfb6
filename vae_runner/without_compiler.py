"""torch's optimizers without torch's compiler, whose imports cost each process a second and 150 MB."""

import functools
import inspect
from typing import Any

import torch

# torch wraps these so that its compiler leaves them alone, and the wraps import it
WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


@functools.cache
def without_compiler(kind: type[torch.optim.Optimizer]) -> Any:
    """The same optimizer by the same name, with the methods that are in those wraps; one that is not torch's as it is.

    Compiled code must not call it.
    """
    if not kind.__module__.startswith("torch.optim"):
        return kind  # what its methods are wrapped in may be of use
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in WRAPPED}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))  # that wrap turned gradients off as well
    return type(kind.__name__, (kind,), methods)
