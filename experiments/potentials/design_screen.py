"""Choices by the design matrix of the linear model, at 10 % of the atoms; see `designs` and RULES.md.

    python experiments/potentials/design_screen.py --keep FOLDER   # goes on where it was stopped
    python experiments/potentials/design_screen.py --summary       # the tables, from the stored errors

Pools, random choices and the choices of the rules are those of `screen.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import designs
import numpy as np
from data import DataSet
from fresh import FRESH_SETS
from gap_sets import DESIGN
from ratio_tables import KEYS, Rows, interval, is_worse, means, paired, stored_rows
from ridge import best_fit
from screen import SETS, SIZES, add_options, measured_rows, prepared, tested
from study import draw_pool

HERE = Path(__file__).parent
POOLS = 3
BEST, RIVALS = ("V-optimal", "V-optimal, both"), ("msc", "balanced")  # what is compared set by set
ROUNDING = 1e-9  # share by which the atoms may pass their limit
Choose = Callable[[designs.Pool, float, int], np.ndarray]  # of a pool, the most atoms and a seed


def _drawn(scores: Callable[[designs.Pool], np.ndarray]) -> Choose:
    return lambda pool, limit, seed: designs.drawn(scores(pool), pool.cost, limit, seed)


def _largest(scores: Callable[[designs.Pool], np.ndarray]) -> Choose:
    return lambda pool, limit, seed: designs.largest(scores(pool), pool.cost, limit)


def _greedy(gains: designs.Gains) -> Choose:
    return lambda pool, limit, seed: designs.greedy(gains, pool, limit)


METHODS: dict[str, Choose] = {
    "leverage, drawn": _drawn(designs.leverages),
    "leverage, largest": _largest(designs.leverages),
    "D-optimal": _greedy(designs.d_optimal),
    "V-optimal": _greedy(designs.v_optimal),
    "V-optimal, both": _greedy(designs.both_optimal),
    "Cook, drawn": _drawn(designs.cook_distances),
    "Cook, largest": _largest(designs.cook_distances),
    "Cook, stepwise": _greedy(designs.cook_stepwise),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what has no result yet, or say what the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser, "design_results.json")
    print(summary(measured_rows(parser.parse_args(arguments), _rows, (*SETS, *FRESH_SETS))))
    return 0


def _rows(data: DataSet, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    task, linear = prepared(data, options)
    for seed in range(POOLS):
        numbers, held_out = draw_pool(len(task.train.structures), seed)
        pool, held = designs.make_pool(linear.train.take(numbers)), linear.train.take(held_out)
        limit = most_atoms(pool)
        for method, choose in METHODS.items():
            chosen = numbers[choose(pool, limit, seed)]
            theta, _ = best_fit(linear.equations, chosen, held)
            row = {"data": data.name, "design": data.name in DESIGN, "method": method, "seed": seed}
            yield row | {"tests": {name: tested(test, theta) for name, test in linear.tests.items()}}


def most_atoms(pool: designs.Pool) -> float:
    """How many atoms a choice may have."""
    return SIZES[0] * pool.cost.sum() * (1 + ROUNDING)


def of_the_rules() -> list[dict[str, Any]]:
    """Stored rows of the rules from the same pools, and of all random choices."""
    known = [row for name in ("screen", "fresh") for row in stored_rows(HERE / f"{name}_results.json")]
    return [row for row in known if row["method"] == "random" or row["seed"] < POOLS]


def summary(rows: Rows) -> str:
    """Means over data sets of each kind."""
    every = [*of_the_rules(), *rows]
    there = dict.fromkeys(row["data"] for row in rows)
    found = groups(there)
    parts = [f"**{title}: {', '.join(names)}**\n\n{means(every, names)}" for title, names in found.items()]
    _, *others = found.values()
    left_out = [name for names in others for name in names]
    parts.append(f"**All but the sets of the design**\n\n{means(every, left_out)}")
    parts += [over_other(every, left_out, method, other) for method in BEST for other in RIVALS]
    worse = {method: [name for name in there if is_worse(every, name, method)] for method in (*BEST, *RIVALS)}
    parts += [
        f"{method} is worse than random out on: {', '.join(found) or 'none'}"
        for method, found in worse.items()
    ]
    return "\n\n".join(parts)


def over_other(rows: Rows, names: Sequence[str], method: str, other: str) -> str:
    """Errors of one choice over those of another, paired by data set."""
    logs = {
        f"{name}, {where}": paired(rows, names, method, other, key, where == "in")
        for where in ("in", "out")
        for key, name in KEYS.items()
    }
    words = "; ".join(f"{name} {interval(each)}" for name, each in logs.items())
    return f"{method} over {other}: {words}"


def groups(names: Iterable[str]) -> dict[str, list[str]]:
    """Data sets by what they had to do with the choice of rules."""
    fresh = {data.name for data in FRESH_SETS}
    return {
        "Sets of the design of `balanced`": [name for name in names if name in DESIGN],
        "Sets beside it": [name for name in names if name not in DESIGN and name not in fresh],
        "Sets without a part in any choice": [name for name in names if name in fresh],
    }


if __name__ == "__main__":
    sys.exit(main())
