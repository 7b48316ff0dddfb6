"""What Python keeps from one step to the next, which a recording does not change, as far as that can be seen."""

import random
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import nn

CONTAINERS = (list, tuple, set, deque)


class PythonState:
    """The attributes of modules, and the generators of Python and NumPy, as they are now."""

    def __init__(self, modules: Iterable[nn.Module]):
        self._kept: dict[str, list[Any]] = {}
        for module in modules:
            for name, part in module.named_modules(prefix=type(module).__name__):
                # buffers and parameters too, that an assignment replaces
                self._kept |= {f"{name}.{key}": _parts(value) for key, value in vars(part).items()}
        of_numpy = np.random.get_state(legacy=False)["state"]
        self._kept |= {"random": [*random.getstate()[1]], "numpy.random": [of_numpy["pos"], *of_numpy["key"].tolist()]}

    def changed_to(self, later: "PythonState") -> str | None:
        """The first of all this that is another one later, if any."""
        for name, parts in later._kept.items():
            before = self._kept.get(name)
            if before is None or len(before) != len(parts) or not all(map(_same, before, parts)):
                return name
        return None


def _parts(value: Any) -> list[Any]:
    """What a value holds, for a container that grows stays the same one."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    return [*value] if isinstance(value, CONTAINERS) else [value]


def _same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, int | float | str) and one == other)
