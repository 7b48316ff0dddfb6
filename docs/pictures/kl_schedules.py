"""Draws every KL schedule with its default settings, by the code that training uses.

`python docs/pictures/kl_schedules.py [PATH]` writes the picture beside this file, or to PATH.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from vae_runner.kl import KL, Constant, Cosine, Cyclical, Linear, Sigmoid

STEPS_PER_EPOCH = 100
EPOCHS: dict[type[KL], int] = {Constant: 15, Linear: 15, Cosine: 15, Sigmoid: 15, Cyclical: 45}


def draw(path: Path) -> None:
    """Writes the picture as PNG."""
    figure = Figure(figsize=(11, 2.4), layout="constrained")
    for axes, (schedule, epochs) in zip(figure.subplots(1, len(EPOCHS), sharey=True), EPOCHS.items(), strict=True):
        kl = schedule(STEPS_PER_EPOCH)
        steps = range(epochs * STEPS_PER_EPOCH)
        axes.plot([step / STEPS_PER_EPOCH for step in steps], [kl.schedule(step) for step in steps], linewidth=2)
        axes.set_title(f"kl={schedule.__name__.lower()}", fontsize=11)
        axes.set_xlabel("epoch")
        axes.set_ylim(-0.03, 1.06)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("s, the part of kl.weight")
    figure.savefig(path, dpi=160)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".png"))
