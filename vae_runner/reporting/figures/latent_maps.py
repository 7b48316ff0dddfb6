"""Where codes lie, in two dimensions and in three."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vae_runner.reporting.arrays import Values, as_array
from vae_runner.reporting.figures.canvas import LEGEND_ENTRIES, figure_of, image_of, limits_of, room_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALIKE = 4.0  # times the smallest spread, up to which the largest is drawn on the same scale
VIEWS = (-60.0, 30.0)  # degrees around the vertical axis: what one view hides the other shows
FIFTHS = 5
ZOOM = 0.75  # of the axes in their place, which leaves room for their names


def latent_map(
    codes: Values,
    labels: Values | None = None,
    class_names: Sequence[str] | None = None,
    *,
    prior: Values | None = None,
    factor: str | None = None,
    title: str | None = None,
) -> Image.Image:
    """Where the codes lie in two dimensions, coloured by class.

    codes: (N, *latent), flattened; two dimensions are shown as they are, more through their first two principal
    components, one as a histogram. labels: (N,) classes, or (N, F) factors of which the first is shown, which `factor`
    names, of real values where they are in floating point; a negative class is hidden and drawn in grey. prior:
    samples from the prior (M, *latent), grey crosses behind the codes.
    """
    from matplotlib.ticker import MaxNLocator

    points, classes = _finite(codes, labels)
    behind = None if prior is None else _vectors(prior)
    figure = figure_of((5.4, 4.4), title)
    axes = figure.add_subplot()
    if points.shape[1] == 1:
        axes.set(xlabel="$z_1$", ylabel="examples")
    elif points.shape[1] == 2:
        axes.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal", adjustable="datalim")
    else:
        points, shares, behind = principal_components(points, 2, behind)
        axes.set(
            xlabel=f"1st principal component ({percent(shares[0])} of the variance)",
            ylabel=f"2nd principal component ({percent(shares[1])})",
            aspect="equal",
            adjustable="datalim",
        )
        axes.xaxis.set_major_locator(MaxNLocator(6))
    # of one width for both, so that their heights compare
    bins = np.linspace(*limits_of(points if behind is None else np.concatenate([points, behind])), 60).tolist()
    if behind is not None and points.shape[1] == 1:
        weights = np.full(len(behind), len(points) / len(behind))  # as many as there are codes
        axes.hist(behind[:, 0], bins=bins, color="0.8", weights=weights, label="prior")
    elif behind is not None:
        axes.scatter(behind[:, 0], behind[:, 1], s=14.0, marker="+", color="0.8", label="prior", linewidths=1, zorder=0)
    _draw_codes(figure, [axes], points, classes, class_names, factor, coloured=labels is not None, bins=bins)
    return image_of(figure)


def latent_map_3d(
    codes: Values,
    labels: Values | None = None,
    class_names: Sequence[str] | None = None,
    *,
    factor: str | None = None,
    title: str | None = None,
) -> Image.Image:
    """Where the codes lie in three dimensions, coloured by class, from two sides.

    Arguments as of `latent_map`; codes (N, *latent) of three dimensions or more. Three are shown as they are, more
    through their first three principal components, and the title says which. Scales are equal, unless spreads are so
    unlike that nothing would be seen of the smallest.
    """
    from matplotlib.ticker import MaxNLocator

    points, classes = _finite(codes, labels)
    if points.shape[1] == 3:
        shown, names = "all 3 latents as they are", ["$z_1$", "$z_2$", "$z_3$"]
    else:
        dimensions = points.shape[1]
        points, shares, _ = principal_components(points, 3)
        names = [f"{nth} ({percent(share)})" for nth, share in zip(("1st", "2nd", "3rd"), shares, strict=True)]
        shown = f"the first 3 principal components of {dimensions} latents, {percent(shares.sum())} of the variance"
    spreads = np.ptp(points, axis=0) if len(points) else np.ones(3)
    alike = spreads.max() <= ALIKE * spreads.min()
    sides = spreads / spreads.max() if alike and spreads.max() > 0 else np.ones(3)
    shown = f"{title}: {shown}" if title else shown
    shown = shown if alike else f"{shown}; each axis has a scale of its own"
    # a layout that is computed takes no account of the labels of three axes
    width, side, top = 10.4, 4.6, room_for(shown, 10.4)  # inches
    height = side + top
    figure = figure_of((width, height), shown, layout=None)
    panels = []
    for left, azimuth in zip((0.0, side), VIEWS, strict=True):
        axes: Any = figure.add_axes((left / width, 0.0, side / width, side / height), projection="3d")
        axes.set(xlabel=names[0], ylabel=names[1], zlabel=names[2])
        axes.view_init(elev=20, azim=azimuth)
        axes.tick_params(labelsize=7)
        for axis, length in zip((axes.xaxis, axes.yaxis, axes.zaxis), sides, strict=True):
            axis.labelpad = 4 + 20 * max(length - sides.mean(), 0.0)  # in points: a long axis lies flat
            axis.set_major_locator(MaxNLocator(max(1, round(5 * length))))
        axes.set_box_aspect(sides, zoom=ZOOM)
        axes.patch.set_alpha(0)
        panels.append(axes)
    _draw_codes(figure, panels, points, classes, class_names, factor, coloured=labels is not None)
    return image_of(figure)


def percent(share: float) -> str:
    """A share as a whole percentage; all and nothing only where it is so."""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 - 1e-6 else f"{share:.0%}"


def principal_components(
    points: np.ndarray, count: int, others: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The first principal components (N, count), their shares of the variance (count,), and those of other points.

    The largest loading of each is made positive, so that the picture of the next epoch is not mirrored.
    """
    mean = points.mean(0)
    centred = points - mean
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:count]
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
    directions = directions * signs[:, None]
    shares = singular**2 / max(float((singular**2).sum()), 1e-12)
    missing = count - len(directions)  # few points span few dimensions
    onto = np.pad(directions, ((0, missing), (0, 0))).T
    return centred @ onto, np.pad(shares[:count], (0, missing)), None if others is None else (others - mean) @ onto


