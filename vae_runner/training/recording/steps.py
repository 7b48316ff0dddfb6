"""Training steps that are recorded once and replayed, so that no time goes into the Python that leads to them.

A recording holds what one step does to memory, nothing of the Python that asked for it: the kernels of a GPU, or the
operators of a CPU. So a step must find whatever differs from one to the next where the recording looks for it: the
indices of the batch, or the batch, in memory of its own, the step's number, the weight of the KL and the learning rates
in tensors, noise in the device's generator.
"""

import functools
import logging
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from vae_runner.training.recording.compiled import CompiledStep
from vae_runner.training.recording.given import Given, form_of, kept, overwrite
from vae_runner.training.recording.operators import Operators
from vae_runner.training.recording.pieces import updating_in_pieces
from vae_runner.training.recording.python_state import PythonState
from vae_runner.training.recording.replay import Replay, replay_of
from vae_runner.training.step import Player

log = logging.getLogger(__name__)

WARM_UP = 3  # plain steps before a recording: libraries choose their kernels, optimizers make their moments

Step = Callable[[Given, list[Player]], None]
Kind = tuple[Hashable, ...]
Record = Callable[[Replay, Any], tuple[Replay | None, Any]]


@dataclass
class Recording:
    """given: to the step, to be overwritten before each replay. replay: None where another step is to be seen first.

    seen: whatever is to be known of this one then, or kept for the replay.
    """

    given: Given
    replay: Replay | None = None
    seen: Any = None


class NotRecorded(Exception):
    """A step cannot be recorded; the message says why. taken: whether it was taken nevertheless."""

    def __init__(self, why: str, taken: bool):
        super().__init__(why)
        self.taken = taken


def steps_on(
    device: torch.device, plain: Step, recorded: bool, modules: Sequence[nn.Module], compiled: bool = False
) -> Step:
    """How steps are taken: plainly, or where so wished recorded and replayed. modules: all that a step calls.

    compiled: recorded steps are compiled.
    """
    if not recorded or device.type not in ("cuda", "cpu"):
        if compiled:
            log.warning("trainer.compile: steps are not compiled where they are not recorded")
        return plain
    if device.type == "cpu":
        return RecordedSteps(plain, plain, functools.partial(operators, modules, compiled))
    if compiled:
        return RecordedSteps(on_side_stream(plain), plain, functools.partial(graph_of_compiled, modules))
    return RecordedSteps(on_side_stream(plain), updating_in_pieces(plain), cuda_graph)


class RecordedSteps:
    """Takes a step given its examples: the first few of a kind plainly, the others by replaying.

    Steps are of one kind that have batches of one size and length and the same players. plain: takes a step, reading
    and writing nothing but device memory; step: the same, to be recorded. record: takes a step, given what was seen of
    the one before, and returns what takes it again and what it saw, or raises NotRecorded; then all steps are plain.
    """

    def __init__(self, plain: Step, step: Step, record: Record):
        self.plain, self.step, self.record = plain, step, record
        self.taken: Counter[Kind] = Counter()
        self.recordings: dict[Kind, Recording] = {}
        self.failed = False

    def __call__(self, given: Given, playing: list[Player]) -> None:
        kind = (*form_of(given), *(id(player) for player in playing))
        recording = self.recordings.get(kind)
        if recording and recording.replay:
            overwrite(recording.given, given)
            recording.replay()
            return
        self.taken[kind] += 1
        if self.failed or self.taken[kind] <= WARM_UP:
            self.plain(given, playing)
            return
        try:
            self._record(kind, given, playing)
        except NotRecorded as refusal:
            self.failed = True
            self.recordings.clear()  # on a GPU their generator is no longer the one in use
            log.info("every step runs its Python anew, for it cannot be recorded: %s", refusal)
            if not refusal.taken:
                self.plain(given, playing)

    def _record(self, kind: Kind, given: Given, playing: list[Player]) -> None:
        if kind not in self.recordings:
            self.recordings[kind] = Recording(kept(given))
        recording = self.recordings[kind]
        overwrite(recording.given, given)
        replayable = functools.partial(self.step, recording.given, playing)
        recording.replay, recording.seen = self.record(replayable, recording.seen)


def operators(
    modules: Sequence[nn.Module], compiled: bool, function: Callable[[], None], earlier: Operators | None
) -> tuple[Replay | None, Operators | None]:
    """Calls a function, and sees if it does what it did `earlier`.

    Where a second call is the same as the first, nothing that Python alone knows is likely to make another different.
    Raises NotRecorded if it is not, or if something of the modules changes that is in no tensor.
    """
    before, noted = PythonState(modules), Operators()
    with noted:
        function()
    changed = before.changed_to(PythonState(modules))
    why = noted.refused or (changed and f"Python changes {changed}") or (earlier and earlier.differs_from(noted))
    if why:
        raise NotRecorded(why, taken=True)
    if earlier is None:
        return None, noted
    return CompiledStep(noted) if compiled else replay_of(noted), None


def cuda_graph(function: Callable[[], None], earlier: None) -> tuple[Replay, None]:
    """Records what a function launches on the current CUDA device, and launches it. Returns what launches it again.

    Raises NotRecorded where it waits for the device, or launches what cannot be recorded; nothing was launched then.
    """
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    before = generator.clone_state()
    try:
        with torch.cuda.graph(graph):
            function()
    except RuntimeError as error:
        generator.graphsafe_set_state(before)  # the present one still waits for the recording to end
        raise NotRecorded(_first_line(error), taken=False) from error
    graph.replay()
    return graph.replay, None


def graph_of_compiled(
    modules: Sequence[nn.Module], function: Callable[[], None], seen: Operators | CompiledStep | None
) -> tuple[Replay | None, Operators | CompiledStep | None]:
    """Records what the operators of a function launch once they are compiled, which calls before that do.

    Raises NotRecorded as `operators` and `cuda_graph` do.
    """
    if not isinstance(seen, CompiledStep):
        replay, noted = operators(modules, True, function, seen)
        return None, cast(CompiledStep, replay) if replay else noted
    if not seen.settled:
        seen()
        return None, seen
    replay, _ = cuda_graph(seen, None)
    return replay, seen  # which has the constants and whatever else was there before, that the graph reads


def on_side_stream(step: Step) -> Step:
    """The same steps on another stream than the current one, as those before a recording have to be."""
    side = torch.cuda.Stream()

    def aside(given: Given, playing: list[Player]) -> None:
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            step(given, playing)
        torch.cuda.current_stream().wait_stream(side)

    return aside


def _first_line(error: BaseException) -> str:
    """Of the first thing that went wrong: what is raised at the end of a recording only says that something did."""
    while error.__context__:
        error = error.__context__
    return (str(error) or type(error).__name__).splitlines()[0]
