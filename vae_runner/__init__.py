"""vae_runner: a config-driven experiment runner for variational autoencoders."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae_runner.build import Run

__version__ = "0.1.0"
__all__ = ["Run", "__version__"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: only who asks for a run pays for it
    if name == "Run":
        from vae_runner.build import Run

        return Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
