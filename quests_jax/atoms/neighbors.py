"""The k nearest neighbors of every atom, for any cell and any periodicity.

Ties. When neighbors k and k+1 are equally far (within `TIE_TOLERANCE`), "the k nearest" is not defined,
and whichever atom is dropped, the descriptor depends on the order of the atoms. Here nobody is dropped:
all atoms of that shell are kept, each with the *occupation* (places left) / (atoms in the shell), so
that occupations sum to k. Everywhere else occupations are 1, and 0 for padding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.atoms.device_pair_search import pairs_on_device
from quests_jax.atoms.host_pair_search import NO_PAIRS, Search
from quests_jax.base.checks import FlawedStructure, InputError, check_count, check_positive
from quests_jax.base.defaults import DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.padding import padded_size
from quests_jax.base.precision import follows_dtype
from quests_jax.base.step_sizes import here

# Files keep six decimals: two distances that were equal differ by up to 2√3·1e-6 Å after rounding.
TIE_TOLERANCE = 5e-6  # Å
CLOSEST_APPROACH = 1e-3  # Å; two atoms nearer than this are taken for one atom written twice

SPARE = 1.5  # times k atoms that the first search of a dense structure reaches for

BLOCK = 4096  # atoms whose neighbors are sorted side by side


class Pairs(NamedTuple):
    """Pairs of atoms of a run of structures, each from both of its ends, atoms numbered through."""

    center: np.ndarray  # [P] int64
    neighbor: np.ndarray  # [P] int64
    shift: np.ndarray  # [P, 3] int32, lattice image of the neighbor
    vector: np.ndarray  # [P, 3] float64, Å, neighbor minus center
    distance: np.ndarray  # [P] float64, Å
    n_atoms: int


class Nearest(NamedTuple):
    """For each atom, rows of `Pairs` in order of distance; one row per atom in `atoms`."""

    atoms: np.ndarray  # [a] int64
    pair: np.ndarray  # [a, K] int64, 0 where the occupation is 0
    occupation: np.ndarray  # [a, K] float64


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Neighbors:
    """Nearest neighbors as integers, which stay valid while positions and cell are differentiated.

    >>> from ase.build import bulk
    >>> from quests_jax.atoms import find_neighbors
    >>> near = find_neighbors(bulk("Cu", cubic=True), k=4, cutoff=3.0)
    >>> near.k, near.cutoff, near.within(2.7)
    (4, 3.0, 2.7)
    """

    index: jax.Array  # [n, K] int32
    shift: jax.Array  # [n, K, 3] int32
    occupation: jax.Array  # [n, K] float64
    k: int = dataclasses.field(metadata={"static": True})  # what the occupations of a full row sum to
    cutoff: float = dataclasses.field(metadata={"static": True})  # Å, within which they were found

    def within(self, cutoff: float | None) -> float:
        """The cutoff to describe by: that of the search where none is given.

        Raises `InputError` for a larger one, within which there may be more neighbors than were found.
        """
        if cutoff is None:
            return self.cutoff
        if check_positive("cutoff", cutoff) > self.cutoff:
            raise InputError(
                f"neighbors were found within {self.cutoff:g} Å, which is less than the cutoff {cutoff:g} Å; "
                f"use find_neighbors(..., cutoff={cutoff:g})."
            )
        return float(cutoff)


# --- on the host: NumPy, shapes are chosen here ---------------------------------------------


def find_pairs(
    structures: Sequence[ase.Atoms], *, cutoff: float, first: int = 0, k: int | None = None
) -> Pairs:
    """All pairs of atoms closer than `cutoff` (Å) in each structure, images included.

    With `k`, pairs that do not matter to the `k` nearest neighbors (see `nearest`) may be left out, which
    is faster in dense structures. `first` is the number of the first structure, for messages. Raises
    `InputError` where two atoms are closer than `CLOSEST_APPROACH`.
    """
    search = Search()
    reach = np.full(len(structures), cutoff) if k is None else _reach(structures, k, cutoff)
    if here().distances:
        found = pairs_on_device(structures, reach)
    else:
        found = [search.pairs(atoms, radius) for atoms, radius in zip(structures, reach, strict=True)]
    counts = np.array([len(atoms) for atoms in structures], int)
    pairs = _together(counts, found, first)
    if k is not None:
        short = _short(counts, reach, cutoff, pairs, k)
        for number in short:
            found[number] = search.pairs(structures[number], cutoff)
        pairs = _together(counts, found, first) if len(short) else pairs
    return pairs


def only(pairs: Pairs, keep: np.ndarray) -> Pairs:
    """The pairs where `keep` [P] is true."""
    return Pairs(*(column[keep] for column in pairs[:-1]), n_atoms=pairs.n_atoms)


def nearest(pairs: Pairs, *, k: int) -> tuple[Nearest, Nearest]:
    """Split atoms into those whose k nearest neighbors are defined and those with a tie at the k-th.

    Returns:
      The first has K = k; the second (empty as a rule) is wide enough for the whole tied shell.
    """
    count = np.bincount(pairs.center, minlength=pairs.n_atoms)
    start = np.cumsum(count) - count
    digits = np.uint16 if pairs.n_atoms <= 1 << 16 else np.int64  # NumPy sorts the former by their digits
    by_center = np.append(np.argsort(pairs.center.astype(digits), kind="stable"), 0)
    length = np.append(pairs.distance, 0.0)  # 0 is for places without a neighbor, as in by_center

    def rows(block: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of each atom by distance, those that count, [b, K], and whether neighbors k and k + 1 tie."""
        column = np.arange(max(k + 1, count[block].max(initial=0)))
        there = column < count[block, None]
        pair = by_center[np.where(there, start[block, None] + column, -1)]
        distance = np.where(there, length[pair], np.inf)
        # NumPy sorts many short rows ten times faster than one long row.
        order = np.argsort(distance, axis=1)
        pair, distance = (np.take_along_axis(values, order, axis=1) for values in (pair, distance))
        reach = distance[:, k - 1] + TIE_TOLERANCE
        tied = np.isfinite(distance[:, k]) & (distance[:, k] <= reach)
        inside = np.isfinite(distance) & (distance <= reach[:, None]) & (tied[:, None] | (column < k))
        widest = max(k, inside.sum(axis=1).max(initial=0))
        return pair[:, :widest], inside[:, :widest], tied

    # A block at a time, because one dense place would make the rows of all atoms long.
    blocks = [rows(slice(first, first + BLOCK)) for first in range(0, pairs.n_atoms, BLOCK)]
    widest = max((inside[tied].sum(axis=1).max(initial=1) for _, inside, tied in blocks), default=1)
    plain = _table([(pair, inside, ~tied) for pair, inside, tied in blocks], k)
    shared = _table(blocks, padded_size(int(widest), smallest=40))
    return plain, shared._replace(occupation=_share(shared, pairs.distance, k))


