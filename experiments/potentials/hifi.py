"""Atom-HiFi as a contender at equal numbers of atoms, with the linear model: see RULES.md.

It is a program of the package index, with descriptors and clusters of its own, in an environment of its own:

    sh experiments/potentials/environment.sh hifi FOLDER
    python experiments/potentials/hifi.py --hifi FOLDER/bin/python   # goes on where it was stopped
    python experiments/potentials/hifi.py --summary                  # the tables

L = H(choice)/H(pool) is its likeness, R the atoms per occupied microstate over those of the pool, and L/R
what it calls fidelity, here of all rules. Pools, other choices and their errors are those of `screen.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from data import DataSet, environments, take
from gap import run_program
from gap_sets import DESIGN
from ratio_tables import likeness_table, means, stored_rows
from ridge import best_fit
from screen import SIZES, add_options, measured_rows, prepared, tested
from selecting import within_atoms
from study import draw_pool

from quests_jax.atoms.neighbors import find_pairs

METHODS = ("random", "msc", "balanced", "cover")
SETS = ("methane QM22", "ethanol and methanol", "CH4 300 K", "SiO")  # distances of all pairs
SEEDS = 1
HERE = Path(__file__).parent
CHOOSE = HERE / "hifi_choose.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what has no result yet, or say what the results are."""
    options = _parse(arguments)
    rows = measured_rows(options, _rows)
    names = list(dict.fromkeys(row["data"] for row in rows))
    seeds = {row["seed"] for row in rows}
    screen = [
        row
        for row in stored_rows(HERE / "screen_results.json")
        if row["data"] in names and (row["method"] == "random" or row["seed"] in seeds)
    ]
    own = [row for row in rows if row["method"] == "atom-hifi"]
    print(f"{means([*screen, *own], names)}\n\n{likeness_table(rows)}")
    return 0


def _rows(data: DataSet, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    task, linear = prepared(data, options)
    for seed in range(SEEDS):
        pool, held_out = draw_pool(len(task.train.structures), seed)
        part = take(task.train, pool)
        envs, held = environments(part), linear.train.take(held_out)
        choices = {name: within_atoms(envs, name, SIZES[0], seed).tolist() for name in METHODS}
        atoms = int(SIZES[0] * envs.counts.sum())
        said = _said(part.structures, {"choices": choices, "atoms": atoms}, options.hifi)
        theta, _ = best_fit(linear.equations, pool[said["selected"]], held)
        tests = {name: tested(test, theta) for name, test in linear.tests.items()}
        for method, scores in said["scores"].items():
            chosen = choices.get(method, said["selected"])
            row = {"data": data.name, "design": data.name in DESIGN, "method": method, "seed": seed}
            row |= {"structures": len(chosen), "atoms": int(envs.counts[chosen].sum())}
            row |= {name: round(value, 4) for name, value in scores.items()}
            yield row | {"tests": tests if method == "atom-hifi" else {}}


def _said(structures: Sequence[Atoms], ask: dict[str, Any], python: Path) -> dict[str, Any]:
    """What the program answers about a pool."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = [Atoms(each.numbers, each.positions, cell=each.cell, pbc=each.pbc) for each in structures]
        ase.io.write(folder / "pool.xyz", bare, format="extxyz")
        (folder / "ask.json").write_text(json.dumps(ask | {"bond": _bond(bare)}))
        run_program([str(python), str(CHOOSE)], folder, os.environ | {"OMP_NUM_THREADS": "1"})
        return json.loads((folder / "said.json").read_text())


def _bond(structures: Sequence[Atoms], cutoff: float = 4.0) -> float:
    """The median distance of the nearest neighbor in Å, which Atom-HiFi is to be told."""
    nearest = []
    for atoms in structures:
        found = find_pairs([atoms], cutoff=cutoff)
        shortest = np.full(len(atoms), np.inf)
        np.minimum.at(shortest, found.center, found.distance)
        nearest.append(shortest[np.isfinite(shortest)])
    return float(np.median(np.concatenate(nearest)))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hifi", type=Path, help="Python of the environment with atom-hifi")
    add_options(parser, "hifi_results.json")
    options = parser.parse_args(arguments)
    options.only = options.only or list(SETS)
    if options.hifi is None and not options.summary:
        parser.error("name the Python of an environment with atom-hifi with --hifi, or ask for --summary.")
    return options


if __name__ == "__main__":
    sys.exit(main())
