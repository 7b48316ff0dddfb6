"""A recorded step whose operators torch's compiler fuses: fewer passes over memory, and fewer kernels."""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vae_runner.training.recording.constants import memory_of
from vae_runner.training.recording.miscompiled import why_not_compiled
from vae_runner.training.recording.normalisation import BATCH_NORM
from vae_runner.training.recording.operators import Call, Operators
from vae_runner.training.recording.replay import Replay, left_to_do, replay_of, written
from vae_runner.training.recording.updates import UPDATES

log = logging.getLogger(__name__)
aten = torch.ops.aten

AFTER = 100  # steps of a kind: the last batch of an epoch, which is shorter, is not worth it
LARGEST = 3000  # operators; some hundreds take the compiler a quarter of a minute
# random numbers are torch's own, drawn in the same order as without it
OPTIONS = {"fallback_random": True, "reorder_for_locality": False}
COMPILER: dict[str, Any] = {"backend": "inductor", "options": OPTIONS}
REPLACED = UPDATES | BATCH_NORM


class CompiledStep:
    """Takes the step that was noted, and compiles it after some calls.

    Until then, and where the compiler fails, the operators are called one after another. settled: whether it is taken
    from now on as it was the last time.
    """

    def __init__(self, noted: Operators):
        self._plain, self._noted = replay_of(noted), noted
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
        if (count := len(self._noted.calls)) > LARGEST:
            log.warning("the step is not compiled: for its %d operators the compiler would need an hour", count)
            return self._plain()
        if why := why_not_compiled(self._noted):
            log.warning("the step is not compiled, and taken as it was recorded: %s", why)
            return self._plain()
        step, arguments = self._as_a_function()
        log.info("compiling the %d operators of a step", count)
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it says that there is no GPU
        generators = _generators([argument.device for argument in arguments])
        states = [generator.get_state() for generator in generators]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of what it calls itself
                step = torch.compile(step, fullgraph=True, dynamic=False, **COMPILER)
                step(*arguments)
        except torch.OutOfMemoryError:
            raise  # a part of the step may have been taken
        except Exception as error:  # a missing compiler, no place for what it makes, or whatever it cannot do
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)  # it may have come as far as to draw
            log.warning("the step is not compiled, and taken as it was recorded: %s", _why(error))
            return self._plain()
        self._take = lambda: step(*arguments)
        return None

    def _as_a_function(self) -> tuple[Callable[..., Any], list[Tensor]]:
        """The step as a function of the memory that was there before, and that."""
        calls, namespace = left_to_do(self._noted, views=True)
        made = {name for call in calls for name in call.gives}
        takes = [*dict.fromkeys(name for call in calls for name in call.takes if name not in made)]
        memory, views = in_memory({name: namespace.pop(name) for name in takes})
        # what is drawn and not taken is drawn nevertheless, so that what comes after it stays the same
        kept = [name for call in calls if call.draws for name in call.gives or call.takes if name in made]
        for number, call in enumerate(calls):
            if call.operator in UPDATES:
                kept.append(f"u{number}")
                calls[number] = replace(call, targets=kept[-1], gives=kept[-1:])
        namespace |= {name: REPLACED[value] for name, value in namespace.items() if value in REPLACED}
        namespace["as_strided"] = aten.as_strided.default
        gives = [*dict.fromkeys(kept)]
        step = written([*views, *calls], namespace, name="step", takes=[*memory], gives=gives, traced=True)
        return step, [*memory.values()]


def in_memory(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[Call]]:
    """Tensors by name, none of them a view; and the calls that give, of them, those tensors that share memory.

    The compiler takes no views of the same memory where it is written into.
    """
    sharing: dict[Any, list[str]] = {}
    for name, tensor in tensors.items():
        sharing.setdefault((memory_of(tensor), tensor.dtype), []).append(name)
    memory: dict[str, Tensor] = {}
    views: list[Call] = []
    for names in sharing.values():
        if len(names) == 1:
            tensor = tensors[names[0]]
            memory[names[0]] = _lying(tensor, int(tensor.storage_offset()), tensor.shape, tensor.stride())
            continue
        whole, base = tensors[names[0]], f"m{len(memory)}"
        memory[base] = _lying(whole, 0, (len(whole.untyped_storage()) // whole.element_size(),), (1,))
        for name in names:
            tensor = tensors[name]
            text = f"as_strided({base}, {[*tensor.shape]}, {[*tensor.stride()]}, {tensor.storage_offset()})"
            views.append(Call(aten.as_strided.default, text, [base], [name], name))
    return memory, views


def _lying(tensor: Tensor, offset: int, shape: Sequence[int], stride: Sequence[int]) -> Tensor:
    """What lies there in the memory of a tensor, by itself."""
    alone = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return alone.set_(tensor.untyped_storage(), offset, shape, stride)


def _generators(devices: Sequence[torch.device]) -> list[torch.Generator]:
    indices = {device.index for device in devices if device.type == "cuda"}
    return [torch.default_generator, *(torch.cuda.default_generators[index] for index in sorted(indices))]


def _why(error: Exception) -> str:
    """In one line: torch's compiler begins with who failed, and goes on with how to learn more."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("backend=")]
    return lines[0] if lines else type(error).__name__
