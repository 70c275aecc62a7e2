"""Pairs of atoms within a radius: by vesin, or by a tree where its grid of cells would be nearly empty.

vesin divides the box that holds a structure into cells as wide as the radius. One stray atom, or a cell much
larger than what is in it, makes a grid of millions of cells for a few atoms; the tree does not see the box.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

import ase
import numpy as np

SPARSE = 1000  # cells of the grid that any structure may have
CELLS = 30  # cells of the grid per atom beyond which a structure counts as sparse
NO_PAIRS = (np.zeros((0, 2), np.uintp), np.zeros((0, 3), np.int32), np.zeros((0, 3)), np.zeros(0))

_loading = threading.Lock()


class Search:
    """Finds each pair from one of its ends: atoms [p, 2], lattice shift, vector and distance (Å)."""

    def __init__(self) -> None:
        import vesin

        with _loading:  # the first call sets up its library, which a second thread would meet half set up
            self._vesin = vesin.NeighborList(cutoff=1.0, full_list=False)

    def pairs(self, atoms: ase.Atoms, radius: float) -> Sequence[np.ndarray]:
        """All pairs closer than `radius`, images included."""
        if len(atoms) == 0:
            return NO_PAIRS
        if is_sparse(atoms, radius):
            return sparse_pairs(atoms, radius)
        self._vesin.cutoff = float(radius)
        cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
        return self._vesin.compute(atoms.positions, cell, atoms.pbc, "PSDd")


def is_sparse(atoms: ase.Atoms, radius: float) -> bool:
    """Whether cells as wide as `radius` in the box that holds a structure are far more than its atoms."""
    most = SPARSE + CELLS * len(atoms)
    periodic = atoms.cell.array[atoms.pbc]
    longest = np.linalg.norm(np.ptp(atoms.positions, axis=0))
    lengths = np.append(np.linalg.norm(periodic, axis=1), np.full(3 - len(periodic), longest))
    if np.prod(np.maximum(lengths / radius, 1.0)) <= most:  # never below the number that follows
        return False
    across = np.linalg.svd(periodic)[2][len(periodic) :] if len(periodic) else np.eye(3)
    lengths = np.append(_heights(periodic), np.ptp(atoms.positions @ across.T, axis=0))
    return bool(np.prod(np.maximum(lengths / radius, 1.0)) > most)


def sparse_pairs(atoms: ase.Atoms, radius: float) -> Sequence[np.ndarray]:
    """What `Search.pairs` finds, by a tree of the atoms and of the images near them."""
    from scipy.spatial import KDTree

    periodic = atoms.cell.array[atoms.pbc]  # [q, 3]
    fraction = atoms.positions @ np.linalg.pinv(periodic)  # [n, q]
    wrapped = np.floor(fraction).astype(int)
    inside = atoms.positions - wrapped @ periodic
    owner, shift, position = _images(fraction - wrapped, inside, periodic, radius)
    near = KDTree(position).query_ball_point(inside, radius)
    i = np.repeat(np.arange(len(atoms)), [len(own) for own in near])
    image = np.concatenate([np.asarray(own, int) for own in near])
    j = owner[image]
    between = np.zeros((len(i), 3), np.int32)
    between[:, atoms.pbc] = shift[image] + wrapped[i] - wrapped[j]
    first = np.take_along_axis(between, np.argmax(between != 0, axis=1)[:, None], axis=1)[:, 0]
    once = (i < j) | ((i == j) & (first > 0))  # each pair is found from both of its ends
    i, j, between = i[once], j[once], between[once]
    vector = atoms.positions[j] - atoms.positions[i] + between @ atoms.cell.array
    return np.stack([i, j], axis=1).astype(np.uintp), between, vector, np.linalg.norm(vector, axis=1)


def _images(
    fraction: np.ndarray, inside: np.ndarray, periodic: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atoms [m], lattice shifts [m, q] and positions [m, 3] of all images within `radius` of the box."""
    margin = radius / _heights(periodic)
    found = []
    for steps in itertools.product(*(range(-int(m) - 1, int(m) + 2) for m in margin)):
        shift = np.array(steps, int)
        place = fraction + shift
        near = np.flatnonzero(((place >= -margin) & (place < 1 + margin)).all(axis=1))
        found.append((near, np.tile(shift, (len(near), 1)), inside[near] + shift @ periodic))
    owner, shift, position = (np.concatenate(column) for column in zip(*found, strict=True))
    return owner, shift, position


def _heights(periodic: np.ndarray) -> np.ndarray:
    """Distance between opposite faces along each vector [q, 3], within the space that those span."""
    return 1 / np.linalg.norm(np.linalg.pinv(periodic), axis=0)
