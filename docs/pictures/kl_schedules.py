"""Draws every KL schedule with its default settings, by the code that training uses.

`python docs/pictures/kl_schedules.py [PATH]` writes the picture beside this file, or to PATH.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from vae_runner.kl import KL, Constant, Cosine, Cyclical, Linear, Sigmoid

STEPS = 1000
SCHEDULES: list[type[KL]] = [Constant, Linear, Cosine, Sigmoid, Cyclical]


def draw(path: Path) -> None:
    """Writes the picture as PNG."""
    figure = Figure(figsize=(11, 2.4), layout="constrained")
    for axes, schedule in zip(figure.subplots(1, len(SCHEDULES), sharey=True), SCHEDULES, strict=True):
        kl = schedule(1, STEPS)
        axes.plot([step / STEPS for step in range(STEPS)], [kl.schedule(step) for step in range(STEPS)], linewidth=2)
        axes.set_title(f"kl={schedule.__name__.lower()}", fontsize=11)
        axes.set_xlabel("part of the run")
        axes.set_ylim(-0.03, 1.06)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("s, the part of kl.weight")
    figure.savefig(path, dpi=160)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".png"))
