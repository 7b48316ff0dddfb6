"""What an experiment is held against: a published figure, and how near one of ours is to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from vae_runner.errors import UserError
from vae_runner.reporting.better import is_better_high
from vae_runner.reporting.formats import number
from vae_runner.run_directory import RunDirectory
from vae_runner.settings import Range

NOT_TAKEN = "not taken"


@dataclass(frozen=True, kw_only=True)
class Published:
    """`published:` of an experiment.

    figure: which of ours it is held against, by its place in summary.json, as in test.elbo, or in evaluation.json, as
    in likelihood.log_likelihood. value: the published one, in the units of ours and with its sign. tolerance: how far
    from it ours may be, either way, and still count as the same. source: who published it, and of what.
    """

    figure: str
    value: float
    tolerance: Annotated[float, Range(0)]
    source: str

    @classmethod
    def of(cls, config: Mapping[str, Any], file: Path) -> "Published | None":
        """That of the config in a file, where it has one. Raises UserError where it is not one."""
        if config.get("published") is None:
            return None
        try:
            return cls(**config["published"])
        except TypeError as error:
            raise UserError(f"{file}: published: must have figure, value, tolerance and source, and no more") from error

    def ours(self, run: RunDirectory) -> float | None:
        """The figure of a run, or None where it was not taken; groups of evaluation.json count if of test examples."""
        evaluation = run.evaluation()
        for written in (run.summary(), evaluation if evaluation.get("groups_of") == "test" else {}):
            found: Any = written
            for key in self.figure.split("."):
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, int | float):
                return found
        return None

    def verdict(self, ours: float | None) -> str:
        """Whether ours is the same within the tolerance; if not, which is better and by how much."""
        if ours is None:
            return NOT_TAKEN
        difference = ours - self.value
        if abs(difference) <= self.tolerance:
            return f"within {number(self.tolerance)}"
        better = (difference > 0) == is_better_high(self.figure.rpartition(".")[2])
        return f"{'better' if better else 'worse'} by {number(abs(difference), 3)}"

    def __str__(self) -> str:
        return f"{self.figure} {number(self.value)} ± {number(self.tolerance)} ({self.source})"
