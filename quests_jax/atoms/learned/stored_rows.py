"""Descriptors that exist already: a per-atom array of the structures, or a file of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np

from quests_jax.atoms.learned.protocol import Descriptor
from quests_jax.base.checks import InputError, check_matrix


def array_descriptor(key: str) -> Descriptor:
    """The per-atom array `key` of the structures, such as MACE_descriptors; one column becomes d = 1."""

    def describe(structures: Sequence[ase.Atoms]) -> Sequence[np.ndarray]:
        return [_column(atoms, key) for atoms in structures]

    return Descriptor(f"array:{key}", describe)


def file_descriptor(path: Path) -> Descriptor:
    """Rows of a .npz file (array x) or .npy file for all atoms of the data set, structure after structure."""
    rows = _rows(path)
    taken = 0

    def describe(structures: Sequence[ase.Atoms]) -> Sequence[np.ndarray]:
        nonlocal taken
        ends = taken + np.cumsum([len(atoms) for atoms in structures])
        if ends[-1] > len(rows):
            raise InputError(f"{path}: holds {len(rows)} rows, fewer than the structures have atoms.")
        parts = [rows[end - len(atoms) : end] for end, atoms in zip(ends, structures, strict=True)]
        taken = int(ends[-1]) % len(rows)  # the same data may be described again
        return parts

    return Descriptor(str(path), describe)


def _column(atoms: ase.Atoms, key: str) -> np.ndarray:
    values = atoms.arrays.get(key)
    if values is None and atoms.calc is not None:
        values = atoms.calc.results.get(key)
    if values is None or np.asarray(values).dtype.kind not in "fiub" or len(values) != len(atoms):
        has = ", ".join(sorted(atoms.arrays))
        raise InputError(f"a structure has no per-atom array {key} of numbers; it has {has}.")
    return np.asarray(values, float).reshape(len(atoms), -1)


def _rows(path: Path) -> np.ndarray:
    try:
        loaded = np.load(path)
        rows = loaded if isinstance(loaded, np.ndarray) else loaded["x"]
    except (OSError, ValueError, KeyError, EOFError):
        raise InputError(f"{path}: no .npy file, and no .npz file with an array x; check it.") from None
    check_matrix(str(path), rows)
    return np.asarray(rows, float)
