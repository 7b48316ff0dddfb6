"""Figures drawn with matplotlib, as Pillow images.

No pyplot: it keeps every figure alive and is not safe in threads. Equal values give equal pixels.
"""

from vae_runner.reporting.figures.bounds import bound_curve
from vae_runner.reporting.figures.canvas import Limits, import_matplotlib, limits_of
from vae_runner.reporting.figures.kl_units import kl_bars
from vae_runner.reporting.figures.latent_maps import latent_map, latent_map_3d
from vae_runner.reporting.figures.lines import line_fans, line_plots
from vae_runner.reporting.figures.plane import Point, rate_distortion
from vae_runner.reporting.figures.training_curves import curves

__all__ = [
    "Limits",
    "Point",
    "bound_curve",
    "curves",
    "import_matplotlib",
    "kl_bars",
    "latent_map",
    "latent_map_3d",
    "limits_of",
    "line_fans",
    "line_plots",
    "rate_distortion",
]
