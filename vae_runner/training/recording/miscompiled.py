"""What torch's compiler is known to make wrong without a word, and therefore is not given."""

from typing import Any

import torch
from torch import Tensor

from vae_runner.training.recording.constants import memory_of
from vae_runner.training.recording.operators import Operators

aten = torch.ops.aten
COPIES = {aten.clone.default, aten.alias.default, aten.lift_fresh_copy.default}
INDEXED = (
    "aten::index_add",
    "aten::index_copy",
    "aten::index_put",
    "aten::_index_put_impl_",
    "aten::_unsafe_index_put",
)
OF_LISTS = ("aten::_foreach", "aten::_fused")


def why_not_compiled(noted: Operators) -> str | None:
    """The first call that would be compiled to another than it is, if any.

    The compiler takes a copy for what it is a copy of, and lets results have the memory of what is not read any more:
    numbers that are moved within a tensor may be read where others were just written.
    """
    if noted.moves_memory:
        return "a tensor is given other memory"
    # what a tensor is a view or a copy of: memory that was there before, or the name of a result
    roots: dict[str, Any] = {name: memory_of(value) for name, value in noted.bound.items() if isinstance(value, Tensor)}
    for call in noted.calls:
        if not call.takes:
            continue
        target, *sources = call.takes
        if call.is_view or call.operator in COPIES:
            roots |= dict.fromkeys(call.gives, roots.get(target, target))
        indexed = call.name.startswith(INDEXED)
        in_place = call.name.partition(".")[0].endswith("_") and not call.name.startswith(OF_LISTS)
        for source in sources if indexed or in_place else []:
            is_itself = source == target and not indexed  # number by number
            if roots.get(source, source) == roots.get(target, target) and not is_itself:
                return f"{call.name} moves numbers within a tensor"
    return None
