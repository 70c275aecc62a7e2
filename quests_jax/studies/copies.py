"""Structures that a data set holds more than once, whatever their orientation, origin or order of atoms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import ase
import numpy as np
from scipy.spatial import KDTree

from quests_jax.atoms.copy_fingerprints import fingerprints

EXACT = 5e-4  # Å; files with four digits keep copies this close


def find_copies(structures: Sequence[ase.Atoms], *, tolerance: float = EXACT) -> np.ndarray:
    """Number of the first structure that each structure is a copy of; its own where it is the first.

    Copies have the same elements, periodicity and volume, and fingerprints (see `fingerprints`) that agree
    atom by atom: rotated, reflected and shifted copies, permuted atoms and other cells of the same crystal
    count. A structure is compared with those that are no copies themselves, so chains of small steps are not
    followed.

    Args:
      structures: with positions and cells that are finite.
      tolerance: about how far atoms may have moved, in Å; more than `EXACT` finds near copies.

    Returns:
      Shape [S].

    >>> from ase import Atoms
    >>> one = Atoms("CO", [(0, 0, 0), (0, 0, 1.1)])
    >>> other = Atoms("OC", [(2, 0, 0), (3.1, 0, 0)])
    >>> find_copies([one, Atoms("CO", [(0, 0, 0), (0, 0, 1.2)]), other])
    array([0, 1, 0])
    """
    first = np.arange(len(structures))
    alike = defaultdict(list)
    for number, atoms in enumerate(structures):
        alike[_kind(atoms)].append(number)
    for numbers in alike.values():
        if len(numbers) > 1:
            group = [structures[i] for i in numbers]
            first[numbers] = np.array(numbers)[_first_of_each(group, max(tolerance, EXACT))]
    return first


def _kind(atoms: ase.Atoms) -> tuple:
    return tuple(np.sort(atoms.numbers)), tuple(atoms.pbc)


def _first_of_each(structures: Sequence[ase.Atoms], tolerance: float) -> np.ndarray:
    """`find_copies` of structures with the same atoms."""
    numbers = [np.sort(atoms.numbers) for atoms in structures]
    rows = []
    for atoms, values in zip(structures, fingerprints(structures), strict=True):
        own = [np.sort(values[atoms.numbers == element], axis=0) for element in np.unique(numbers[0])]
        rows.append(np.concatenate(own).ravel() if own else np.zeros(0))
    table = np.array(rows)
    means = table.reshape(len(table), len(numbers[0]), -1).mean(axis=1) if table.size else table[:, :0]
    volumes = np.array([abs(atoms.cell.volume) if atoms.pbc.all() else 1.0 for atoms in structures])
    near = defaultdict(list)
    if means.shape[1]:
        for i, j in KDTree(means).query_pairs(tolerance, p=np.inf, output_type="ndarray"):
            near[int(max(i, j))].append(int(min(i, j)))
    else:
        near = {j: list(range(j)) for j in range(len(structures))}
    first = np.arange(len(structures))
    slack = max(1e-3, tolerance)
    for j in sorted(near):
        for i in sorted(near[j]):
            same_volume = abs(volumes[i] - volumes[j]) <= slack * volumes[i]
            if first[i] == i and same_volume and np.abs(table[i] - table[j]).max(initial=0) <= tolerance:
                first[j] = i
                break
    return first
