"""How torchrun says in the environment which of a training's processes this one is."""

import os


def processes() -> int:
    """How many there are: 1 where nothing launched several."""
    return int(os.environ["WORLD_SIZE"]) if "RANK" in os.environ and "WORLD_SIZE" in os.environ else 1


def rank() -> int:
    """Which one this is, from 0."""
    return int(os.environ["RANK"]) if processes() > 1 else 0


def local_rank() -> int:
    """Which one this is of those on this machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", 0)) if processes() > 1 else 0


def local_processes() -> int:
    """How many there are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if processes() > 1 else 1
