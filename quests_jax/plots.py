"""Figures, drawn by Matplotlib without a screen; Matplotlib is imported when a figure is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colors that color-blind readers can tell apart [okabe:08]; styles and markers tell apart what shares one.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
LINES = ("-", "--", ":")
MARKERS = "osD^vPX*<>dh8"

PANELS = {
    "overlap": "overlap",
    "coverage": "saturated coverage",
    "certified_ratio": "coverage / certified bound",
    "entropy": "entropy (nats)",
    "diversity": "diversity (nats)",
    "force_tail": "force tail kept",
    "max_delta_entropy": "largest delta entropy (nats)",
    "delta_entropy_999": "99.9 % of delta entropy (nats)",
    "seconds": "time of selection (s)",
}
# Panels that are linear up to this value and logarithmic above.
THRESHOLDS = {"max_delta_entropy": 10.0, "delta_entropy_999": 10.0, "seconds": 0.01}


def draw_comparison(rows: Sequence[dict[str, Any]], path: Path, *, title: str = "") -> None:
    """Write the figure of `comparison` to a file, in the format of its suffix."""
    comparison(rows, title=title).savefig(path, format=path.suffix.removeprefix("."), dpi=150)


def comparison(rows: Sequence[dict[str, Any]], *, title: str = "") -> Figure:
    """Every number of `compare` against the size, one panel each and one line per method.

    The certified upper bound of the coverage is a thick gray line: no choice can lie above it.

    Args:
      rows: from `compare`.
      title: of the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 10), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, 3)
    for panel, (name, label) in zip(axes.flat, PANELS.items(), strict=True):
        _panel(panel, rows, name)
        panel.set_title(label, fontsize=11)
    for panel in axes[-1]:
        panel.set_xlabel("structures chosen (%)")
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(title)
    return figure


def _panel(panel: Axes, rows: Sequence[dict[str, Any]], name: str) -> None:
    fractions = sorted({row["fraction"] for row in rows})
    if name == "coverage":
        bounds = [min(row["upper_bound"] for row in rows if row["fraction"] == size) for size in fractions]
        panel.plot(
            _percent(fractions),
            bounds,
            color="0.6",
            linewidth=5,
            solid_capstyle="round",
            label="certified bound",
        )
    for number, method in enumerate(dict.fromkeys(row["method"] for row in rows)):
        points = [
            (row["fraction"], row[name]) for row in rows if row["method"] == method and row[name] is not None
        ]
        if points:
            sizes, values = zip(*sorted(points), strict=True)
            panel.plot(_percent(sizes), values, label=method, **_style(number))
    panel.set_xscale("log")
    panel.set_xticks(_percent(fractions), [f"{100 * size:.2g}" for size in fractions])
    panel.set_xticks([], minor=True)
    if name in THRESHOLDS:
        lowest = min((row[name] for row in rows if row[name] is not None), default=0.0)
        panel.set_yscale("symlog", linthresh=THRESHOLDS[name])
        panel.set_ylim(bottom=min(1.1 * lowest, 0.0))
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _percent(fractions: Sequence[float]) -> list[float]:
    return [100 * fraction for fraction in fractions]


def _style(number: int) -> dict[str, Any]:
    return {
        "color": COLORS[number % len(COLORS)],
        "linestyle": LINES[number // len(COLORS) % len(LINES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 5,
        "linewidth": 1.5,
    }
