"""Whether processes have ended."""

import time
from collections.abc import Callable


def is_gone(send: Callable[[], None]) -> bool:
    """Whether the processes that `send` sends a signal to end within some seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            send()
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
