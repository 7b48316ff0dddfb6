"""`python -m vae_runner` is `vae-run`."""

import sys

from vae_runner.cli import command

if __name__ == "__main__":
    sys.exit(command())
