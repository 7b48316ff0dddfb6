"""A recorded step whose computations torch's compiler fuses: fewer passes over memory, and fewer kernels."""

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vae_runner.training.recording.constants import memory_of
from vae_runner.training.recording.operators import RANDOM, Call, Operators
from vae_runner.training.recording.replay import Replay, left_to_do, replay_of, written

log = logging.getLogger(__name__)

AFTER = 100  # steps of a kind: the last batch of an epoch, which is shorter, is not worth it
LARGEST = 3000  # operators; some hundreds take the compiler a quarter of a minute
# random numbers are torch's own, the same as without it; and x * 1 is not x itself, which may be written into
OPTIONS = {"fallback_random": True, "joint_graph_constant_folding": False}
COMPILER: dict[str, Any] = {"backend": "inductor", "options": OPTIONS}


class CompiledStep:
    """Takes the step that was noted, and compiles it after some calls: what computes, not what updates.

    Until then, and where the compiler fails, the operators are called one after another. settled: whether it is taken
    from now on as it was the last time.
    """

    def __init__(self, noted: Operators):
        calls, self._namespace = left_to_do(noted)
        self._plain, self._strides, self._memory = replay_of(noted), noted.strides, noted.memory
        self._computing, self._updating = parted(calls)
        self._take: Replay | None = None
        self._calls = 0

    @property
    def settled(self) -> bool:
        return self._take is not None

    def __call__(self) -> None:
        if self._take:
            self._take()
        elif self._calls < AFTER:
            self._calls += 1
            self._plain()
        else:
            self._compile()

    def _compile(self) -> None:
        """Compiles the step, and takes it."""
        self._take = self._plain
        count = len(self._computing)
        if count > LARGEST:
            log.warning("the step is not compiled: for its %d operators the compiler would need an hour", count)
            return self._plain()
        compute, arguments, update, gives = self._functions()
        if not gives:  # it only updates
            return self._plain()
        log.info("compiling the %d operators of a step", count)
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it says that there is no GPU
        generators = _generators([argument.device for argument in arguments])
        states = [generator.get_state() for generator in generators]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of what it calls itself
                compute = torch.compile(compute, fullgraph=True, dynamic=False, **COMPILER)
                results = compute(*arguments)
        except Exception as error:  # a missing compiler, no place for what it makes, or whatever it cannot do
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)  # it may have come as far as to draw
            log.warning("the step is not compiled, and taken as it was recorded: %s", _why(error))
            return self._plain()
        moved = any(result.stride() != self._strides[name] for name, result in zip(gives, results, strict=True))
        # fused optimizers go through parameters and gradients by place alone, and updates may write into what they take
        if moved or self._shares(arguments, gives, results):
            log.warning("the step is not compiled: what it computes would lie elsewhere in memory")
            results = [_lying(result, self._strides[name]) for name, result in zip(gives, results, strict=True)]
        else:
            self._take = lambda: update(*compute(*arguments))
        update(*results)
        return None

    def _shares(self, arguments: list[Tensor], gives: list[str], results: Sequence[Tensor]) -> bool:
        """Whether some result has memory in common with an argument or another result that it had not as recorded."""
        recorded = [*map(memory_of, arguments), *(self._memory[name] for name in gives)]
        present = [*map(memory_of, arguments), *map(memory_of, results)]
        first: dict[int, int] = {}
        return any(first.setdefault(now, before) != before for before, now in zip(recorded, present, strict=True))

    def _functions(self) -> tuple[Callable[..., Any], list[Tensor], Callable[..., Any], list[str]]:
        """What computes, of which arguments; and what then updates by these results, of which names."""
        made = {name for call in self._computing for name in call.gives}
        takes = [*dict.fromkeys(name for call in self._computing for name in call.takes if name not in made)]
        viewed = {name for call in self._updating for name in call.gives}
        gives = [*dict.fromkeys(name for call in self._updating for name in call.takes if name in made - viewed)]
        if gives:  # also what is drawn and not taken, so that it is drawn and what comes after it stays the same
            drawn = [name for call in self._computing if RANDOM in call.touches for name in call.gives or call.takes]
            gives = [*dict.fromkeys([*gives, *(name for name in drawn if name in made)])]
        arguments = [self._namespace[name] for name in takes]
        rest = {name: value for name, value in self._namespace.items() if name not in takes}
        compute = written(self._computing, rest, name="compute", takes=takes, gives=gives, traced=True)
        update = written(self._updating, self._namespace, name="update", takes=gives)
        return compute, arguments, update, gives


def parted(calls: Sequence[Call]) -> tuple[list[Call], list[Call]]:
    """Calls that compute, and calls that write into memory that was there before; all can be made in this order.

    A call that reads what one of the latter wrote, draws after it, or writes into what it read, is among them.
    """
    computing: list[Call] = []
    updating: list[Call] = []
    later: set[int | str] = set()  # memory and tensors that updating calls write and make
    read: set[int] = set()  # memory as updating calls are to find it
    for call in calls:
        waits = not later.isdisjoint(call.touches) or not later.isdisjoint(call.takes)
        if call.updates or waits or not read.isdisjoint(call.writes):
            updating.append(call)
            later |= {*call.writes, *call.gives}
            read |= call.touches
        else:
            computing.append(call)
    return computing, [*_views(computing, updating), *updating]


def _views(computing: Sequence[Call], updating: Sequence[Call]) -> list[Call]:
    """Calls that make the views which updating calls take of what was computed.

    The compiler may give a view other memory than what it is a view of, and then a write into one misses the other.
    """
    views: list[Call] = []
    needed = {name for call in updating for name in call.takes}
    for call in reversed(computing):
        if call.is_view and not needed.isdisjoint(call.gives):
            views.insert(0, call)
            needed.update(call.takes)
    return views


def _generators(devices: Sequence[torch.device]) -> list[torch.Generator]:
    indices = {device.index for device in devices if device.type == "cuda"}
    return [torch.default_generator, *(torch.cuda.default_generators[index] for index in sorted(indices))]


def _lying(tensor: Tensor, stride: tuple[int, ...]) -> Tensor:
    return torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def _why(error: Exception) -> str:
    """In one line: torch's compiler begins with who failed, and goes on with how to learn more."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("backend=")]
    return lines[0] if lines else type(error).__name__
