"""The text of the study, from its results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from summary import (
    WHERE,
    Case,
    Found,
    Records,
    across,
    collect,
    errors,
    interval,
    log_ratios,
    names,
    paired_ratio,
    ratio_to,
    show,
    table,
    variants,
)

MEASURES = {
    "force_rmse": "force error",
    "force_rmse_tail": "force error in the tail",
    "energy_rmse": "energy error",
}
SHOWN = 0.1  # size of the table by data set
UNITS = {"force_rmse": "eV/Å", "energy_rmse": "meV/atom"}


def text(records: Records) -> str:
    """All tables in Markdown."""
    found = collect(records)
    parts = [*_ratios(found), _claims(found), _msc(found), _correlations(found), _learned(found)]
    parts += _by_data_set(found)
    return "\n\n".join(part for part in parts if part)


def _ratios(found: Found) -> Iterator[str]:
    """Error of every method over that of a random choice of the same size."""
    yield "## Error over that of a random choice of the same size"
    yield "Geometric mean over data sets, with the 95 % interval of that mean; below 1 is better than chance."
    for model, budget in variants(found):
        for name, title in MEASURES.items():
            for where, words in WHERE.items():
                yield f"### {model}, same number of {budget}: {title} {words}" + _ratio_table(
                    found, model, budget, where, name
                )


def _ratio_table(found: Found, model: str, budget: str, where: str, name: str) -> str:
    sizes = sorted(size for size in names(found, "size", model=model, budget=budget) if size < 1)
    methods = [m for m in names(found, "method", model=model, budget=budget) if m not in ("random", "full")]
    lines = [
        [
            method,
            *(
                show(ratio_to(found, across(found, model, budget, method, s), "random", where, name))
                for s in sizes
            ),
        ]
        for method in methods
    ]
    return "\n\n" + table(["method", *(f"{100 * size:g} %" for size in sizes)], lines)


def _claims(found: Found) -> str:
    """MSC against the full set and against other methods."""
    lines = []
    for model, budget in variants(found):
        for size in sorted(size for size in names(found, "size", model=model, budget=budget) if size < 1):
            cases = across(found, model, budget, "msc", size)
            for where in WHERE:
                full = ratio_to(found, cases, "full", where, "force_rmse", size=1.0)
                others = [_wins(found, cases, method, where) for method in ("random", "k-means", "fps")]
                lines.append([model, budget, f"{100 * size:g} %", where, show(full), *others])
    header = ["model", "same", "size", "where", "over the full set", "random", "k-means", "fps"]
    intro = (
        "## MSC: force error over that of the full set, and data sets won\n\n"
        "Won and lost: the 95 % interval over seeds of the ratio to the other method is below or above 1.\n\n"
    )
    return intro + table(header, lines)


def _wins(found: Found, cases: list[Case], method: str, where: str) -> str:
    """Data sets on which the interval over seeds lies on one side of 1."""
    won = lost = total = 0
    for case in cases:
        ratios = log_ratios(found, case, case._replace(method=method), where, "force_rmse")
        if len(ratios) > 1:
            over = interval(ratios)
            won, lost, total = won + (over.high < 0), lost + (over.low > 0), total + 1
    return f"{won} won, {lost} lost of {total}" if total else "-"


def _msc(found: Found) -> str:
    """MSC against a random choice on every data set at one size."""
    lines = []
    for case in found:
        if case.method == "msc" and case.size == SHOWN and case.model != "learned":
            cells = [
                show(paired_ratio(found, case, "random", where, name)) for name in MEASURES for where in WHERE
            ]
            lines.append([case.task, case.model, case.budget, *cells])
    header = [
        "data set",
        "model",
        "same",
        *(f"{title}, {where}" for title in MEASURES.values() for where in WHERE),
    ]
    intro = f"## MSC over a random choice at {100 * SHOWN:g} %, with intervals over seeds\n\n"
    return intro + table(header, lines) if lines else ""


def _correlations(found: Found) -> str:
    """Spearman's correlation of the force error of an atom with its δH against what was trained on."""
    lines = []
    for task in names(found, "task"):
        for model in (m for m in names(found, "model", task=task) if m != "learned"):
            cells = []
            for method, size in (("random", 0.1), ("msc", 0.1), ("full", 1.0)):
                case = Case(task, model, "structures", method, size)
                cells += [show(_mean_correlation(found, case, where)) for where in WHERE]
            lines.append([task, model, *cells])
    header = ["data set", "model", *(f"{m}, {w}" for m in ("random 10 %", "msc 10 %", "full") for w in WHERE)]
    return "## Correlation of delta entropy with the force error of an atom\n\n" + table(header, lines)


def _mean_correlation(found: Found, case: Case, where: str):
    values = [
        np.mean([test["correlation"] for key, test in tests.items() if (key == "in") == (where == "in")])
        for tests in found.get(case, {}).values()
        if any((key == "in") == (where == "in") for key in tests)
    ]
    return interval(values) if values else None


def _learned(found: Found) -> str:
    """Choices learned through the linear model, and others of the same size."""
    lines = []
    for task in names(found, "task", model="learned"):
        for size in names(found, "size", model="learned", task=task):
            for method in names(found, "method", model="learned", task=task, size=size):
                case = Case(task, "learned", "structures", method, size)
                cells = [show(errors(found, case, where, name), 3) for where in WHERE for name in UNITS]
                over = [show(paired_ratio(found, case, "cover", where, "force_rmse")) for where in WHERE]
                lines.append([task, f"{100 * size:g} %", method, *cells, *over])
    units = [f"{w}, {unit}" for w in WHERE for unit in UNITS.values()]
    header = ["data set", "size", "method", *units, *(f"{w}, forces over cover" for w in WHERE)]
    return "## Learned choices, linear model at one penalty\n\n" + table(header, lines) if lines else ""


def _by_data_set(found: Found) -> Iterator[str]:
    """Force errors of every method at every size."""
    yield "## Force error by data set (root mean square of components, eV/Å)"
    for task in names(found, "task"):
        for model, budget in variants({case: rows for case, rows in found.items() if case.task == task}):
            sizes = sorted(names(found, "size", task=task, model=model, budget=budget))
            for where, words in WHERE.items():
                lines = [
                    [
                        method,
                        *(
                            show(errors(found, Case(task, model, budget, method, s), where, "force_rmse"), 3)
                            for s in sizes
                        ),
                    ]
                    for method in names(found, "method", task=task, model=model, budget=budget)
                ]
                if any(cell != "-" for line in lines for cell in line[1:]):
                    head = table(["method", *(f"{100 * size:g} %" for size in sizes)], lines)
                    yield f"### {task}: {model}, same number of {budget}, {words}\n\n{head}"
