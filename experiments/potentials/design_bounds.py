"""How far V-optimal designs are from the best: the mean variance of choices over its lower bound.

    python experiments/potentials/design_bounds.py --keep FOLDER   # goes on where it was stopped
    python experiments/potentials/design_bounds.py --summary       # the table, from the stored values

The first pool of each data set, at 10 % of the atoms; see `designs` and `design_screen`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import designs
import numpy as np
from data import DataSet, environments, take
from design_screen import most_atoms
from fresh import FRESH_SETS
from ratio_tables import Rows, rounded
from screen import SETS, SIZES, add_options, measured_rows, prepared
from selecting import within_atoms
from study import draw_pool

RULES = ("random", "msc", "balanced")
NAME = "V-optimal"


def main(arguments: Sequence[str] | None = None) -> int:
    """Find what has no result yet, or say what the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser, "design_bounds_results.json")
    print(summary(measured_rows(parser.parse_args(arguments), _rows, (*SETS, *FRESH_SETS))))
    return 0


def _rows(data: DataSet, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    task, linear = prepared(data, options)
    numbers, _ = draw_pool(len(task.train.structures), 0)
    pool, envs = designs.make_pool(linear.train.take(numbers)), environments(take(task.train, numbers))
    limit = most_atoms(pool)
    chosen = {name: within_atoms(envs, name, SIZES[0], 0) for name in RULES}
    chosen[NAME] = designs.greedy(designs.v_optimal, pool, limit)
    everyone = np.arange(len(numbers))
    values = {
        name: designs.variance(pool, np.isin(everyone, one).astype(float)) for name, one in chosen.items()
    }
    bound = designs.variance_bound(pool, limit)
    yield {"data": data.name} | rounded({name: value / bound for name, value in values.items()})


def summary(rows: Rows) -> str:
    """Variances over the bound, by data set."""
    names = (NAME, *RULES)
    lines = [f"| data set | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    lines += [f"| {row['data']} | {' | '.join(f'{row[name]:.2f}' for name in names)} |" for row in rows]
    middle = " | ".join(f"{np.median([row[name] for row in rows]):.2f}" for name in names)
    return "\n".join([*lines, f"| median | {middle} |"])


if __name__ == "__main__":
    sys.exit(main())
