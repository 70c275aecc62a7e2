"""Gaussian approximation potentials trained on choices of equal numbers of atoms: see RULES.md.

A potential is a sum of a two-body term and SOAP, fitted by `gap_fit` of the package quippy-ase [bartok:10,
bartok:13], which lives in an environment of its own:

    python -m venv FOLDER && FOLDER/bin/pip install quippy-ase
    python experiments/potentials/gap.py --gap FOLDER/bin/python     # goes on where it was stopped
    python experiments/potentials/gap.py --summary                   # the tables, from the stored fits
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import jax
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from data import DataSet, environments, read_part, split, take
from gap_sets import DESIGN, GAP_SETS
from measures import errors
from ratio_tables import rounded, stored_rows, tables_of_sizes
from ridge import Targets, fit_shifts
from selecting import within_atoms
from study import draw_pool

from quests_jax.base.jax_versions import versions
from quests_jax.output.files import write_json

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
METHODS = ("random", "msc", "balanced", "cover")
OTHERS = ("mean-fps", "k-means")
SIZES = (0.1, 0.05, 0.2)  # shares of the atoms
SEEDS = 3
PAIRS = (
    "distance_2b cutoff={cutoff} covariance_type=ard_se delta=1.0 theta_uniform=1.0 n_sparse=15 "
    "sparse_method=uniform"
)
SOAP = (
    "soap l_max=4 n_max=8 atom_sigma=0.5 cutoff={cutoff} zeta=4 delta=0.3 n_sparse={sparse} "
    "sparse_method=cur_points covariance_type=dot_product"
)
SPARSE = 300  # environments of the sparse set, of each element
SIGMA = "default_sigma={0.002 0.1 0.0 0.0}"  # eV per atom, eV/Å
MADE_WITH = {"sparse": SPARSE, "sigma": SIGMA, "versions": versions()}
PREDICT = Path(__file__).parent / "gap_predict.py"


class Cell(NamedTuple):
    """A fit of the table."""

    data: DataSet
    method: str
    size: float
    seed: int


class Case(NamedTuple):
    """What is fitted and tested."""

    data: DataSet
    train: list[Atoms]
    tests: dict[str, list[Atoms]]
    shifts: np.ndarray  # energy of an atom of each element, eV


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what has no result yet, or say what the results are."""
    options = _parse(arguments)
    jax.config.update("jax_enable_x64", True)  # of this process: it calls JAX itself
    rows = stored_rows(options.output)
    if not options.summary:
        for row in _missing(rows, options):
            rows.append(row)
            write_json(options.output, MADE_WITH | {"rows": rows})
            print(json.dumps(row), file=sys.stderr, flush=True)
    if not rows:
        sys.exit(f"{options.output}: no results yet; run without --summary first.")
    print(tables_of_sizes(rows))
    return 0


def cells(seeds: int) -> list[Cell]:
    """All fits: a pool of every data set before the next pool, the main rules and 10 % before the others."""
    order = [(SIZES[0], METHODS), (SIZES[0], OTHERS), *((size, METHODS) for size in SIZES[1:])]
    return [
        Cell(data, method, size, seed)
        for size, methods in order
        for seed in range(seeds)
        for data in GAP_SETS
        for method in methods
    ]


def _missing(done: Sequence[dict[str, Any]], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows that are not there yet."""
    there = {(row["data"], row["method"], row["size"], row["seed"]) for row in done}
    parts = lru_cache(maxsize=None)(lambda data: split(data, partial(read_part, options.data)))
    for cell in cells(options.seeds):
        key = (cell.data.name, *cell[1:])
        if key in there or (options.only and cell.data.name not in options.only):
            continue
        train, tests = parts(cell.data)
        start = time.perf_counter(), _used()
        pool = take(train, draw_pool(len(train.structures), cell.seed)[0])
        selected = within_atoms(environments(pool), cell.method, cell.size, cell.seed)
        chosen = [pool.structures[i] for i in selected]
        shifts = fit_shifts(train.structures, cell.data.elements)
        held = {name: part.structures for name, part in tests.items()}
        found = fit_and_test(Case(cell.data, chosen, held, shifts), options.gap)
        row = {"data": cell.data.name, "design": cell.data.name in DESIGN, "method": cell.method}
        row |= {"size": cell.size, "seed": cell.seed, "structures": len(chosen)}
        row |= {"atoms": sum(map(len, chosen)), "tests": found}
        seconds = {"seconds": time.perf_counter() - start[0], "processor_seconds": _used() - start[1]}
        yield row | {name: round(value, 1) for name, value in seconds.items()}


def _used() -> float:
    """Processor seconds of this process and of those that it started."""
    return sum(os.times()[:4])


def fit_and_test(case: Case, python: Path) -> dict[str, dict[str, float]]:
    """Fit a potential in a folder of its own; errors of every test."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "train.xyz", case.train)
        for test, structures in case.tests.items():
            _write(folder / f"{test}.xyz", structures)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        fit = [str(python.parent / "gap_fit"), *_arguments(case)]
        _run(fit, folder, environment)
        _run([str(python), str(PREDICT), *case.tests], folder, environment)
        return {test: _tested(part, folder / f"{test}.npz") for test, part in case.tests.items()}


def _tested(structures: Sequence[Atoms], file: Path) -> dict[str, float]:
    """Errors of what was predicted for a test."""
    found = np.load(file)
    energies = np.array([atoms.get_potential_energy() for atoms in structures])
    aim = Targets(energies, np.concatenate([atoms.get_forces() for atoms in structures]))
    counts = np.array([len(atoms) for atoms in structures])
    return rounded(errors(Targets(found["energies"], found["forces"]), aim, counts))


def _arguments(case: Case) -> list[str]:
    cutoff = case.data.cutoff
    terms = f"{PAIRS.format(cutoff=cutoff)} : {SOAP.format(cutoff=cutoff, sparse=SPARSE)}"
    shifts = zip(case.data.elements, case.shifts, strict=True)
    e0 = ":".join(f"{chemical_symbols[z]}:{shift:.6f}" for z, shift in shifts)
    names = ["energy_parameter_name=energy_dft", "force_parameter_name=forces_dft", f"e0={{{e0}}}"]
    return ["at_file=train.xyz", f"gap={{{terms}}}", SIGMA, *names, "gp_file=gap.xml", "sparse_jitter=1e-8"]


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def _write(file: Path, structures: Sequence[Atoms]) -> None:
    """Positions, cells, energies and forces, under names that no reader takes for its own."""
    ase.io.write(file, [_labelled(atoms) for atoms in structures], format="extxyz")


def _labelled(atoms: Atoms) -> Atoms:
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    copy.info["energy_dft"] = atoms.get_potential_energy()
    copy.arrays["forces_dft"] = atoms.get_forces()
    return copy


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gap", type=Path, help="Python of the environment with quippy-ase")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of FOLDER/NAME.xyz.gz files")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="number of pools")
    parser.add_argument("--only", action="append", help="name of a data set; may be repeated")
    parser.add_argument("--summary", action="store_true", help="tables of the stored fits")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "gap_results.json")
    options = parser.parse_args(arguments)
    if options.gap is None and not options.summary:
        parser.error("name the Python of an environment with quippy-ase with --gap, or ask for --summary.")
    return options


if __name__ == "__main__":
    sys.exit(main())