@follows_dtype
def find_neighbors(atoms: ase.Atoms, *, k: int = DEFAULT_K, cutoff: float = DEFAULT_CUTOFF) -> Neighbors:
    """Nearest neighbors of one structure; all tied shells are kept, hence K ≥ k columns.

    Raises `InputError` for coincident atoms or parameters that are not positive.

    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> atoms = qj.read(bundled())[0]
    >>> from quests_jax.atoms import find_neighbors
    >>> find_neighbors(atoms, k=4, cutoff=3.0).index.shape[0] == len(atoms)
    True
    """
    k, cutoff = check_count("k", k, minimum=2), check_positive("cutoff", cutoff)
    pairs = find_pairs([atoms], cutoff=cutoff, k=k)
    tables = nearest(pairs, k=k)
    width = max(k, tables[1].pair.shape[1] if len(tables[1].atoms) else 0)
    pair, occupation = np.zeros((len(atoms), width), int), np.zeros((len(atoms), width))
    for table in tables:
        columns = min(width, table.pair.shape[1])
        pair[table.atoms, :columns] = table.pair[:, :columns]
        occupation[table.atoms, :columns] = table.occupation[:, :columns]
    index = pairs.neighbor[pair] if len(pairs.neighbor) else pair
    shift = pairs.shift[pair] if len(pairs.neighbor) else np.zeros((*pair.shape, 3), np.int32)
    places = jnp.asarray(index, jnp.int32), jnp.asarray(shift, jnp.int32), jnp.asarray(occupation)
    return Neighbors(*places, k, cutoff)


# --- on the device: pure, differentiable in positions and cell ----------------------------------------


@follows_dtype
def displacements(positions: ArrayLike, cell: ArrayLike, neighbors: Neighbors) -> jax.Array:
    """Vectors from each atom to its neighbors, R_j − R_i + shift · cell, in Å.

    Args:
      positions: shape [n, 3], Å.
      cell: rows are lattice vectors (ASE), shape [3, 3], Å.
      neighbors: the result of `find_neighbors`.

    Returns:
      Shape [n, K, 3]; exactly zero where the occupation is 0.

    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> atoms = qj.read(bundled())[0]
    >>> import numpy as np
    >>> from quests_jax.atoms import displacements, find_neighbors
    >>> near = find_neighbors(atoms, k=4, cutoff=3.0)
    >>> r = np.linalg.norm(displacements(atoms.positions, atoms.cell.array, near), axis=-1)
    >>> bool((abs(r[:, :4] - 2.35) < 0.3).all())  # Å, of nearest neighbors in silicon
    True
    """
    positions, cell = jnp.asarray(positions), jnp.asarray(cell)
    vectors = positions[neighbors.index] - positions[:, None, :]
    vectors = vectors + jnp.dot(neighbors.shift.astype(cell.dtype), cell, precision="highest")
    return jnp.where(neighbors.occupation[..., None] > 0, vectors, jnp.zeros_like(vectors))


