"""Tables of errors over those of random choices of as many atoms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

KEYS = {"force_rmse": "forces", "energy_rmse": "energies", "force_rmse_tail": "tail"}
DIGITS = 4
Rows = Sequence[dict[str, Any]]


def stored_rows(file: Path) -> list[dict[str, Any]]:
    """What an earlier run left."""
    return json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []


def rounded(values: dict[str, float]) -> dict[str, float]:
    """Numbers with as many digits as the tables need."""
    return {key: float(f"{value:.{DIGITS}g}") for key, value in values.items()}


def tables_of_sizes(rows: Rows) -> str:
    """The tables of each share of the atoms under a heading of its own."""
    sizes = dict.fromkeys(row["size"] for row in rows)
    some = {size: [row for row in rows if row["size"] == size] for size in sizes}
    return "\n\n".join(f"### {100 * size:g} % of the atoms\n\n{tables(part)}" for size, part in some.items())


def tables(rows: Rows) -> str:
    """Means over data sets, then each data set."""
    parts = []
    for title, names in _halves(rows).items():
        if not names:
            continue
        parts.append(f"**{title}: {', '.join(names)}**\n\n{_means(rows, names)}")
    return "\n\n".join([*parts, _each(rows)])


def ratios(rows: Rows, data: str, method: str, key: str, inside: bool) -> list[float]:
    """ln of the error over that of random choices, seed by seed, averaged over the tests.

    Random choices: the geometric mean over the seeds.
    """
    chance, own = _logs(rows, data, "random", key, inside), _logs(rows, data, method, key, inside)
    if not chance or not own:
        return []
    middle = np.mean(list(chance.values()), axis=0)
    return [float(np.mean(np.array(value) - middle)) for value in own.values()]


def _logs(rows: Rows, data: str, method: str, key: str, inside: bool) -> dict[int, list[float]]:
    """By seed, ln of the error of each test."""
    return {
        row["seed"]: values
        for row in rows
        if row["data"] == data and row["method"] == method
        if (values := [np.log(test[key]) for name, test in row["tests"].items() if (name == "in") == inside])
    }


def _halves(rows: Rows) -> dict[str, list[str]]:
    names = list(dict.fromkeys(row["data"] for row in rows))
    design = {row["data"] for row in rows if row["design"]}
    return {
        "Data sets that had no part in the design": [name for name in names if name not in design],
        "Data sets of the design": [name for name in names if name in design],
    }


def _means(rows: Rows, names: Sequence[str]) -> str:
    methods = [name for name in dict.fromkeys(row["method"] for row in rows) if name != "random"]
    heads = [f"{name}, {where}" for where in ("in", "out") for name in KEYS.values()]
    lines = [f"| rule | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    for method in methods:
        cells = []
        for inside in (True, False):
            for key in KEYS:
                each = [
                    np.mean(found) for name in names if (found := ratios(rows, name, method, key, inside))
                ]
                cells.append(interval(each))
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def interval(logs: Sequence[float]) -> str:
    """Geometric mean with the 95 % interval of the mean, by Student's t."""
    if not logs:
        return "-"
    middle = float(np.mean(logs))
    if len(logs) == 1:
        return f"{np.exp(middle):.2f}"
    half = student.ppf(0.975, len(logs) - 1) * np.std(logs, ddof=1) / np.sqrt(len(logs))
    return f"{np.exp(middle):.2f} [{np.exp(middle - half):.2f}, {np.exp(middle + half):.2f}]"


def _each(rows: Rows) -> str:
    heads = [f"{name}, {where}" for where in ("in", "out") for name in KEYS.values()]
    lines = [
        f"| data set | rule | seeds | {' | '.join(heads)} |",
        "| --- | --- | --- |" + " --- |" * len(heads),
    ]
    for data in dict.fromkeys(row["data"] for row in rows):
        for method in dict.fromkeys(row["method"] for row in rows if row["data"] == data):
            if method == "random":
                continue
            found = [ratios(rows, data, method, key, inside) for inside in (True, False) for key in KEYS]
            cells = [interval(logs) for logs in found]
            lines.append(f"| {data} | {method} | {len(found[0])} | {' | '.join(cells)} |")
    return "\n".join(lines)
