"""Figures in files, drawn by Matplotlib without a screen; Matplotlib is imported when a figure is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from quests_jax.output.chart_data import COLORS, LINES, MARKERS, Axis, Chart, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "LINES", "MARKERS", "draw", "draw_overlaps"]

DPI = 150
LARGEST = 24.0  # inches on a side, 3,600 pixels
NUMBERED = 40  # parts of an overlap matrix that have room for numbers
LONGEST_NAME = 32  # characters of a name on an axis
LONGEST_TITLE = 90  # characters of a line of a title
MOST_LINES = 4  # of a title


def draw(charts: Sequence[Chart], path: Path, *, title: str = "", columns: int = 1) -> None:
    """Write charts to one file, in the format of its suffix; several columns share one legend."""
    lines = -(-len(charts) // columns)
    size = (4.0 * columns, 3.3 * lines + 0.5) if columns > 1 else (7.0, 4.5 if lines == 1 else 3.0 * lines)
    figure = _figure(size)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes, chart in zip_longest(grid.flat, charts):
        if chart is None:
            axes.set_visible(False)
            continue
        _fill(axes, chart)
        if columns == 1 and len(chart.series) > 1:
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=9)
    if columns > 1:
        found = {label: handle for axes in grid.flat for handle, label in zip(*_legend(axes), strict=True)}
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=6, frameon=False)
    figure.suptitle(_folded(title), fontsize=10)
    _save(figure, path)


def _legend(axes: Axes) -> tuple[list[Any], list[Any]]:
    return axes.get_legend_handles_labels() if axes.get_visible() else ([], [])


def _fill(axes: Axes, chart: Chart) -> None:
    for series in chart.series:
        _draw_series(axes, series)
    axes.set_title(_plain(chart.title), fontsize=11)
    for axis, name in ((chart.x, "x"), (chart.y, "y")):
        _divide(axes, axis, name)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_series(axes: Axes, series: Series) -> None:
    x = np.asarray(series.x, float)
    y = np.array([np.nan if value is None else value for value in series.y], float)
    look: dict[str, Any] = {"color": series.color, "label": _plain(series.name)}
    if series.look == "bars":
        axes.stairs(y, x, fill=True, **look)
    elif series.look == "band":
        axes.fill_between(x, y, np.asarray(series.top, float), linewidth=0, **look)
    else:
        markers = {"marker": series.marker, "markersize": 5} if series.look == "dots" else {}
        steps = {"drawstyle": "steps-pre"} if series.look == "steps" else {}
        axes.plot(x, y, linestyle=series.dash, linewidth=series.width, **markers, **steps, **look)


def _divide(axes: Axes, axis: Axis, name: str) -> None:
    """Scale, limits, ticks and title of one axis."""
    set_ = {part: getattr(axes, f"set_{name}{part}") for part in ("scale", "lim", "ticks", "label")}
    if axis.log:
        set_["scale"]("log")
    elif axis.linear_up_to is not None:
        set_["scale"]("symlog", linthresh=axis.linear_up_to)
    if axis.ticks is not None:
        set_["ticks"](list(axis.ticks), [f"{tick:,.5g}" for tick in axis.ticks])
        set_["ticks"]([], minor=True)
    low, high = axis.limits
    if low is not None or high is not None:
        axes.autoscale_view()
        set_["lim"](low, high)
    set_["label"](axis.title)


def draw_overlaps(
    names: Sequence[str],
    shares: np.ndarray,
    entropies: np.ndarray,
    limits: np.ndarray,
    path: Path,
    *,
    title: str = "",
) -> None:
    """Shares [r, t] of part t that part r covers, in percent, and the entropy of each part beside ln n."""
    count = len(names)
    shown = [_plain(_short(name)) for name in names]
    room = 0.08 * max(len(name) for name in shown)  # inches, for names
    size = (3.0 + room + 0.62 * count, 1.5 + room + 0.45 * count)
    figure = _figure((min(size[0], LARGEST), min(size[1], LARGEST)))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(max(count, 4), max(4.0, 0.2 * count)))
    left.imshow(shares, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")  # 1.4: dark text stays readable
    if count <= NUMBERED:
        for (r, t), share in np.ndenumerate(shares):
            left.text(t, r, f"{100 * share:.0f}", ha="center", va="center", fontsize=9)
    places = np.arange(count)
    points = min(10.0, 1000.0 / count)
    left.set_xticks(places, shown, rotation=45, ha="right", rotation_mode="anchor", fontsize=points)
    left.set_yticks(places, shown, fontsize=points)
    left.set_xlabel("environments of")
    left.set_ylabel("covered by")
    left.set_title("overlap (%)", fontsize=11)
    right.barh(places, limits, color="0.85", label="ln n")
    right.barh(places, entropies, height=0.5, color=COLORS[0], label="H")
    right.set_title("entropy (nats)", fontsize=11)
    right.spines[["top", "right"]].set_visible(False)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False)
    figure.suptitle(_folded(title), fontsize=10)
    _save(figure, path)


def _short(name: str) -> str:
    """Both ends of a long name: names of one data set often begin alike."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[1 - half :]}"


def _plain(text: str) -> str:
    """Text of the data as it is: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def _folded(title: str) -> str:
    """A title in lines of bounded length, wherever its words end."""
    from textwrap import wrap

    lines = [line for part in title.splitlines() for line in wrap(part, LONGEST_TITLE)]
    return _plain("\n".join(lines[:MOST_LINES]))


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format=path.suffix.lower().removeprefix("."), dpi=DPI)
