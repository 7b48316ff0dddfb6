"""`torchrun ... -m vae_runner train`: one run by several processes, of which rank 0 leads and speaks."""

import logging
import sys
from collections.abc import Sequence

from vae_runner.commands.hydra_app import CommandLine, run_hydra
from vae_runner.commands.one_run import FAILED, INTERRUPTED, train_or_resume
from vae_runner.errors import UserError
from vae_runner.signals import Interrupted
from vae_runner.training.distributed import LostProcess, Processes
from vae_runner.training.nonfinite import NonFinite


def main(args: Sequence[str]) -> int:
    world = Processes()
    code = _lead(world, args) if world.leads else _follow(world)
    if not code:
        world.leave()
    return code


def _lead(world: Processes, args: Sequence[str]) -> int:
    line = CommandLine.parse(args)
    if line.multirun:
        raise UserError(
            "-m: several processes train one run; for a sweep type vae-run train -m without torchrun, or one torchrun "
            "for each of its jobs"
        )
    world.share(not line.shows)
    if line.shows:
        run_hydra(lambda config: None, args)
        return 0
    return train_or_resume(line, args, world=world)


def _follow(world: Processes) -> int:
    from vae_runner import execute

    logger = logging.getLogger("vae_runner")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    try:
        if not world.share():
            return 0
        fit = execute.follow(world)
    except LostProcess:  # rank 0 says why
        return FAILED
    try:
        fit()
    except Interrupted:
        return INTERRUPTED
    except NonFinite:
        return FAILED
    except LostProcess as error:
        print(f"vae-run: process {world.rank}: {error}", file=sys.stderr)
        return FAILED
    return 0
