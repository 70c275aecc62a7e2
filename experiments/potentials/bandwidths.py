"""Which bandwidth trains the better potential, and does `auto` find it? MSC and cover, linear model.

    python experiments/potentials/bandwidths.py --keep FOLDER   # goes on where it was stopped
    python experiments/potentials/bandwidths.py --summary       # the tables, from the stored errors

Pools, random choices and the choices at the default bandwidth are those of `screen.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data import DataSet, environments, take
from gap_sets import DESIGN
from ratio_tables import at_bandwidths, at_default, stored_rows, tables
from ridge import best_fit
from screen import SIZES, add_options, measured_rows, prepared, tested
from selecting import within_atoms
from study import draw_pool

from quests_jax.studies.bandwidths import recommended_bandwidth

METHODS = ("msc", "cover")
BANDWIDTHS = (0.03, 0.06, None)  # Å⁻¹; the recommended one where None
SEEDS = 2
HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what has no result yet, or say what the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser, "bandwidth_results.json")
    rows = measured_rows(parser.parse_args(arguments), _rows)
    every = [*at_default(rows, stored_rows(HERE / "screen_results.json")), *rows]
    print(f"{at_bandwidths(every, list(dict.fromkeys(row['data'] for row in rows)))}\n\n{tables(every)}")
    return 0


def _rows(data: DataSet, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    task, linear = prepared(data, options)
    for seed in range(SEEDS):
        pool, held_out = draw_pool(len(task.train.structures), seed)
        envs, held = environments(take(task.train, pool)), linear.train.take(held_out)
        for bandwidth in BANDWIDTHS:
            h = recommended_bandwidth(envs).value if bandwidth is None else bandwidth
            for method in METHODS:
                chosen = pool[within_atoms(envs, method, SIZES[0], seed, h)]
                theta, _ = best_fit(linear.equations, chosen, held)
                label = f"{method}, {'auto' if bandwidth is None else bandwidth}"
                row = {"data": data.name, "design": data.name in DESIGN, "method": label, "bandwidth": h}
                row |= {"seed": seed, "structures": len(chosen)}
                yield row | {"tests": {name: tested(test, theta) for name, test in linear.tests.items()}}


if __name__ == "__main__":
    sys.exit(main())
