"""Atoms that are close to each other: the shortest distances in covalent radii, and atoms moved apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np
from ase.data import covalent_radii

from quests_jax.atoms.host_pair_search import Search
from quests_jax.atoms.neighbors import find_pairs

REACH = 1.2  # sums of covalent radii within which the shortest distance is sought
BOND = (0.7, 1.3)  # sums of covalent radii between which two atoms are bonded
ROUNDS = 300  # of moving atoms apart
MARGIN = 1e-4  # by which atoms are moved further apart than needed, relative to the distance needed


class Contacts(NamedTuple):
    """The pair of atoms of each structure that is closest in sums of covalent radii."""

    ratio: np.ndarray  # [S] distance over the sum of the radii; inf if no two atoms are near
    distance: np.ndarray  # [S] Å
    atoms: np.ndarray  # [S, 2]


def closest_contacts(structures: Sequence[ase.Atoms]) -> Contacts:
    """Find the closest pair of atoms of each structure, in covalent radii [cordero:08, as in ASE].

    Args:
      structures: with positions and cells that are finite.

    Returns:
      `Contacts`; a ratio of 1 is a typical bond, one below 0.5 hardly occurs.

    >>> from ase import Atoms
    >>> found = closest_contacts([Atoms("H2", [(0, 0, 0), (0, 0, 0.62)]), Atoms("H")])
    >>> found.ratio
    array([ 1., inf])
    """
    search = Search()
    ratio = np.full(len(structures), np.inf)
    distance = np.full(len(structures), np.inf)
    pair = np.zeros((len(structures), 2), int)
    for number, atoms in enumerate(structures):
        radii = covalent_radii[atoms.numbers]
        pairs, _, _, lengths = search.pairs(atoms, 2 * REACH * radii.max(initial=0.1))
        if len(lengths):
            ratios = lengths / radii[pairs.astype(int)].sum(axis=1)
            best = int(ratios.argmin())
            ratio[number] = ratios[best]
            distance[number] = lengths[best]
            pair[number] = np.sort(pairs[best])
    return Contacts(ratio, distance, pair)


def bonded_across(atoms: ase.Atoms) -> np.ndarray:
    """Share of the atoms that periodicity would bond across the borders of each cell vector, shape [3].

    0 along vectors that are periodic already. The cell must have a volume.
    """
    whole = atoms.copy()
    whole.pbc = True
    radii = covalent_radii[atoms.numbers]
    pair, shift, _, length = Search().pairs(whole, 2 * BOND[1] * radii.max())
    pair = pair.astype(int)
    ratio = length / radii[pair].sum(axis=1)
    bonded = (ratio > BOND[0]) & (ratio < BOND[1])
    share = np.zeros(3)
    for axis in np.flatnonzero(~atoms.pbc):
        share[axis] = len(np.unique(pair[bonded & (shift[:, axis] != 0)])) / len(atoms)
    return share


def separated(atoms: ase.Atoms, closest: float) -> np.ndarray | None:
    """Positions with atoms closer than `closest` (Å) moved apart along their line, until there are none.

    Returns:
      Shape [n, 3]; None if atoms are still too close after `ROUNDS` rounds, as in a cell that is too small.
    """
    atoms = atoms.copy()
    for _ in range(ROUNDS):
        pairs = find_pairs([atoms], cutoff=closest)
        if not len(pairs.distance):
            return atoms.positions
        missing = closest * (1 + MARGIN) - pairs.distance
        apart = -0.5 * (missing / pairs.distance)[:, None] * pairs.vector
        np.add.at(atoms.positions, pairs.center, apart)  # each pair is listed from both of its ends
    return None
