"""The figure of the study: how far every rule is from the certified optimum, and how it compares with MSC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from summary import MEASURES, Records, at_least, by_rule, studied

from quests_jax.output.matplotlib_figures import COLORS


def draw(records: Records, path: Path) -> None:
    """Certified ratios of every rule (left), and shares of cases at least as good as MSC (right)."""
    files = studied(records)
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _ratios(left, files)
    _measures(right, files)
    figure.savefig(path, dpi=130)


def _ratios(axes, files: Records) -> None:
    ratios: dict[str, list[float]] = {}
    for record in files.values():
        for row in record["rows"]:
            ratios.setdefault(row["method"], []).append(row["certified_ratio"])
    order = sorted(ratios, key=lambda method: np.median(ratios[method]))
    axes.boxplot(
        [ratios[method] for method in order],
        orientation="horizontal",
        tick_labels=order,
        whis=(5, 95),
        flierprops={"marker": ".", "markersize": 3},
        medianprops={"color": COLORS[1]},
    )
    axes.set_xlim(0, 1.01)
    axes.axvline(1.0, color="0.6", linewidth=3, zorder=0)
    axes.set_xlabel("coverage / certified bound")
    axes.set_title(f"every rule on {len(files)} files at all sizes (box: quartiles, whiskers: 5 to 95 %)")


def _measures(axes, files: Records) -> None:
    kept: dict[str, list[list[bool]]] = {}
    for record in files.values():
        rows = by_rule(record)
        for (size, method), row in rows.items():
            if method != "msc":
                found = [at_least(row, rows[size, "msc"], name) for name in MEASURES]
                kept.setdefault(method, []).append([*found, all(found)])
    order = sorted(kept, key=lambda method: np.mean(kept[method], axis=0)[-1])
    shares = np.array([np.mean(kept[method], axis=0) for method in order])
    axes.imshow(shares, aspect="auto", cmap="Blues", vmin=0, vmax=1.3)
    for (i, j), share in np.ndenumerate(shares):
        axes.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=9)
    names = [name.replace("_", " ") for name in MEASURES] + ["all five"]
    axes.set_xticks(range(len(names)), names, rotation=20)
    axes.set_yticks(range(len(order)), order)
    axes.set_title("share of cases (%) at least as good as msc")
