"""Data-parallel training: each process takes a part of every batch, and all of them take the same step.

`World` is what the loop knows of the processes: one by itself, or, as `Processes`, one of several. Rank 0 leads: it has
the run directory, evaluates and draws, while the others wait.
"""

import contextlib
import logging
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vae_runner import parts
from vae_runner.errors import UserError
from vae_runner.training.seeds import derived

log = logging.getLogger(__name__)

SILENCE = timedelta(minutes=10)  # after which a process that takes part in no step is given up
PATIENCE = timedelta(days=7)  # the same while rank 0 evaluates
HEARING = 10  # steps from one look to the next at whether a process was asked to stop
# how a lost connection reads: Gloo has no exception of its own for it, and NCCL has one for all that goes wrong
OF_GLOO = re.compile(r"\[\S*gloo/transport/\S+\] |Application timeout caused pair closure")
OF_NCCL = re.compile(r"(?i)ncclRemoteError|ncclSystemError|store->get|abort|time(d )?out")

Value = TypeVar("Value")


class LostProcess(Exception):
    """Another process of the training is gone or silent; the message says so in one line."""


class World:
    """A process by itself."""

    rank, size = 0, 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def lead(self, work: Callable[[], Value]) -> Value:
        """What `work` returns on rank 0, which alone does it; the others wait for it."""
        return work()

    def share(self, value: Any = None) -> Any:
        """The value that rank 0 gives."""
        return self.lead(lambda: value)

    @contextlib.contextmanager
    def agreed(self) -> Iterator[None]:
        """What a user has to mend on one process ends all. Raises UserError on rank 0, LostProcess elsewhere."""
        yield

    def take_hold(self, modules: Iterable[nn.Module]) -> None:
        """Gives the modules the weights of rank 0, and logs what is of each process by itself."""

    def own(self, indices: Tensor) -> Tensor:
        """This process's part of the examples of a batch (N,)."""
        return indices

    @contextlib.contextmanager
    def part_of(self, examples: int) -> Iterator[None]:
        """Inside: this process computes its part of a batch of that many examples."""
        yield

    def average(
        self, figures: dict[str, Tensor], parameters: Iterable[nn.Parameter], examples: int
    ) -> dict[str, Tensor]:
        """The figures of the whole batch of that many examples, whose gradients it leaves in the parameters."""
        return figures

    def hear(self, asked: str | None, done: int) -> str | None:
        """The signal by which some process was asked to stop, if all are to stop after `done` steps."""
        return asked

    def leave(self) -> None:
        """Says farewell at the end of a training that went well."""


ALONE = World()


class Processes(World):
    """One of several, launched by torchrun. All call the same methods in the same order, but `own` and `part_of`."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self.dist = dist
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=SILENCE)
        self.waiting: Any = dist.new_group(backend="gloo", timeout=PATIENCE)
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def lead(self, work: Callable[[], Value]) -> Value:
        result = [work() if self.leads else None]
        with _listening():
            self.dist.broadcast_object_list(result, src=0, group=self.waiting)
        return result[0]  # type: ignore[return-value]

    @contextlib.contextmanager
    def agreed(self) -> Iterator[None]:
        mine: UserError | None = None
        try:
            yield
        except UserError as error:
            mine = error
        said: list[Any] = [None] * self.size
        with _listening():
            self.dist.all_gather_object(said, mine and str(mine), group=self.waiting)
        if not any(said):
            return
        if not self.leads:
            raise LostProcess("rank 0 says what to mend")
        if mine:
            raise mine
        which = next(rank for rank, mistake in enumerate(said) if mistake)
        raise UserError(f"process {which}: {said[which]}")

    def take_hold(self, modules: Iterable[nn.Module]) -> None:
        modules = list(modules)
        with _listening(), torch.no_grad():
            for module in modules:
                for tensor in [*module.parameters(), *module.buffers()]:
                    self.dist.broadcast(tensor, src=0)
        recurrent = [part for module in modules for part in module.modules() if _drops_between_layers(part)]
        for part in recurrent:
            _give_own_noise(part, self.rank)
        alone = "; the noise of the dropout between recurrent layers is of each by itself" if recurrent else ""
        log.info("each batch is divided among %d processes%s", self.size, alone)

    def _part(self, examples: int) -> parts.Part | None:
        # a batch that does not go round is computed by every process
        return parts.Part.of(examples, self.rank, self.size, self._add)

    def own(self, indices: Tensor) -> Tensor:
        part = self._part(len(indices))
        return indices if part is None else indices[part.first : part.first + part.size]

    @contextlib.contextmanager
    def part_of(self, examples: int) -> Iterator[None]:
        with parts.computing(self._part(examples)):
            yield

    def average(
        self, figures: dict[str, Tensor], parameters: Iterable[nn.Parameter], examples: int
    ) -> dict[str, Tensor]:
        part = self._part(examples)
        played = list({id(p): p for p in parameters if p.grad is not None}.values())
        gradients = [parameter.grad.flatten() for parameter in played]  # type: ignore[union-attr]
        # one message, for each costs as much as a small step
        flat = torch.cat([*gradients, torch.stack([*figures.values()])])
        flat *= 1 / self.size if part is None else part.share
        self._add(flat)
        *pieces, values = flat.split([*map(len, gradients), len(figures)])
        for parameter, piece in zip(played, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)
        return dict(zip(figures, values.unbind(), strict=True))

    def hear(self, asked: str | None, done: int) -> str | None:
        if done % HEARING:
            return None
        number = torch.tensor(signal.Signals[asked].value if asked else 0)
        with _listening():
            self.dist.all_reduce(number, self.dist.ReduceOp.MAX, group=self.waiting)
        return signal.Signals(int(number)).name if number else None

    def leave(self) -> None:
        self.dist.destroy_process_group()

    def _add(self, tensor: Tensor) -> None:
        with _listening():
            self.dist.all_reduce(tensor)


@contextlib.contextmanager
def _listening() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not _tells_of_a_lost_process(error):
            raise
        raise LostProcess("another process of this training is gone, or silent") from error


def _tells_of_a_lost_process(error: RuntimeError) -> bool:
    import torch.distributed as dist

    if isinstance(error, dist.DistBackendError):
        return bool(OF_NCCL.search(str(error)))
    return isinstance(error, dist.DistNetworkError | dist.DistStoreError) or bool(OF_GLOO.match(str(error)))


def _drops_between_layers(module: nn.Module) -> bool:
    return isinstance(module, nn.RNNBase) and module.num_layers > 1 and module.dropout > 0


def _give_own_noise(module: nn.Module, rank: int) -> None:
    """Lets a module draw from a random state of its own, so that the states of all processes stay the same.

    On a GPU such layers have one anyway.
    """
    kept: list[Tensor] = []

    def before(*_: Any) -> None:
        seed = int(torch.randint(2**31, ()))
        kept.append(torch.get_rng_state())
        # of the processor alone: torch.manual_seed would part the GPUs' states, from which all other noise comes
        torch.default_generator.manual_seed(derived(seed, rank))

    def after(*_: Any) -> None:
        torch.set_rng_state(kept.pop())

    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)
