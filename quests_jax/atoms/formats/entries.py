"""What readers of large data share: packages that are extras, and entries that become structures.

An entry is one structure as a table, a group or a JSON object holds it. Whatever does not fit its atoms is an
error that says what it is; what has no place in a structure of ASE becomes a label (`info`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols

from quests_jax.atoms.sources import Source, with_source
from quests_jax.base.checks import InputError


class Entry(NamedTuple):
    """One structure: lengths in Å, energies in eV, forces in eV/Å, stresses in eV/Å³."""

    numbers: Any  # [A] atomic numbers
    positions: Any  # [A, 3]
    cell: Any = None  # [3, 3], rows are the vectors
    pbc: Any = None  # [3]; where it is None, a structure with a cell is periodic
    energy: Any = None
    forces: Any = None  # [A, 3]
    stress: Any = None  # [3, 3] or [6] in Voigt's order, positive under tension
    labels: Mapping[str, Any] = {}


def package(name: str, extra: str, what: str) -> ModuleType:
    """A package that reads a format; `InputError` names the extra where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"is {what}; to read it, run `pip install 'quests_jax[{extra}]'`.") from None


def structure(entry: Entry, source: Source) -> Atoms:
    """The structure of an entry; `InputError` names the structure and what does not fit."""
    where = f"structure {source.index}"
    numbers = _array(entry.numbers, f"{where}: atomic numbers", (-1,))
    if np.any(numbers != np.round(numbers)) or np.any((numbers < 0) | (numbers >= len(chemical_symbols))):
        raise InputError(
            f"{where}: atomic numbers must be whole numbers from 0 to {len(chemical_symbols) - 1}."
        )
    count = len(numbers)
    positions = _array(entry.positions, f"{where}: positions", (count, 3))
    cell = None if entry.cell is None else _array(entry.cell, f"{where}: cell", (3, 3))
    if entry.pbc is None:
        pbc = np.full(3, cell is not None and bool(np.any(cell)))
    else:
        pbc = _array(entry.pbc, f"{where}: pbc", (3,)) != 0
    atoms = Atoms(numbers.astype(int), positions, cell=cell, pbc=pbc)
    results: dict[str, Any] = {}
    if entry.energy is not None:
        results["energy"] = float(_array(entry.energy, f"{where}: energy", (1,))[0])
    if entry.forces is not None:
        results["forces"] = _array(entry.forces, f"{where}: forces", (count, 3))
    if entry.stress is not None:
        results["stress"] = _stress(entry.stress, where)
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.info.update(entry.labels)
    return with_source(atoms, source)


def _stress(value: Any, where: str) -> np.ndarray:
    array = np.asarray(value, float)
    if array.size == 6:
        return array.reshape(6)
    matrix = _array(value, f"{where}: stress", (3, 3))
    if not np.allclose(matrix, matrix.T, rtol=1e-3, atol=1e-6):
        raise InputError(f"{where}: the stress is not symmetric; repair it.")
    return matrix[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def _array(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.asarray(value, float)
        if shape != (-1,) and array.size != np.prod(shape):
            raise ValueError
        return array.reshape(shape)
    except (TypeError, ValueError):
        wanted = "a list of numbers" if shape == (-1,) else f"numbers of shape {list(shape)}"
        raise InputError(f"{name}: expected {wanted}.") from None