def _finite(codes: Values, labels: Values | None) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, D) and their classes (N,), those that are finite."""
    points = _vectors(codes)
    classes = np.zeros(len(points), int) if labels is None else as_array(labels).reshape(len(points), -1)[:, 0]
    finite = np.isfinite(points).all(1)
    return points[finite], classes[finite]


def _draw_codes(
    figure: "Figure",
    panels: "Sequence[Any]",
    points: np.ndarray,
    classes: np.ndarray,
    class_names: Sequence[str] | None,
    factor: str | None,
    coloured: bool,
    bins: Sequence[float] | None = None,
) -> None:
    """The points (N, D) in each panel, which has as many dimensions; one legend for all. bins: of one dimension."""
    from matplotlib import colormaps

    if coloured and classes.dtype.kind == "f" and len(classes):
        _draw_values(figure, panels, points, classes, factor, bins)
        return
    groups = [int(group) for group in np.unique(classes)]
    shown = [group for group in groups if group >= 0]
    many = len(shown) > LEGEND_ENTRIES
    palette = colormaps["tab10" if len(shown) <= 10 else "viridis" if many else "tab20"]
    for group in groups:
        # integers pick from a list of colours, fractions a place on the scale that the colour bar has
        place = (group - shown[0]) / (shown[-1] - shown[0]) if many else shown.index(group) if group >= 0 else 0
        colour = "0.75" if group < 0 else palette(place)
        name = class_names[group] if class_names and 0 <= group < len(class_names) else str(group)
        label = None if not coloured else "hidden" if group < 0 else name
        members = points[classes == group]
        for axes in panels:
            if points.shape[1] == 1:
                axes.hist(members[:, 0], bins=bins, color=colour, label=label, alpha=0.6)
            else:
                axes.scatter(*members.T, s=_size(points), color=colour, label=label, alpha=0.7, linewidths=0)
    if coloured and many:
        _add_scale(figure, panels, palette, (shown[0], shown[-1]), factor or "class")
    elif coloured and groups:
        entries, names = panels[0].get_legend_handles_labels()
        where: Any = "outside right center" if _is_laid_out(figure) else "center right"
        figure.legend(entries, names, title=factor, loc=where, frameon=False, markerscale=2)


def _draw_values(
    figure: "Figure",
    panels: "Sequence[Any]",
    points: np.ndarray,
    values: np.ndarray,
    factor: str | None,
    bins: Sequence[float] | None,
) -> None:
    """The points (N, D), each of the colour of its real value (N,); histograms are of fifths of the values."""
    from matplotlib import colormaps

    palette, limits = colormaps["viridis"], (float(values.min()), float(values.max()))
    for axes in panels:
        if points.shape[1] == 1:
            for part in np.array_split(np.argsort(values), FIFTHS):
                place = (values[part].mean() - limits[0]) / max(limits[1] - limits[0], 1e-30) if len(part) else 0.0
                axes.hist(points[part, 0], bins=bins, color=palette(float(place)), alpha=0.6)
        else:
            colours: dict[str, Any] = {"c": values, "cmap": palette, "vmin": limits[0], "vmax": limits[1]}
            axes.scatter(*points.T, s=_size(points), alpha=0.7, linewidths=0, **colours)
    _add_scale(figure, panels, palette, limits, factor or "target")


def _add_scale(
    figure: "Figure", panels: "Sequence[Any]", palette: Any, limits: tuple[float, float], label: str
) -> None:
    """A bar of the colours from the one limit to the other."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    room: dict[str, Any] = {"ax": list(panels)}
    if not _is_laid_out(figure):
        room = {"cax": figure.add_axes((0.93, 0.2, 0.015, 0.6))}
    figure.colorbar(ScalarMappable(Normalize(*limits), palette), label=label, **room)


def _is_laid_out(figure: "Figure") -> bool:
    """Whether room is made for what stands beside the panels."""
    return figure.get_layout_engine() is not None


def _size(points: np.ndarray) -> float:
    return float(np.clip(20000 / max(len(points), 1), 3, 25))


def _vectors(values: Values) -> np.ndarray:
    array = as_array(values)
    return array.reshape(len(array), -1)
