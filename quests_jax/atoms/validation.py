"""Checks that every structure must pass before it is described."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import ase
import numpy as np
from ase.data import chemical_symbols

from quests_jax.base.checks import FlawedStructure, InputError

SMALLEST_HEIGHT = 1e-3  # Å; a periodic cell flatter than this, by its singular values, is taken for a mistake
CONVERT = "convert it with pymatgen.io.ase.AseAtomsAdaptor"
FARTHEST = 1e6  # Å; coordinates and cell vectors beyond this are taken for a mistake


def check_structures(structures: Sequence[ase.Atoms]) -> list[ase.Atoms]:
    """The structures as a list; raises `InputError` unless there are some and all are `ase.Atoms`."""
    if isinstance(structures, ase.Atoms):
        raise InputError("expected a list of structures, got one; give [atoms] instead of atoms.")
    if isinstance(structures, (str, os.PathLike)):
        raise InputError(
            f"expected structures, got the name {str(structures)!r}; read the file with `read` first."
        )
    if not isinstance(structures, (list, tuple)):
        if _is_pymatgen(structures) or not isinstance(structures, Iterable):
            advice = CONVERT if _is_pymatgen(structures) else "give ase.Atoms"
            raise InputError(f"expected a list of structures, got {_kind(structures)}; {advice}.")
    structures = list(structures)
    if not structures:
        raise InputError("no structures; give at least one.")
    for number, atoms in enumerate(structures):
        if isinstance(atoms, (str, os.PathLike)):
            raise InputError(
                f"structure {number} is the name {str(atoms)!r}; read the file with `read` first."
            )
        if not isinstance(atoms, ase.Atoms):
            advice = CONVERT if _is_pymatgen(atoms) else "give ase.Atoms"
            raise InputError(f"structure {number} is {_kind(atoms)}; {advice}.")
    return structures


def validate(structures: Sequence[ase.Atoms], *, first: int = 0) -> None:
    """Raise `InputError` at the first structure whose elements, positions or cell cannot be a structure's.

    `first` is the number of the first structure, for the message.
    """
    structures = check_structures(structures)
    flawed = _flawed(structures)
    if flawed.any():
        number = int(flawed.argmax())
        raise FlawedStructure(first + number, _flaw(structures[number]))


def find_flaws(structures: Sequence[ase.Atoms]) -> dict[int, str]:
    """What is wrong with each structure that `validate` would refuse, by its number, without raising."""
    structures = check_structures(structures)
    flaws = {int(number): _flaw(structures[number]) for number in np.flatnonzero(_flawed(structures))}
    return {number: flaw.lstrip(":, ").split(";")[0].rstrip(".") for number, flaw in flaws.items()}


def _flawed(structures: Sequence[ase.Atoms]) -> np.ndarray:
    """Whether the positions or the cell of each structure cannot be a structure's."""
    cells = np.array([atoms.cell.array for atoms in structures])
    flawed = _flawed_cells(cells, np.array([atoms.pbc for atoms in structures]))
    positions = np.concatenate([atoms.positions for atoms in structures])
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    sound = (np.abs(positions) <= FARTHEST).all(axis=1)  # false for NaN
    sound &= (numbers >= 0) & (numbers < len(chemical_symbols))
    flawed[np.repeat(np.arange(len(flawed)), [len(atoms) for atoms in structures])[~sound]] = True
    return flawed


def _kind(given: object) -> str:
    return f"a {type(given).__module__.split('.')[0]} {type(given).__name__}".replace("a builtins ", "a ")


def _is_pymatgen(given: object) -> bool:
    return type(given).__module__.startswith("pymatgen")


def _flawed_cells(cells: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Whether each cell [S, 3, 3] is not finite, beyond `FARTHEST`, or flatter than `SMALLEST_HEIGHT`."""
    flawed = np.zeros(len(cells), bool)
    flawed[~(np.abs(cells) <= FARTHEST).all(axis=(1, 2))] = True
    for pattern in np.unique(periodic, axis=0):
        if pattern.any():
            alike = np.flatnonzero(~flawed & (periodic == pattern).all(axis=1))
            smallest = np.linalg.svd(cells[alike][:, pattern], compute_uv=False).min(axis=1)
            flawed[alike] = smallest < SMALLEST_HEIGHT
    return flawed


def _flaw(atoms: ase.Atoms) -> str:
    """The rest of the sentence about a structure that is flawed."""
    unknown = np.flatnonzero((atoms.numbers < 0) | (atoms.numbers >= len(chemical_symbols)))
    if len(unknown):
        return f", atom {unknown[0]}: no element has the number {atoms.numbers[unknown[0]]}; repair it."
    bad = np.flatnonzero(~(np.abs(atoms.positions) <= FARTHEST).all(axis=1))
    if len(bad):
        position = atoms.positions[bad[0]]
        what = f"lies beyond {FARTHEST:.0e} Å" if np.isfinite(position).all() else "is not finite"
        return f", atom {bad[0]}: position {position} {what}; repair or remove the structure."
    if not (np.abs(atoms.cell.array) <= FARTHEST).all():
        what = (
            f"a vector beyond {FARTHEST:.0e} Å"
            if np.isfinite(atoms.cell.array).all()
            else "a value that is not finite"
        )
        return f": the cell holds {what}; repair it."
    return (
        ": the cell is singular along a periodic direction; "
        "give three independent cell vectors or switch periodicity off."
    )
