"""What a function does to memory: the operators it called, one after another.

A step of training goes through layers, losses, autograd and an optimizer, and all that their Python and C++ comes to is
the same few hundred operators each time.
"""

import functools
import re
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from vae_runner.training.recording.constants import Constants, memory_of, written_by

# what these find out Python may go by, and goes another way the next time
TELLING = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
# the same of what calls no operator, for it reads memory
READING = {Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__dlpack__}
# what gives a tensor another place in memory; views of it that were taken before are then of nothing
MOVING = ("aten::set_", "aten::resize_")
# these move running means and variances, which their schemas do not tell of; torch's compiler knows
NORMALISING = {torch.ops.aten.native_batch_norm.default, torch.ops.aten.cudnn_batch_norm.default}
RANDOM = -1  # stands for the memory in which a generator keeps its state


@dataclass
class Call:
    """A line to be written. name: of the operator; text: of the call; takes, gives: tensors that it reads and makes.

    touches, writes: addresses of the memory of what it takes, and of what it writes into. updates: whether it says that
    it does so, and some of it was there before.
    """

    name: str
    text: str
    takes: list[str]
    gives: list[str]
    targets: str
    is_view: bool
    touches: set[int]
    writes: set[int]
    updates: bool


class Operators(TorchDispatchMode):
    """Notes every operator that is called inside, what it is given and what comes of it.

    refused: the first operator that cannot be called again without Python looking at what it found, if any.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # asked by torch, which else imports its compiler to keep it out of here

    def __init__(self) -> None:
        super().__init__()
        self.refused: str | None = None
        self.calls: list[Call] = []
        self.names = WeakTensorKeyDictionary()  # of tensors: what was only needed for a while is let go as ever
        self.bound: dict[str, Any] = {}  # what the lines speak of that was there before
        self.strides: dict[str, tuple[int, ...]] = {}  # of what the calls give
        self.memory: dict[str, int] = {}  # the same, its address
        self._before: set[int] = set()  # the addresses of the tensors that are bound
        self.constants = Constants()
        self._functions: dict[Any, str] = {}
        self._readings = Readings(self)

    def __enter__(self) -> "Operators":
        if "torch._dynamo" in sys.modules:
            _keep_out_the_compiler()
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
        written = written_by(func, args, kwargs)
        random = {RANDOM} if torch.Tag.nondeterministic_seeded in func.tags else set()
        touches, writes = ({*map(memory_of, tensors)} | random for tensors in (taken, written))
        updates = not writes.isdisjoint(self._before)
        writes |= {*map(memory_of, _written_unsaid(func, args))}
        self.calls.append(Call(func.name(), text, takes, [*gives], targets, func.is_view, touches, writes, updates))
        self.constants.note(func, takes, gives, written)

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
        name = f"c{len(self.bound)}"
        self.bound[name] = value
        if isinstance(value, Tensor):
            self._before.add(memory_of(value))
        return name

    def _target(self, result: Any, gives: dict[str, Tensor]) -> str:
        """What a result is assigned to: nothing where it is no tensor, or one that has a name."""
        if isinstance(result, list | tuple):
            return f"[{', '.join(self._target(item, gives) for item in result)}]"
        if not isinstance(result, Tensor) or result in self.names:
            return "_"
        name = f"t{len(self.calls)}_{len(gives)}"
        self.names[result] = name
        self.strides[name], self.memory[name] = result.stride(), memory_of(result)
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


@functools.cache
def _keep_out_the_compiler() -> None:
    """Where a step calls what its user compiled, else what notes its operators would be compiled with it."""
    Operators.__torch_dispatch__ = torch._disable_dynamo(Operators.__torch_dispatch__)  # type: ignore[method-assign]


def _same(one: Any, other: Any) -> bool:
    """Whether two values that were there before a function was called are one."""
    if not isinstance(one, Tensor):
        return one is other or one == other or repr(one) == repr(other)  # as nan is
    if not isinstance(other, Tensor) or one.shape != other.shape or one.dtype != other.dtype:
        return False
    in_place = one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
    return in_place or torch.equal(one, other)  # a number that Python makes a tensor of each time


def _written_unsaid(func: Any, args: Any) -> list[Tensor]:
    if func not in NORMALISING:
        return []
    *statistics, training = args[3:6]
    return [tensor for tensor in statistics if training and isinstance(tensor, Tensor)]


def _tells(func: Any, args: Any) -> bool:
    if func is torch.ops.aten.index.Tensor:  # whose result has one shape always, unless by an index of booleans
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return not TELLING.isdisjoint(func.tags)