def _reach(structures: Sequence[ase.Atoms], k: int, cutoff: float) -> np.ndarray:
    """Radius of the sphere with `SPARE` · k atoms at the density of each structure, at most `cutoff`."""
    periodic = np.array([atoms.pbc.all() for atoms in structures], bool)
    cells = np.array([atoms.cell.array for atoms in structures]).reshape(-1, 3, 3)
    counts = np.maximum([len(atoms) for atoms in structures], 1)
    volume = np.where(periodic, np.abs(np.linalg.det(cells)), np.inf) / counts
    return np.minimum(np.cbrt(3 / (4 * np.pi) * SPARE * k * volume), cutoff)


def _short(counts: np.ndarray, reach: np.ndarray, cutoff: float, pairs: Pairs, k: int) -> np.ndarray:
    """Structures where an atom has fewer than k neighbors surely within a reach that is below the cutoff.

    k neighbors nearer than the reach by more than the tolerance: all that tie with them are within it.
    """
    if (reach == cutoff).all():
        return np.zeros(0, int)
    structure = np.repeat(np.arange(len(counts)), counts)
    inside = pairs.distance < reach[structure[pairs.center]] - 2 * TIE_TOLERANCE
    count = np.bincount(pairs.center[inside], minlength=pairs.n_atoms)
    return np.unique(structure[(count < k) & (reach[structure] < cutoff)])


def _refuse(found: Sequence[Sequence[np.ndarray]], first: int) -> NoReturn:
    """Name the closest pair of the first structure in which atoms coincide."""
    closest = [distance.min(initial=np.inf) for *_, distance in found]
    number = next(number for number, distance in enumerate(closest) if distance < CLOSEST_APPROACH)
    i, j = sorted(found[number][0][found[number][-1].argmin()])
    raise FlawedStructure(
        first + number,
        f", atoms {i} and {j}: {closest[number]:.2g} Å apart, so they coincide; remove one of them.",
    )


def _together(counts: np.ndarray, found: Sequence[Sequence[np.ndarray]], first: int) -> Pairs:
    """Pairs of structures of so many atoms from both of their ends, atoms numbered through."""
    length = [len(distance) for *_, distance in found]
    pair, shift, vector, distance = (np.concatenate(column) for column in zip(NO_PAIRS, *found, strict=True))
    if len(distance) and distance.min() < CLOSEST_APPROACH:
        _refuse(found, first)
    offset = np.cumsum(counts) - counts
    i, j = pair.astype(np.int64).T + np.repeat(offset, length)
    return Pairs(
        np.concatenate([i, j]),
        np.concatenate([j, i]),
        np.concatenate([shift, -shift]),
        np.concatenate([vector, -vector]),
        np.concatenate([distance, distance]),
        n_atoms=int(counts.sum()),
    )


def _table(blocks: Sequence[tuple[np.ndarray, ...]], width: int) -> Nearest:
    """The chosen rows of all blocks: pairs and whether they count, [b, K], and which rows are chosen, [b]."""
    atoms = np.flatnonzero(np.concatenate([np.zeros(0, bool), *(chosen for *_, chosen in blocks)]))
    table = Nearest(atoms, np.zeros((len(atoms), width), np.int64), np.zeros((len(atoms), width)))
    first = 0
    for pair, inside, chosen in blocks:
        kept = inside[chosen, :width]
        place = slice(first, first + len(kept)), slice(0, kept.shape[1])
        table.pair[place] = np.where(kept, pair[chosen, :width], 0)
        table.occupation[place] = kept
        first += len(kept)
    return table


def _share(table: Nearest, distance: np.ndarray, k: int) -> np.ndarray:
    if not len(table.atoms):
        return table.occupation
    inside = table.occupation > 0
    in_shell = inside & (distance[table.pair] >= distance[table.pair[:, k - 1 : k]] - TIE_TOLERANCE)
    places = k - (inside & ~in_shell).sum(axis=1)
    return np.where(in_shell, (places / in_shell.sum(axis=1))[:, None], table.occupation)
