"""The table and the figure of the study of generation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from quests_jax.output.matplotlib_figures import COLORS

GUARDS = (None, 1.6, 2.0)
CASES = [(None, 0.02), (1.6, 0.02), (1.6, 0.05), (1.6, 0.1), (2.0, 0.02)]  # closest, move of Monte Carlo


def text(results: dict[str, Any]) -> str:
    """Evaluations until the target is first reached: median and range over starts and seeds."""
    lines = [
        "| of all atoms | closest (Å) | move (Å) | gradient | landed | Monte Carlo | ratio of medians |",
        "|---|---|---|---|---|---|---|",
    ]
    for pool in ("mean", "max"):
        for closest, move in CASES:
            climbed = _rows(results, "gradient", pool, closest or GUARDS[1])
            walked = _rows(results, "Monte Carlo", pool, closest, score=f"-{pool}", move=move)
            steps = results["steps"]
            ratio = _median(walked, steps) / _median(climbed, steps)
            sign = "≥ " if any(row["first"] is None for row in walked) else ""
            landed = _summary(climbed, "landed", steps)
            lines.append(
                f"| {pool} | {closest or 'none'} | {move} | {_summary(climbed, 'first', steps)} | {landed} | "
                f"{_summary(walked, 'first', steps)} | {sign}{ratio:.0f} |"
            )
        score = _rows(results, "Monte Carlo", pool, None, score="target")
        lines.append(
            f"| {pool}, score of QUESTS | none | 0.02 | | | {_summary(score, 'first', results['steps'])} | |"
        )
    seconds = results["seconds"]
    cost = seconds["gradient"] / seconds["value"]
    return "\n".join([*lines, "", f"an evaluation with its gradient takes {cost:.1f} times one without"])


def draw(results: dict[str, Any], path: Path) -> None:
    """Best value so far against evaluations: every run thin."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, pool in zip(figure.subplots(1, 2), ("mean", "max"), strict=True):
        for number, closest in enumerate(GUARDS):
            name = "no closest approach" if closest is None else f"{closest} Å"
            if closest is not None:
                _lines(
                    axes, _rows(results, "gradient", pool, closest), COLORS[number], "-", f"gradient, {name}"
                )
            walked = _rows(results, "Monte Carlo", pool, closest, score=f"-{pool}", move=0.02)
            _lines(axes, walked, COLORS[number], ":", f"Monte Carlo, {name}")
        axes.axhline(results["target"], color="0.5", linewidth=1)
        axes.set_xscale("log")
        axes.set_ylim(-8, 1.6 * results["target"])
        axes.set_xlabel("evaluations")
        axes.set_ylabel(f"{pool} delta entropy, best so far (nats)")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=130)


def _lines(axes: Any, rows: Sequence[dict[str, Any]], color: str, style: str, label: str) -> None:
    for row in rows:
        if row["best"]:
            axes.plot(*zip(*row["best"], strict=True), style, color=color, linewidth=1.2, label=label)
            label = "_"


def _rows(
    results: dict[str, Any], method: str, pool: str, closest: float | None, **more: Any
) -> list[dict[str, Any]]:
    wanted = {"method": method, "of": pool, "closest": closest} | more
    return [row for row in results["rows"] if all(row[name] == value for name, value in wanted.items())]


def _median(rows: Sequence[dict[str, Any]], steps: int, name: str = "first") -> float:
    """Median, where a run that did not arrive counts as all its steps."""
    return float(np.median([row[name] or steps for row in rows]))


def _summary(rows: Sequence[dict[str, Any]], name: str, steps: int) -> str:
    counts = [row[name] for row in rows if row[name] is not None]
    if not counts:
        return f"never in {steps}"
    missed = f", {len(rows) - len(counts)} of {len(rows)} never" if len(counts) < len(rows) else ""
    return f"{_median(rows, steps, name):.0f} ({min(counts)}–{max(counts)}{missed})"
