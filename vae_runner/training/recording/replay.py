"""The operators that a function called, as a function of its own.

Called directly they give the same numbers to the last bit, and nothing has to be remembered for a backward pass that is
written out already.
"""

import itertools
import linecache
from collections.abc import Callable, Sequence
from typing import Any

from torch._ops import OpOverload

from vae_runner.training.recording.operators import Call, Operators

Replay = Callable[[], None]
NUMBERS = itertools.count()  # of the functions that are written here


def replay_of(noted: Operators) -> Replay:
    """Calls the operators again, in order, and lets go of each tensor after its last use."""
    calls, namespace = left_to_do(noted)
    return written(calls, namespace, name="step")


def left_to_do(noted: Operators, views: bool = False) -> tuple[list[Call], dict[str, Any]]:
    """The calls that are to be made each time, and what their lines speak of, by name.

    What is the same each time is not computed again: constants, and views of what was there before, unless these are
    wanted.
    """
    namespace = noted.bound | noted.constants.values
    left = []
    for call in noted.calls:
        if call.gives and all(name in namespace for name in call.gives):
            continue
        if call.is_view and not views and not noted.moves_memory and all(name in namespace for name in call.takes):
            exec(f"{call.targets} = {call.text}", namespace)
        else:
            left.append(call)
    return left, namespace


def written(
    calls: Sequence[Call],
    namespace: dict[str, Any],
    *,
    name: str,
    takes: Sequence[str] = (),
    gives: Sequence[str] = (),
    traced: bool = False,
) -> Callable[..., Any]:
    """A function that makes these calls. takes, gives: names of tensors, its arguments and its results.

    traced: torch's compiler is to read it, which knows operators only as Python knows them.
    """
    lines = [f"    return {', '.join(gives)}," if gives else "    return None"]
    used = {*gives}
    for call in reversed(calls):
        if call.is_view and used.isdisjoint(call.gives):
            continue  # another name for memory, which nobody reads by it
        last = [tensor for tensor in {*call.takes, *call.gives} - used if tensor not in namespace]
        lines += [f"    del {', '.join(last)}"] if last else []
        lines.append(f"    {call.targets} = {call.text}" if call.gives else f"    {call.text}")
        used.update(call.takes, call.gives)
    if not traced:  # without the Python around them
        namespace = {key: value._op if isinstance(value, OpOverload) else value for key, value in namespace.items()}
    source = "\n".join([f"def {name}({', '.join(takes)}):", *reversed(lines)])
    place = f"<{name} {next(NUMBERS)}>"
    if traced:  # older compilers take what is written nowhere for one function, and compile it eight times at most
        linecache.cache[place] = len(source), None, source.splitlines(keepends=True), place
    exec(compile(source, place, "exec"), namespace)
    return namespace[name]
