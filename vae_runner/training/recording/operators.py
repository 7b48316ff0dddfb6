"""What a function does to memory: the operators it called, one after another.

A step of training goes through layers, losses, autograd and an optimizer, and all that their Python and C++ comes to is
the same few hundred operators each time.
"""

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from vae_runner.training.recording.constants import Constants, written_by
from vae_runner.training.recording.mode import Mode

# what these find out Python may go by, and goes another way the next time
TELLING = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
# the same of what calls no operator, for it reads memory
READING = {Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__dlpack__}
# what gives a tensor another place in memory; views of it that were taken before are then of nothing
MOVING = ("aten::set_", "aten::resize_")


@dataclass
class Call:
    """A line to be written: what is called, how, and what tensors it reads and makes. targets: what is assigned to."""

    operator: OpOverload
    text: str
    takes: list[str]
    gives: list[str]
    targets: str

    @property
    def name(self) -> str:
        return self.operator.name()

    @property
    def is_view(self) -> bool:
        return self.operator.is_view

    @property
    def draws(self) -> bool:
        """Random numbers."""
        return torch.Tag.nondeterministic_seeded in self.operator.tags


class Operators(Mode):
    """Notes every operator that is called inside, what it is given and what comes of it.

    refused: the first operator that cannot be called again without Python looking at what it found, if any.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused: str | None = None
        self.calls: list[Call] = []
        self.names = WeakTensorKeyDictionary()  # of tensors: what was only needed for a while is let go as ever
        self.bound: dict[str, Any] = {}  # what the lines speak of that was there before
        self._places: dict[Any, str] = {}  # in memory, of the tensors that are bound
        self.constants = Constants()
        self._functions: dict[Any, str] = {}
        self._readings = Readings(self)

    def __enter__(self) -> "Operators":
        self._readings.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._readings.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        if self.refused is None and func.namespace != "profiler":
            if _tells(func, args):
                self.refused = f"Python reads what {func.name()} gives"
            else:
                self._note(func, args, kwargs or {}, results)
        return results

    def _note(self, func: Any, args: Any, kwargs: Any, results: Any) -> None:
        if func is torch.ops.aten.detach.default:
            self.names[results] = self._text(args[0])  # without gradients the same tensor
            return
        given = [self._text(value) for value in args] + [f"{key}={self._text(value)}" for key, value in kwargs.items()]
        taken = [tensor for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)]
        takes = [self.names[tensor] for tensor in taken]
        gives: dict[str, Tensor] = {}
        targets = self._target(results, gives)
        function = self._functions.setdefault(func, f"f{len(self._functions)}")
        self.bound[function] = func
        text = f"{function}({', '.join(given)})"
        self.calls.append(Call(func, text, takes, [*gives], targets))
        self.constants.note(func, takes, gives, written_by(func, args, kwargs))

    def _text(self, value: Any) -> str:
        """What stands for an argument in a line."""
        if isinstance(value, Tensor):
            if value not in self.names:  # it was there before, and stays
                self.names[value] = self._bind(value.detach() if value.requires_grad else value)
            return self.names[value]
        if isinstance(value, list | tuple):
            return f"[{', '.join(self._text(item) for item in value)}]"
        return repr(value) if value is None or isinstance(value, bool | int) else self._bind(value)

    def _bind(self, value: Any) -> str:
        if not isinstance(value, Tensor):
            name = f"c{len(self.bound)}"
            self.bound[name] = value
            return name
        # one name for views of the same numbers: what is written by one is read by all
        name = self._places.setdefault(_place(value), f"c{len(self.bound)}")
        self.bound.setdefault(name, value)
        return name

    def _target(self, result: Any, gives: dict[str, Tensor]) -> str:
        """What a result is assigned to: nothing where it is no tensor, or one that has a name."""
        if isinstance(result, list | tuple):
            return f"[{', '.join(self._target(item, gives) for item in result)}]"
        if not isinstance(result, Tensor) or result in self.names:
            return "_"
        name = f"t{len(self.calls)}_{len(gives)}"
        self.names[result] = name
        gives[name] = result
        return name

    @property
    def moves_memory(self) -> bool:
        """Whether some tensor lies elsewhere afterwards."""
        return any(call.name.startswith(MOVING) for call in self.calls)

    def differs_from(self, other: "Operators") -> str | None:
        """How two calls of a function differ, if they do: then Python decides what it does."""
        if len(self.calls) != len(other.calls):
            return f"one calls {len(self.calls)} operators, and the next {len(other.calls)}"
        for one, another in zip(self.calls, other.calls, strict=True):
            if one.name != another.name:
                return f"one calls {one.name} where the next calls {another.name}"
            if one.text != another.text:
                return f"Python gives {one.name} something else in each"
        for name, value in self.bound.items():
            if not _same(value, other.bound[name]):
                at = next(call for call in self.calls if re.search(rf"\b{name}\b", call.text))
                return f"Python gives {at.name} something else in each"
        return None


class Readings(TorchFunctionMode):
    """Refuses for `operators` what reads a tensor and calls none of them."""

    def __init__(self, operators: Operators) -> None:
        super().__init__()
        self.operators = operators

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READING and self.operators.refused is None:
            self.operators.refused = f"Python reads a tensor by its {func.__name__}()"
        return func(*args, **(kwargs or {}))


def _place(tensor: Tensor) -> Any:
    """Two tensors have the same that are one, whatever they are called; an empty one is nowhere."""
    return (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()) if tensor.numel() else object()


def _same(one: Any, other: Any) -> bool:
    """Whether two values that were there before a function was called are one."""
    if not isinstance(one, Tensor):
        return one is other or one == other or repr(one) == repr(other)  # as nan is
    if not isinstance(other, Tensor) or one.shape != other.shape or one.dtype != other.dtype:
        return False
    in_place = one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
    return in_place or torch.equal(one, other)  # a number that Python makes a tensor of each time


def _tells(func: Any, args: Any) -> bool:
    if func is torch.ops.aten.index.Tensor:  # whose result has one shape always, unless by an index of booleans
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return not TELLING.isdisjoint(func.tags)
