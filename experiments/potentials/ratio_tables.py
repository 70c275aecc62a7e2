"""Tables of errors over those of random choices of as many atoms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student
from scipy.stats import ttest_ind

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
    for title, names in halves(rows).items():
        if not names:
            continue
        parts.append(f"**{title}: {', '.join(names)}**\n\n{means(rows, names)}")
    return "\n\n".join([*parts, each_set(rows)])


def ratios(rows: Rows, data: str, method: str, key: str, inside: bool) -> list[float]:
    """ln of the error over that of random choices, seed by seed, averaged over the tests.

    Random choices: the geometric mean over the seeds.
    """
    chance, own = _logs(rows, data, "random", key, inside), _logs(rows, data, method, key, inside)
    if not chance or not own:
        return []
    middle = np.mean(list(chance.values()), axis=0)
    return [float(np.mean(np.array(value) - middle)) for value in own.values()]


def is_worse(rows: Rows, data: str, method: str) -> bool:
    """Whether force errors out of distribution are above those of random choices beyond chance.

    By Welch's 95 % interval of the difference: choices of a rule vary over pools, and random ones do too.
    """
    own, chance = (ratios(rows, data, each, "force_rmse", False) for each in (method, "random"))
    if min(len(own), len(chance)) < 2 or not np.var([*own, *chance]):
        return False
    return float(ttest_ind(own, chance, equal_var=False).confidence_interval().low) > 0


def _logs(rows: Rows, data: str, method: str, key: str, inside: bool) -> dict[tuple[int, int], list[float]]:
    """By seed and draw, ln of the error of each test."""
    return {
        (row["seed"], row.get("draw", 0)): values
        for row in rows
        if row["data"] == data and row["method"] == method
        if (values := [np.log(test[key]) for name, test in row["tests"].items() if (name == "in") == inside])
    }


def halves(rows: Rows) -> dict[str, list[str]]:
    """Data sets without and with a part in the design of `balanced`."""
    names = list(dict.fromkeys(row["data"] for row in rows))
    design = {row["data"] for row in rows if row["design"]}
    return {
        "Data sets that had no part in the design": [name for name in names if name not in design],
        "Data sets of the design": [name for name in names if name in design],
    }


def interval(logs: Sequence[float]) -> str:
    """Geometric mean with the 95 % interval of the mean, by Student's t."""
    if not logs:
        return "-"
    middle, low, high = np.exp(bounds(logs))
    return f"{middle:.2f}" if len(logs) == 1 else f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def bounds(logs: Sequence[float]) -> tuple[float, float, float]:
    """Mean and its 95 % interval, which is unbounded for a single value."""
    middle = float(np.mean(logs))
    if len(logs) == 1:
        return middle, -np.inf, np.inf
    half = student.ppf(0.975, len(logs) - 1) * np.std(logs, ddof=1) / np.sqrt(len(logs))
    return middle, middle - half, middle + half


def means(rows: Rows, names: Sequence[str], methods: Sequence[str] | None = None) -> str:
    """A line for each rule: means over these data sets, each of which counts once."""
    heads = [f"{name}, {where}" for where in ("in", "out") for name in KEYS.values()]
    lines = [f"| rule | sets | {' | '.join(heads)} |", "| --- | --- |" + " --- |" * len(heads)]
    there = [name for name in dict.fromkeys(row["method"] for row in rows) if name != "random"]
    for method in methods or there:
        logs = [over_sets(rows, names, method, key, inside) for inside in (True, False) for key in KEYS]
        cells = [interval(list(each.values())) for each in logs]
        lines.append(f"| {method} | {len(logs[0])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def over_sets(rows: Rows, names: Sequence[str], method: str, key: str, inside: bool) -> dict[str, float]:
    """By data set, the mean over seeds of ln of the error over that of random choices."""
    found = {name: ratios(rows, name, method, key, inside) for name in names}
    return {name: float(np.mean(logs)) for name, logs in found.items() if logs}


def at_default(rows: Rows, screen: Rows) -> list[dict[str, Any]]:
    """The rows of the screen that belong to those at other bandwidths: random choices and the default."""
    names, seeds = {row["data"] for row in rows}, {row["seed"] for row in rows}
    rules = {row["method"].split(", ")[0] for row in rows}
    return [
        row
        for row in screen
        if row["data"] in names
        if row["method"] == "random" or (row["method"] in rules and row["seed"] in seeds)
    ]


def at_bandwidths(rows: Rows, names: Sequence[str]) -> str:
    """A line for each rule and bandwidth: errors over those of the same rule at the default one."""
    heads = [f"{name}, {where}" for where in ("in", "out") for name in KEYS.values()]
    lines = [f"| rule, bandwidth | sets | {' | '.join(heads)} |", "| --- | --- |" + " --- |" * len(heads)]
    for method in dict.fromkeys(row["method"] for row in rows if ", " in row["method"]):
        usual = method.split(", ")[0]
        logs = [paired(rows, names, method, usual, key, inside) for inside in (True, False) for key in KEYS]
        lines.append(f"| {method} | {len(logs[0])} | {' | '.join(interval(each) for each in logs)} |")
    return "\n".join(lines)


def paired(rows: Rows, names: Sequence[str], method: str, other: str, key: str, inside: bool) -> list[float]:
    """For each data set, ln of the error of one rule over that of another."""
    own, usual = (over_sets(rows, names, name, key, inside) for name in (method, other))
    return [own[name] - usual[name] for name in own if name in usual]


def likeness_table(rows: Rows) -> str:
    """Means over data sets and seeds of Atom-HiFi's L and R, and of their ratio."""
    lines = ["| rule | sets | L | R | L/R |", "| --- | --- | --- | --- | --- |"]
    for method in dict.fromkeys(row["method"] for row in rows):
        some = [row for row in rows if row["method"] == method]
        L, R = (np.array([row[key] for row in some]) for key in ("likeness", "redundancy"))
        sets = len({row["data"] for row in some})
        lines.append(f"| {method} | {sets} | {L.mean():.3f} | {R.mean():.3f} | {(L / R).mean():.2f} |")
    return "\n".join(lines)


def each_set(rows: Rows) -> str:
    """A line for each data set and rule."""
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
