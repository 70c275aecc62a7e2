"""The QUESTS descriptor as loops over plain numbers: slow, obvious, and sharing no code with the package."""

from __future__ import annotations

import itertools
import math

import ase
import numpy as np

TIE = 5e-6  # Å; two distances nearer than this are one shell


def neighbor_vectors(atoms: ase.Atoms, i: int, cutoff: float) -> list[np.ndarray]:
    """Vectors from atom i to all atoms and images within the cutoff, itself excluded, nearest first."""
    found = []
    for j in range(len(atoms)):
        for shift in itertools.product(*image_ranges(atoms, i, j, cutoff)):
            vector = atoms.positions[j] - atoms.positions[i] + np.asarray(shift) @ atoms.cell.array
            if (j != i or any(shift)) and math.hypot(*vector) <= cutoff:
                found.append(vector)
    return sorted(found, key=lambda vector: math.hypot(*vector))


def image_ranges(atoms: ase.Atoms, i: int, j: int, cutoff: float) -> list[range]:
    """Along each cell vector, all shifts that can bring atom j within the cutoff of atom i.

    With the dual vectors b (b_p · a_q = δ_pq, in the span of the periodic a), a displacement v has the
    coordinate b · v, and |v| ≤ r_c allows |b · v| ≤ |b| r_c.
    """
    ranges = [range(1)] * 3
    periodic = np.flatnonzero(atoms.pbc)
    duals = np.linalg.pinv(atoms.cell.array[periodic]).T
    for axis, dual in zip(periodic, duals, strict=True):
        start = dual @ (atoms.positions[j] - atoms.positions[i])
        reach = math.hypot(*dual) * cutoff + 1e-9
        ranges[axis] = range(math.ceil(-start - reach), math.floor(-start + reach) + 1)
    return ranges


def row(atoms: ase.Atoms, i: int, k: int, cutoff: float) -> np.ndarray:
    """Descriptor of atom i."""
    vectors = neighbor_vectors(atoms, i, cutoff)
    distances = [math.hypot(*vector) for vector in vectors]
    if len(vectors) > k and distances[k] <= distances[k - 1] + TIE:
        return shared_row(vectors, distances, k, cutoff)
    return plain_row(vectors[:k], k, cutoff)


def rows(atoms: ase.Atoms, k: int, cutoff: float) -> np.ndarray:
    return np.array([row(atoms, i, k, cutoff) for i in range(len(atoms))])


def weight(r: float, cutoff: float) -> float:
    return (1 - (r / cutoff) ** 2) ** 2 if r <= cutoff else 0.0


def plain_row(vectors: list[np.ndarray], k: int, cutoff: float) -> np.ndarray:
    """X1 and X2 of at most k neighbors, nearest first; a missing neighbor adds zero."""
    w = [weight(math.hypot(*vector), cutoff) for vector in vectors]
    radial, cross = [0.0] * k, [0.0] * (k - 1)
    for j, vector in enumerate(vectors):
        radial[j] = w[j] / math.hypot(*vector)
        others = [
            math.sqrt(w[j] * w[m]) / math.dist(vector, vectors[m]) for m in range(len(vectors)) if m != j
        ]
        for place, value in enumerate(sorted(others, reverse=True)):
            cross[place] += value / k
    return np.array(radial + cross)


def shared_row(vectors: list[np.ndarray], distances: list[float], k: int, cutoff: float) -> np.ndarray:
    """The same where the last places are shared by more atoms of one shell than there are places.

    p places for m atoms: each is there p/m of the time and, while another one is, (p − 1)/(m − 1). Every
    value is written down as often as its share says, in units of 1/m (or 1/(m − 1)); the sorted list is
    then cut into equal parts, one for each place, and each part averaged.
    """
    inner = [j for j, r in enumerate(distances) if r < distances[k - 1] - TIE]
    shell = [j for j, r in enumerate(distances) if abs(r - distances[k - 1]) <= TIE]
    p, m = k - len(inner), len(shell)
    w = [weight(r, cutoff) for r in distances]

    def value(j: int, other: int) -> float:
        return math.sqrt(w[j] * w[other]) / math.dist(vectors[j], vectors[other])

    cross = np.zeros(k - 1)
    for j in inner:
        copies = [value(j, o) for o in inner if o != j] * m + [value(j, o) for o in shell] * p
        cross += places(copies, k - 1) / k
    for j in shell:
        copies = [value(j, o) for o in inner] * (m - 1) + [value(j, o) for o in shell if o != j] * (p - 1)
        cross += places(copies, k - 1) * (p / m) / k
    copies = [w[j] / distances[j] for j in inner] * m + [w[j] / distances[j] for j in shell] * p
    return np.concatenate([places(copies, k), cross])


def places(copies: list[float], n_places: int) -> np.ndarray:
    return np.sort(copies)[::-1].reshape(n_places, -1).mean(axis=1)
