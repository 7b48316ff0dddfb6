"""`vae-run WORD ...`: the word -> `vae_runner.commands.WORD.main(arguments)`, and what it raises -> an exit code."""

import atexit
import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from importlib import import_module

from vae_runner import __version__
from vae_runner.commands import COMMANDS
from vae_runner.errors import UserError
from vae_runner.launched import processes, rank
from vae_runner.signals import interruptible

EXIT_INTERRUPTED = 130


def command() -> int:
    """`main`, in a process of its own, which may collect garbage less often.

    Imports leave hundreds of thousands of objects, none of which is garbage. Looking through them took a sixth of the
    time that a run needs to start, and most of a second at its end.
    """
    gc.set_threshold(10_000, 20, 20)
    atexit.register(gc.freeze)
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt but Python's own end
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; gives the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with interruptible() if rank() == 0 else nullcontext():  # of several processes the first ends the others
            return _dispatch(arguments)
    except UserError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exc()
        for line in str(error).splitlines():
            print(f"vae-run: {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has gone (`vae-run list | head`); what is left of it must not fail at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(arguments: list[str]) -> int:
    word = arguments[0] if arguments else "--help"
    if processes() > 1 and word != "train":
        if rank() > 0:
            return UserError.exit_code  # the first of them says why
        raise UserError(f"torchrun goes with train alone: type vae-run {' '.join(arguments)}")
    if word in ("--help", "-h", "help"):
        print(_help())
    elif word in ("--version", "-V"):
        print(f"vae-run {__version__}")
    elif word in ("--shell-completion", "-sc"):
        return import_module("vae_runner.commands.shell_completion").main(arguments[1:])
    elif word in COMMANDS:
        return import_module(f"vae_runner.commands.{word}").main(arguments[1:])
    else:
        raise UserError(_of_unknown_word(word, arguments))
    sys.stdout.flush()
    return 0


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    commands = "\n".join(f"  {name:<{width}}{summary}" for name, summary in COMMANDS.items())
    return f"""vae_runner {__version__}: a config-driven experiment runner for variational autoencoders

  vae-run COMMAND [group=option ...] [key=value ...]

{commands}

  vae-run train                                  the default: a VAE on small digits, in a minute
  vae-run train variant=beta_vae data=mnist      another recipe, other data
  vae-run train -m latent_dim=2,8,32             a sweep
  vae-run train --help                           every group and every setting
  vae-run list variant                           the recipes, with a line on each

Shell completion: eval "$(vae-run -sc install=bash)\""""


def _of_unknown_word(word: str, arguments: list[str]) -> str:
    command = next((argument for argument in arguments if argument in COMMANDS), None)
    if command:
        rest = [argument for argument in arguments if argument != command]
        return f"the command comes first: vae-run {' '.join([command, *rest])}"
    if "=" in word:
        return f"{word}: no command is given; did you mean vae-run train {' '.join(arguments)}?"
    if near := get_close_matches(word, COMMANDS, n=1):
        return f"{word}: there is no such command; did you mean {near[0]}?"
    return f"{word}: there is no such command; choose one of {', '.join(COMMANDS)}"
