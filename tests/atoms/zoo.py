"""Small structures of every kind that data sets hold, disturbed at random so that no two distances agree."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
from ase.build import bulk, molecule
from hypothesis import settings

Builder = Callable[[np.random.Generator], ase.Atoms]

few = settings(max_examples=5, deadline=None)
PARAMETERS = [(5, 3.2), (8, 4.1), (32, 5.0)]  # k, cutoff: shared by all tests, to compile few programs
CRYSTALS = {
    "fcc": bulk("Cu", cubic=True),
    "bcc": bulk("Fe", cubic=True),
    "diamond": bulk("Si", cubic=True),
    "hcp": bulk("Mg", a=3.0, c=3.0 * np.sqrt(8 / 3)),
}


def disturbed(atoms: ase.Atoms, rng: np.random.Generator, pbc: object = True) -> ase.Atoms:
    """A copy with atoms moved and the cell strained by a few percent."""
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3))), scale_atoms=True)
    atoms.positions += rng.uniform(-0.15, 0.15, atoms.positions.shape)
    atoms.pbc = pbc
    return atoms


def skewed(rng: np.random.Generator) -> ase.Atoms:
    cell = [[3.1, 0, 0], [7.3, 3.4, 0], [-5.2, 8.1, 3.3]]
    return disturbed(
        ase.Atoms("C3", scaled_positions=[[0, 0, 0], [0.3, 0.6, 0.5], [0.7, 0.2, 0.9]], cell=cell), rng
    )


def left_handed(rng: np.random.Generator) -> ase.Atoms:
    atoms = disturbed(CRYSTALS["fcc"], rng)
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    return atoms


def scattered(rng: np.random.Generator) -> ase.Atoms:
    """Atoms written many cells away from the cell they belong to."""
    atoms = disturbed(CRYSTALS["bcc"], rng)
    atoms.positions += rng.integers(-4, 5, (len(atoms), 3)) @ atoms.cell.array
    return atoms


def wire(rng: np.random.Generator) -> ase.Atoms:
    positions = [[0, 0, 0], [1.1, 1.5, 0], [-0.4, 1.2, 1.3]]
    return disturbed(ase.Atoms("C3", positions, cell=[3.2, 0, 0]), rng, (True, False, False))


def boxed_molecule(rng: np.random.Generator) -> ase.Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.set_cell([4.0, 4.5, 5.0])
    return disturbed(atoms, rng, False)


ZOO: dict[str, Builder] = {
    **{name: lambda rng, atoms=atoms: disturbed(atoms, rng) for name, atoms in CRYSTALS.items()},
    "one-atom cell": lambda rng: disturbed(bulk("Al"), rng),
    "skewed": skewed,
    "left-handed": left_handed,
    "scattered": scattered,
    "slab": lambda rng: disturbed(bulk("Cu", cubic=True), rng, (True, True, False)),
    "slab across": lambda rng: disturbed(bulk("Fe", cubic=True), rng, (True, False, True)),
    "layer without third vector": lambda rng: disturbed(
        ase.Atoms("C2", [[0, 0, 0], [1.23, 0.71, 0]], cell=[[2.46, 0, 0], [1.23, 2.13, 0], [0, 0, 0]]),
        rng,
        (True, True, False),
    ),
    "wire": wire,
    "molecule": lambda rng: disturbed(molecule("CH3OH"), rng, False),
    "molecule in a box": boxed_molecule,
    "dimer": lambda rng: disturbed(ase.Atoms("H2", [[0, 0, 0], [0.9, 0, 0]]), rng, False),
    "isolated atom": lambda rng: ase.Atoms("He", rng.normal(size=(1, 3))),
}


def zoo(seed: int) -> dict[str, ase.Atoms]:
    rng = np.random.default_rng(seed)
    return {name: build(rng) for name, build in ZOO.items()}


def split_rows(x: np.ndarray, structures: list[ase.Atoms]) -> list[np.ndarray]:
    """Rows of each structure."""
    return np.split(x, np.cumsum([len(atoms) for atoms in structures])[:-1])
