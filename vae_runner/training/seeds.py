"""Seeds that follow from a run's seed, one for each purpose."""

import hashlib


def derived(seed: int, *purpose: str | int) -> int:
    """A seed for that purpose, unrelated to the seeds of other purposes and of other runs.

    Hashed to 32 bits, for torch's generator on the CPU takes no more: 0 and 2**32 are the same seed to it.
    """
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
