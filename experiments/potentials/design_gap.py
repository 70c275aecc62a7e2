"""Do optimal designs for the linear model serve another potential? Gaussian approximation potentials of them.

    python experiments/potentials/design_gap.py --gap PYTHON --keep FOLDER  # goes on where it was stopped
    python experiments/potentials/design_gap.py --summary                   # the tables, from the stored fits

Choices are those of `design_screen.py` at 10 % of the atoms, fits those of `gap.py`, with whose stored rows
of the same pools they are compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import designs
from cells import Case
from data import DataSet
from design_screen import METHODS, RIVALS, most_atoms, over_other
from gap import fit_and_test
from gap_sets import DESIGN, GAP_SETS
from ratio_tables import Rows, means, stored_rows
from ridge import fit_shifts
from screen import SIZES, add_options, measured_rows, prepared
from study import draw_pool

HERE = Path(__file__).parent
METHOD, POOLS = "V-optimal", 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what has no result yet, or say what the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gap", type=Path, help="Python of the environment with quippy-ase")
    add_options(parser, "design_gap_results.json")
    options = parser.parse_args(arguments)
    print(summary(measured_rows(options, _rows, GAP_SETS)))
    return 0


def _rows(data: DataSet, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    task, linear = prepared(data, options)
    shifts = fit_shifts(task.train.structures, data.elements)
    held = {name: part.structures for name, part in task.tests.items()}
    for seed in range(POOLS):
        numbers, _ = draw_pool(len(task.train.structures), seed)
        pool = designs.make_pool(linear.train.take(numbers))
        picked = numbers[METHODS[METHOD](pool, most_atoms(pool), seed)]
        chosen = [task.train.structures[i] for i in picked]
        found = fit_and_test(Case(data, chosen, held, shifts), options.gap)
        row = {"data": data.name, "design": data.name in DESIGN, "method": METHOD, "size": SIZES[0]}
        yield row | {"seed": seed, "structures": len(chosen), "tests": found}


def summary(rows: Rows) -> str:
    """Means over data sets, and errors over those of other rules, paired by data set."""
    names = list(dict.fromkeys(row["data"] for row in rows))
    known = [
        row
        for row in stored_rows(HERE / "gap_results.json")
        if row["data"] in names and row["size"] == SIZES[0] and row["seed"] < POOLS
    ]
    every = [*known, *rows]
    words = [over_other(every, names, METHOD, other) for other in RIVALS]
    return "\n\n".join([f"**{', '.join(names)}**", means(every, names), *words])


if __name__ == "__main__":
    sys.exit(main())
