"""Gaussian approximation potentials trained on choices of equal numbers of atoms: see RULES.md.

A potential is a sum of a two-body term and SOAP, fitted by `gap_fit` of the package quippy-ase [bartok:10,
bartok:13], which lives in an environment of its own:

    sh experiments/potentials/environment.sh gap FOLDER
    python experiments/potentials/gap.py --gap FOLDER/bin/python     # goes on where it was stopped
    python experiments/potentials/gap.py --summary                   # the tables, from the stored fits
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ase.io
import jax
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from cells import Case, Cell, Errors, add_options, run_cells, tested
from gap_sets import GAP_SETS
from ridge import Targets

from quests_jax.atoms.neighbors import find_pairs
from quests_jax.base.jax_versions import versions

METHODS = ("random", "msc", "balanced", "cover")
OTHERS = ("mean-fps", "k-means", "direct")
FARTHEST = ("fps",)
SIZE = 0.1  # share of the atoms
OTHER_SIZES = (0.05, 0.2, 0.4)
DRAWS = 2  # random choices at 10 % of each pool that is drawn from twice
TWICE = 3  # pools that are drawn from twice
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
VACUUM = 20.0  # Å around a molecule
PREDICT = Path(__file__).parent / "gap_predict.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit what has no result yet, or say what the results are."""
    options = _parse(arguments)
    jax.config.update("jax_enable_x64", True)  # of this process: it calls JAX itself
    fit = partial(fit_and_test, python=options.gap, keep=options.keep)
    run_cells(cells(options.seeds), fit, options, MADE_WITH)
    return 0


def cells(seeds: int) -> list[Cell]:
    """All fits, in an order in which every data set has been through when the next part begins.

    The main rules at 10 % and two pools; the other rules; 5 %; the other pools; 20 %; farthest points among
    environments; 40 %; the other rules in further pools.
    """
    main = [(seed, SIZE, METHODS) for seed in range(seeds)]
    others = [(seed, SIZE, OTHERS) for seed in range(seeds)]
    farthest = [(0, SIZE, FARTHEST)]
    small, middle, large = ([(0, size, METHODS)] for size in OTHER_SIZES)
    order = [*main[:2], *others[:1], *small, *main[2:], *middle, *farthest, *large, *others[1:]]
    return [
        Cell(data, method, size, seed, draw)
        for seed, size, methods in order
        for data in GAP_SETS
        for method in methods
        for draw in range(DRAWS if (method, size) == ("random", SIZE) and seed < TWICE else 1)
    ]


def fit_and_test(case: Case, python: Path, keep: Path | None = None) -> Errors:
    """Fit a potential in a folder of its own; errors of every test. The potential may be kept in another."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_labelled(folder / "train.xyz", case.train)
        for test, structures in case.tests.items():
            write_labelled(folder / f"{test}.xyz", structures)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        fit = [str(python.parent / "gap_fit"), *_arguments(case)]
        run_program(fit, folder, environment)
        run_program([str(python), str(PREDICT), *case.tests], folder, environment)
        if keep is not None:
            _keep(folder, keep / case.name)
        found = {test: np.load(folder / f"{test}.npz") for test in case.tests}
        return {
            test: tested(part, Targets(found[test]["energies"], found[test]["forces"]))
            for test, part in case.tests.items()
        }


def _keep(folder: Path, kept: Path) -> None:
    """The files of a potential, and what it was trained on."""
    kept.mkdir(parents=True, exist_ok=True)
    for file in (folder / "train.xyz", *folder.glob("gap.xml*")):
        shutil.copy(file, kept)


def _arguments(case: Case) -> list[str]:
    cutoff = case.data.cutoff
    pairs = [
        f"{PAIRS.format(cutoff=cutoff)} Z1={a} Z2={b} add_species=F" for a, b in _pairs(case.train, cutoff)
    ]
    shifts = zip(case.data.elements, case.shifts, strict=True)
    e0 = ":".join(f"{chemical_symbols[z]}:{shift:.6f}" for z, shift in shifts)
    names = ["energy_parameter_name=energy_dft", "force_parameter_name=forces_dft", f"e0={{{e0}}}"]
    gap = f"gap={{{' : '.join([*pairs, SOAP.format(cutoff=cutoff, sparse=SPARSE)])}}}"
    return ["at_file=train.xyz", gap, SIGMA, *names, "gp_file=gap.xml", "sparse_jitter=1e-8"]


def _pairs(structures: Sequence[Atoms], cutoff: float) -> list[tuple[int, int]]:
    """Elements that are within the cutoff of each other somewhere: others cannot be fitted."""
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    found = find_pairs(structures, cutoff=cutoff)
    ends = np.sort(np.stack([numbers[found.center], numbers[found.neighbor]], axis=1), axis=1)
    return [(int(a), int(b)) for a, b in np.unique(ends, axis=0)]


def run_program(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run it in a folder; end with its last words where it fails."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def write_labelled(file: Path, structures: Sequence[Atoms]) -> None:
    """Positions, cells, energies and forces, under names that no reader takes for its own."""
    ase.io.write(file, [_labelled(atoms) for atoms in structures], format="extxyz")


def _labelled(atoms: Atoms) -> Atoms:
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if not copy.pbc.any():  # the program takes a structure without a cell for one without an energy
        copy.cell = np.diag(np.ptp(copy.positions, axis=0) + VACUUM)
    copy.info["energy_dft"] = atoms.get_potential_energy()
    copy.arrays["forces_dft"] = atoms.get_forces()
    return copy


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gap", type=Path, help="Python of the environment with quippy-ase")
    parser.add_argument("--keep", type=Path, help="folder in which the potentials are kept")
    add_options(parser, "gap_results.json")
    options = parser.parse_args(arguments)
    if options.gap is None and not options.summary:
        parser.error("name the Python of an environment with quippy-ase with --gap, or ask for --summary.")
    return options


if __name__ == "__main__":
    sys.exit(main())
