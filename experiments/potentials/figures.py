"""Figures of the study: errors against size on every data set, and ratios to a random choice over all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator
from summary import WHERE, Case, Found, Interval, Records, across, collect, errors, names, ratio_to, variants

from quests_jax.output.matplotlib_figures import COLORS, MARKERS

PANELS = (
    ("in", "force_rmse", "forces, in"),
    ("out", "force_rmse", "forces, out"),
    ("in", "force_rmse_tail", "force tail, in"),
    ("out", "force_rmse_tail", "force tail, out"),
)


SPAN = (0.22, 2.9)  # of the ratios shown; bars may go on


def draw(records: Records, folder: Path) -> None:
    """Write figure.png (ratios) and errors.png (every data set)."""
    found = collect(records)
    _ratios(found).savefig(folder / "figure.png", dpi=120)
    _errors(found).savefig(folder / "errors.png", dpi=110)


def _ratios(found: Found) -> Figure:
    """A row for each model and budget, a column for each measure."""
    rows = variants(found)
    figure, grid = _grid(
        len(rows),
        len(PANELS),
        "error over that of a random choice of the same size; mean over data sets, 95 %",
    )
    for axes_row, (model, budget) in zip(grid, rows, strict=True):
        sizes = sorted(size for size in names(found, "size", model=model, budget=budget) if size < 1)
        methods = [m for m in names(found, "method", model=model) if m not in ("random", "full")]
        for axes, (where, name, title) in zip(axes_row, PANELS, strict=True):
            for method in methods:
                found_at = [
                    ratio_to(found, across(found, model, budget, method, s), "random", where, name)
                    for s in sizes
                ]
                _line(axes, sizes, found_at, method)
            axes.axhline(1.0, color="0.4", linewidth=1)
            axes.set_ylim(*SPAN)
            axes.set_title(f"{model}, same {budget}: {title}", fontsize=9)
    _legend(figure, grid)
    return figure


def _errors(found: Found) -> Figure:
    """A column for each data set, in distribution above, out of distribution below; structures, ridge."""
    tasks = names(found, "task", model="ridge")
    columns = 4 if len(tasks) > 4 else len(tasks)
    figure, grid = _grid(
        2 * -(-len(tasks) // columns),
        columns,
        "force error (eV/Å), ridge, same number of structures; mean over seeds, 95 %",
    )
    for axes in grid.flat:
        axes.set_visible(False)
    for number, task in enumerate(tasks):
        for below, (where, words) in enumerate(WHERE.items()):
            axes = grid[2 * (number // columns) + below, number % columns]
            for method in names(found, "method", task=task, model="ridge"):
                sizes = sorted(names(found, "size", task=task, model="ridge", method=method))
                cases = [Case(task, "ridge", "structures", method, size) for size in sizes]
                _line(axes, sizes, [errors(found, case, where, "force_rmse") for case in cases], method)
            if axes.lines:
                axes.set_visible(True)
                axes.set_title(f"{task}, {words}", fontsize=9)
    _legend(figure, grid)
    return figure


def _grid(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(3.6 * columns, 2.7 * rows + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _line(axes: Axes, sizes: list[float], values: list[Interval | None], method: str) -> None:
    """Means with bars; sizes a little apart, so that bars do not hide one another."""
    known = [(size, found) for size, found in zip(sizes, values, strict=True) if found is not None]
    if not known:
        return
    number = _ORDER.index(method) if method in _ORDER else len(_ORDER)
    apart = 1.0 if method == "full" else 1.03 ** (number - 3)
    x = [100 * size * apart for size, _ in known]
    mean, low, high = (
        np.array([getattr(found, key) for _, found in known]) for key in ("mean", "low", "high")
    )
    bars = [np.nan_to_num(mean - low), np.nan_to_num(high - mean)]
    style = line_style(number) | ({"color": "0.5"} if method == "full" else {})
    axes.errorbar(x, mean, yerr=bars, label=method, linewidth=1.2, elinewidth=0.7, **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks := [5, 10, 20, 40, 70, 100], [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("size (%)", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def line_style(number: int) -> dict[str, Any]:
    """Color and marker of one of several lines."""
    return {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)], "markersize": 4}


_ORDER = ("random", "k-means", "fps", "msc", "cover", "diversity", "pareto", "full")


def _legend(figure: Figure, grid: np.ndarray) -> None:
    entries = {}
    for axes in grid.flat:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=min(8, 2 * grid.shape[1]),
        frameon=False,
    )
