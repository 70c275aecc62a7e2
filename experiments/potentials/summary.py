"""Results by case and seed, and their means, ratios and confidence intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student

from quests_jax.base.json_values import as_rows

Records = dict[str, dict[str, Any]]
LEVEL = 0.95  # of confidence
WHERE = {"in": "in distribution", "out": "out of distribution"}


class Case(NamedTuple):
    """What was done; results are kept by seed."""

    task: str
    model: str
    budget: str
    method: str
    size: float


class Interval(NamedTuple):
    """A mean with the bounds of its confidence interval; NaN bounds for a single value."""

    mean: float
    low: float
    high: float
    n: int


Found = dict[Case, dict[int, dict[str, dict[str, float]]]]  # by case and seed: measures of every test


def collect(records: Records) -> Found:
    """Results by case and seed."""
    found: Found = {}
    for key, record in records.items():
        task, model, seed = key.split(" / ")
        for row in as_rows(record["rows"]):
            case = Case(task, model, row["budget"], row["method"], row["size"])
            found.setdefault(case, {})[int(seed)] = row["tests"]
    return found


def value(tests: dict[str, dict[str, float]], where: str, name: str) -> float | None:
    """A measure in distribution, or its geometric mean over the tests out of it; None without any."""
    values = [test[name] for key, test in tests.items() if (key == "in") == (where == "in")]
    return float(np.exp(np.mean(np.log(np.maximum(values, 1e-12))))) if values else None


def interval(values: Sequence[float]) -> Interval:
    """Mean and Student's interval."""
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Interval(mean, np.nan, np.nan, n)
    half = float(student.ppf(0.5 + LEVEL / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def errors(found: Found, case: Case, where: str, name: str) -> Interval | None:
    """Geometric mean of a measure of a case, over seeds."""
    values = [value(tests, where, name) for tests in found.get(case, {}).values()]
    logs = [np.log(known) for known in values if known is not None]
    return _exp(interval(logs)) if logs else None


def log_ratios(found: Found, case: Case, other: Case, where: str, name: str) -> list[float]:
    """ln of the measure of one case over that of another, for every seed that both have."""
    ratios = []
    for seed in found.get(case, {}).keys() & found.get(other, {}).keys():
        a, b = (value(found[which][seed], where, name) for which in (case, other))
        if a is not None and b is not None:
            ratios.append(np.log(a / b))
    return ratios


def ratio_to(
    found: Found, cases: Iterable[Case], method: str, where: str, name: str, *, size: float | None = None
) -> Interval | None:
    """Geometric mean over data sets of the ratio to another method, at the same size unless one is given.

    Every data set counts once, by the mean over its seeds; the interval is that of the mean over data sets.
    """
    means = []
    for case in cases:
        other = case._replace(method=method, size=case.size if size is None else size)
        ratios = log_ratios(found, case, other, where, name)
        if ratios:
            means.append(np.mean(ratios))
    return _exp(interval(means)) if means else None


def paired_ratio(found: Found, case: Case, method: str, where: str, name: str) -> Interval | None:
    """Geometric mean over seeds of the ratio to another method at the same size."""
    ratios = log_ratios(found, case, case._replace(method=method), where, name)
    return _exp(interval(ratios)) if ratios else None


def _exp(logs: Interval) -> Interval:
    return Interval(*np.exp(logs[:3]), logs.n)


def variants(found: Found) -> list[tuple[str, str]]:
    """Models and budgets that there are results of, but for learned choices."""
    return list(dict.fromkeys((case.model, case.budget) for case in found if case.model != "learned"))


def across(found: Found, model: str, budget: str, method: str, size: float) -> list[Case]:
    """This method at this size on every data set."""
    return [case for case in found if case[1:] == (model, budget, method, size)]


def names(found: Found, field: str, **fixed: Any) -> list[Any]:
    """Values of a field of the cases that agree with `fixed`, in order of appearance."""
    alike = (case for case in found if all(getattr(case, key) == own for key, own in fixed.items()))
    return list(dict.fromkeys(getattr(case, field) for case in alike))


def show(found: Interval | None, digits: int = 2) -> str:
    """Mean and interval, as in 0.93 [0.90, 0.96]."""
    if found is None:
        return "-"
    if np.isnan(found.low):
        return f"{found.mean:.{digits}f}"
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
