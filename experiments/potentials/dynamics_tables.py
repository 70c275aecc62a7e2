"""What stored potentials do in dynamics and with strained cells: see dynamics.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Rows = Sequence[dict[str, Any]]


def table(rows: Rows) -> str:
    """Runs that lived, and errors of strained cells, set by set and over sets."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = [f"| data set | K | {' | '.join(f'{name}: collapsed after, ps' for name in methods)} |"]
    lines.append("| --- | --- |" + " --- |" * len(methods))
    by = {(row["data"], row["method"]): row for row in rows}
    names = list(dict.fromkeys(row["data"] for row in rows))
    for data in names:
        some = [by.get((data, method), {}) for method in methods]
        if any("collapsed" in row for row in some):
            kelvin = next(str(row["kelvin"]) for row in some if "kelvin" in row)
            lines.append(f"| {data} | {kelvin} | {' | '.join(_times(row) for row in some)} |")
    lines += ["", f"| data set | cells | {' | '.join(f'{name}, meV/atom' for name in methods)} |"]
    lines.append("| --- | --- |" + " --- |" * len(methods))
    for data in names:
        some = [by.get((data, method), {}) for method in methods]
        if all("strained" in row for row in some):
            cells = " | ".join(f"{row['strained_rmse']:.3g}" for row in some)
            lines.append(f"| {data} | {some[0]['strained']} | {cells} |")
    return "\n".join(lines)


def over_sets(rows: Rows, interval: Callable[[Sequence[float]], str]) -> str:
    """The lines of geometric means under the table: ratios to random choices and to those of MSC."""
    methods = dict.fromkeys(row["method"] for row in rows)
    lines = []
    for other in ("random", "msc"):
        means = [interval(list(strained_ratios(rows, method, other).values())) for method in methods]
        lines.append(f"| over {other} | | {' | '.join(means)} |")
    return "\n".join(lines)


def strained_ratios(rows: Rows, method: str, other: str) -> dict[str, float]:
    """By data set, ln of the error of strained cells by one rule over that by another."""
    found = {(row["data"], row["method"]): row["strained_rmse"] for row in rows if "strained" in row}
    return {
        data: float(np.log(value / found[data, other]))
        for (data, name), value in found.items()
        if name == method and (data, other) in found
    }


def _times(row: dict[str, Any]) -> str:
    if "collapsed" not in row:
        return "-"
    return ", ".join("never" if time is None else f"{time:.2f}" for time in row["collapsed"])
