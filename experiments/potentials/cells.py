"""Fits of potentials to choices of equal numbers of atoms: which are missing, their order and their rows."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from data import DataSet, environments, read_part, split, take
from gap_sets import DESIGN
from measures import errors
from ratio_tables import rounded, stored_rows, tables_of_sizes
from ridge import Targets, fit_shifts
from selecting import within_atoms
from study import draw_pool

from quests_jax.output.files import write_json

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
Errors = dict[str, dict[str, float]]  # of each test
APART = 100  # seeds between the random choices of a pool


class Cell(NamedTuple):
    """A fit of the table."""

    data: DataSet
    method: str
    size: float  # share of the atoms
    seed: int  # of the pool
    draw: int = 0  # of several random choices of a pool


class Case(NamedTuple):
    """What is fitted and tested."""

    data: DataSet
    train: list[Atoms]
    tests: dict[str, list[Atoms]]
    shifts: np.ndarray  # energy of an atom of each element, eV
    name: str = ""  # of the cell


def run_cells(
    cells: Iterable[Cell],
    fit_and_test: Callable[[Case], Errors],
    options: argparse.Namespace,
    made_with: dict[str, Any],
) -> None:
    """Fit what has no row yet, write the rows after each fit, and print the tables."""
    rows = stored_rows(options.output)
    if not options.summary:
        for row in _missing(cells, fit_and_test, rows, options):
            rows.append(row)
            write_json(options.output, made_with | {"rows": rows})
            print(json.dumps(row), file=sys.stderr, flush=True)
    if not rows:
        sys.exit(f"{options.output}: no results yet; run without --summary first.")
    print(tables_of_sizes(rows))


def tested(structures: Sequence[Atoms], found: Targets) -> dict[str, float]:
    """Errors of what was predicted for a test."""
    energies = np.array([atoms.get_potential_energy() for atoms in structures])
    aim = Targets(energies, np.concatenate([atoms.get_forces() for atoms in structures]))
    return rounded(errors(found, aim, np.array([len(atoms) for atoms in structures])))


def add_options(parser: argparse.ArgumentParser, output: str) -> None:
    """What both kinds of potentials are told."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--seeds", type=int, default=5, help="number of pools")
    parser.add_argument("--only", action="append", help="name of a data set; may be repeated")
    parser.add_argument("--summary", action="store_true", help="tables of the stored fits")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / output)


def _missing(
    cells: Iterable[Cell],
    fit_and_test: Callable[[Case], Errors],
    done: Sequence[dict[str, Any]],
    options: argparse.Namespace,
) -> Iterator[dict[str, Any]]:
    """The rows that are not there yet."""
    there = {(row["data"], row["method"], row["size"], row["seed"], row.get("draw", 0)) for row in done}
    parts = lru_cache(maxsize=None)(lambda data: split(data, partial(read_part, options.data)))
    for cell in cells:
        key = (cell.data.name, *cell[1:])
        if key in there or (options.only and cell.data.name not in options.only):
            continue
        train, tests = parts(cell.data)
        start = time.perf_counter(), _used()
        pool = take(train, draw_pool(len(train.structures), cell.seed)[0])
        lots = cell.seed + APART * cell.draw
        selected = within_atoms(environments(pool), cell.method, cell.size, lots)
        chosen = [pool.structures[i] for i in selected]
        shifts = fit_shifts(train.structures, cell.data.elements)
        held = {name: part.structures for name, part in tests.items()}
        name = ", ".join(map(str, key))
        found = fit_and_test(Case(cell.data, chosen, held, shifts, name))
        row = {"data": cell.data.name, "design": cell.data.name in DESIGN, "method": cell.method}
        row |= {"size": cell.size, "seed": cell.seed, "draw": cell.draw, "structures": len(chosen)}
        row |= {"atoms": sum(map(len, chosen)), "tests": found}
        seconds = {"seconds": time.perf_counter() - start[0], "processor_seconds": _used() - start[1]}
        yield row | {name: round(value, 1) for name, value in seconds.items()}


def _used() -> float:
    """Processor seconds of this process and of those that it started."""
    return sum(os.times()[:4])
