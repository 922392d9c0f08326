"""Drawings for reports, as SVG text: box plots, dose-volume histograms, Bland-Altman, scatter and calibration plots."""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from evaluation.statistics import bland_altman

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
REFERENCE_COLOUR = "#222222"


def box_plot(
    values: Mapping[str, Mapping[str, Sequence[float]]], structures: Sequence[str], axis_title: str
) -> str:
    """Draw boxes by set for each structure: quartiles, whiskers to 1.5 of their distance, outliers; means as dots."""
    width = max(4.5, min(11.0, 1.6 + 0.42 * len(structures) * max(1, len(values))))
    drawing, axes = _axes(width, 3.1)
    step = 0.8 / max(1, len(values))
    for k, (label, by_structure) in enumerate(values.items()):
        places = [
            (i + (k - (len(values) - 1) / 2) * step, by_structure[s])
            for i, s in enumerate(structures)
            if by_structure.get(s)
        ]
        if places:
            _boxes(axes, places, step * 0.8, COLOURS[k % len(COLOURS)])
        axes.plot([], [], "s", color=COLOURS[k % len(COLOURS)], label=label)
    axes.set_xticks(range(len(structures)), structures, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(structures) - 0.4)
    axes.set_ylabel(axis_title)
    if len(values) > 1:
        axes.legend(frameon=False, ncols=len(values), loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return _svg(drawing)


def dvh_plot(
    doses_gy: NDArray[np.float64], curves: Sequence[tuple[str, Sequence[float], Sequence[float]]]
) -> str:
    """Draw the cumulative DVH of each structure in a colour of its own, the reference solid, the other set dashed."""
    drawing, axes = _axes(9.0, 3.8)
    for k, (structure, found, reference) in enumerate(curves):
        colour = COLOURS[k % len(COLOURS)]
        if reference:
            axes.plot(doses_gy, 100 * np.array(reference), color=colour, lw=1.4, label=structure)
        if found:
            axes.plot(doses_gy, 100 * np.array(found), color=colour, lw=1.4, ls=(0, (4, 2)))
    axes.set_xlabel("dose, Gy")
    axes.set_ylabel("volume, %")
    axes.set_xlim(0, float(doses_gy[-1]))
    axes.set_ylim(0, 101)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _svg(drawing)


def bland_altman_plot(
    found: Sequence[float], reference: Sequence[float], groups: Sequence[str], unit: str
) -> str:
    """Draw the difference of two measurements against their mean, bias and limits of agreement; coloured by group."""
    drawing, axes = _axes(6.5, 3.4)
    one, two = np.array(found), np.array(reference)
    for k, group in enumerate(dict.fromkeys(groups)):
        here = np.array([g == group for g in groups])
        axes.plot(
            (one + two)[here] / 2,
            (one - two)[here],
            "o",
            ms=3.5,
            color=COLOURS[k % len(COLOURS)],
            label=group,
        )
    agreement = bland_altman(found, reference)
    lines = (
        (agreement.bias, "-", "bias"),
        (agreement.lower, "--", "limits"),
        (agreement.upper, "--", "limits"),
    )
    for level, style, name in lines:
        axes.axhline(level, color=REFERENCE_COLOUR, lw=0.9, ls=style)
        axes.annotate(
            f"{name} {level:.2f}",
            (1.0, level),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=7,
        )
    axes.set_xlabel(f"mean of both, {unit}")
    axes.set_ylabel(f"difference, {unit}")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _svg(drawing)


def scatter_plot(points: Mapping[str, Sequence[tuple[float, float]]], x_title: str, y_title: str) -> str:
    """Draw points, coloured by group."""
    drawing, axes = _axes(6.5, 3.4)
    for k, (group, pairs) in enumerate(points.items()):
        if pairs:
            x, y = zip(*pairs, strict=True)
            axes.plot(x, y, "o", ms=3.5, alpha=0.8, color=COLOURS[k % len(COLOURS)], label=group)
    axes.set_xlabel(x_title)
    axes.set_ylabel(y_title)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _svg(drawing)


def line_plot(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], x_title: str, y_title: str
) -> str:
    """Draw lines within the unit square, with its diagonal: ROC and calibration curves."""
    drawing, axes = _axes(4.6, 3.8)
    axes.plot([0, 1], [0, 1], color="#aaaaaa", lw=0.8, ls=":")
    for k, (name, (x, y)) in enumerate(lines.items()):
        axes.plot(x, y, "o-", ms=3, lw=1.3, color=COLOURS[k % len(COLOURS)], label=name)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(x_title)
    axes.set_ylabel(y_title)
    axes.legend(frameon=False, loc="lower right")
    return _svg(drawing)


def _axes(width_in: float, height_in: float) -> tuple[Drawing, Axes]:
    drawing = Drawing(figsize=(width_in, height_in), layout="constrained")
    axes = drawing.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    return drawing, axes


def _boxes(axes: Axes, places: Sequence[tuple[float, Sequence[float]]], width: float, colour: str) -> None:
    """Draw boxes for five or more values, single points for fewer."""
    many = [(place, v) for place, v in places if len(v) >= 5]
    if many:
        axes.boxplot(
            [list(v) for _, v in many],
            positions=[place for place, _ in many],
            widths=width,
            patch_artist=True,
            boxprops={"facecolor": colour + "33", "edgecolor": colour},
            medianprops={"color": colour, "lw": 1.5},
            whiskerprops={"color": colour},
            capprops={"color": colour},
            flierprops={"marker": ".", "ms": 4, "markeredgecolor": colour},
            manage_ticks=False,
        )
    for place, v in places:
        if len(v) < 5:
            axes.plot([place] * len(v), list(v), ".", ms=4, color=colour)
        axes.plot([place], [float(np.mean(v))], "D", ms=3, color=colour)


def _svg(drawing: Drawing) -> str:

    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "contour-node"}):
        drawing.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
