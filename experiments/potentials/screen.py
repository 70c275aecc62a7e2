"""Rules at equal numbers of atoms, by the linear model: a screen that takes seconds a choice; see RULES.md.

    python experiments/potentials/screen.py --data FOLDER    # goes on where it was stopped
    python experiments/potentials/screen.py --summary        # the tables, from the stored errors

The rule `balanced` was designed on the data sets of the protocol; those of `gap_sets` are the test of it.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from data import DataSet, Part, Task, environments, load, take
from gap_sets import DESIGN, GAP_SETS
from measures import errors
from protocol import FULL
from ratio_tables import rounded, stored_rows, tables_of_sizes
from ridge import Rows, best_fit, predict
from selecting import within_atoms
from study import Linear, basis_of, draw_pool, linear_fits

from quests_jax.base.jax_versions import versions
from quests_jax.output.files import write_json

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
METHODS = ("balanced", "msc", "cover", "mean-fps", "k-means")
SIZES = (0.1,)
SEEDS = 5
DRAWS = 4  # random choices of each pool
OTHERS = [data for data in GAP_SETS if data.name not in DESIGN]
SETS = (*FULL.data_sets, *OTHERS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what has no result yet, or say what the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser, "screen_results.json")
    print(tables_of_sizes(measured_rows(parser.parse_args(arguments), rows_of_rules)))
    return 0


def measured_rows(
    options: argparse.Namespace,
    rows_of: Callable[[DataSet, argparse.Namespace], Iterable[dict[str, Any]]],
    sets: Sequence[DataSet] = SETS,
) -> list[dict[str, Any]]:
    """Stored rows, and those of the data sets that have none yet, stored one data set after the other."""
    jax.config.update("jax_enable_x64", True)  # of this process: it calls JAX itself
    rows = stored_rows(options.output)
    if not options.summary:
        for data in sets:
            if options.only and data.name not in options.only:
                continue
            if data.name in {row["data"] for row in rows}:
                continue
            rows += list(rows_of(data, options))
            write_json(options.output, {"versions": versions(), "rows": rows})
            print(data.name, file=sys.stderr, flush=True)
            jax.clear_caches()
    if not rows:
        sys.exit(f"{options.output}: no results yet; run without --summary first.")
    return rows


def rows_of_rules(
    data: DataSet, options: argparse.Namespace, *, seeds: int = SEEDS
) -> Iterator[dict[str, Any]]:
    """Errors of the choices of every rule, and of random ones, from each pool."""
    task, linear = prepared(data, options)
    for seed in range(seeds):
        pool, held_out = draw_pool(len(task.train.structures), seed)
        envs = environments(take(task.train, pool))
        held = linear.train.take(held_out)
        for size in SIZES:
            for method, draw in [
                *((name, seed) for name in METHODS),
                *(("random", DRAWS * seed + i) for i in range(DRAWS)),
            ]:
                chosen = pool[within_atoms(envs, method, size, draw)]
                row = {"data": data.name, "design": data.name in DESIGN, "size": size, "method": method}
                row |= {"seed": draw, "structures": len(chosen)}
                theta, _ = best_fit(linear.equations, chosen, held)
                yield row | {"tests": {name: tested(test, theta) for name, test in linear.tests.items()}}


def tested(test: Rows, theta: np.ndarray) -> dict[str, float]:
    """Errors of the linear model on a test."""
    return rounded(errors(predict(test, theta), test.targets, test.atoms))


def prepared(data: DataSet, options: argparse.Namespace) -> tuple[Task, Linear]:
    """The structures and the design matrices of a data set, kept in a folder if one is named."""
    file = None if options.keep is None else options.keep / f"{data.name}.pickle"
    if file is not None and file.exists():
        return pickle.loads(file.read_bytes())
    task = load(data, options.data)
    linear = linear_fits(task, basis_of(task, n_hidden=FULL.hidden))
    made = Task(data, _bare(task.train), {name: _bare(test) for name, test in task.tests.items()}), linear
    if file is not None:
        file.write_bytes(pickle.dumps(made))
    return made


def _bare(part: Part) -> Part:
    """A part without its symmetry functions, which are large."""
    return part._replace(features=[])


def add_options(parser: argparse.ArgumentParser, output: str) -> None:
    """What every screen of the linear model is told."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--keep", type=Path, help="folder in which prepared data sets are kept")
    parser.add_argument("--only", action="append", help="name of a data set; may be repeated")
    parser.add_argument("--summary", action="store_true", help="tables of the stored errors")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / output)


if __name__ == "__main__":
    sys.exit(main())
