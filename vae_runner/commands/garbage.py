"""What is left alone where Python looks for garbage."""

import gc
from functools import lru_cache


@lru_cache
def imports_stay() -> None:
    """Once in a process, when what trains was imported: a search through it takes more than a tenth of a second.

    Python searches through everything twice in a run of a minute.
    """
    gc.freeze()
