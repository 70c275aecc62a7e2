"""Pairs of atoms within a radius on an accelerator: all distances of a batch of small structures at once.

Structures are filled up to few shapes, and everything is compared with everything, images included: an
accelerator forms 10⁹ distances in the time in which a grid of cells is set up. Structures for which that
would be too many are left to `Search`.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.atoms.host_pair_search import NO_PAIRS, Search
from quests_jax.base.compiled_programs import jit
from quests_jax.base.padding import padded_size
from quests_jax.base.precision import follows_dtype
from quests_jax.base.step_sizes import here

FEWEST = 4  # atoms that a structure is filled up to


class Wrapped(NamedTuple):
    """A structure with its atoms inside of the cell, and the images that may be near."""

    inside: np.ndarray  # [n, 3] Å
    wraps: np.ndarray  # [n, 3] int, cells that each atom was moved by
    cell: np.ndarray  # [3, 3] Å, zero where it is not periodic
    images: np.ndarray  # [m, 3] int


@follows_dtype
def pairs_on_device(structures: Sequence[ase.Atoms], radii: np.ndarray) -> list[Sequence[np.ndarray]]:
    """What `Search.pairs` finds for each structure and its radius (Å), many structures at a time."""
    found: list[Sequence[np.ndarray]] = [NO_PAIRS] * len(structures)
    search, most = Search(), here().distances
    wrapped, alike = {}, defaultdict(list)
    for number, (atoms, radius) in enumerate(zip(structures, radii, strict=True)):
        if not len(atoms):
            continue
        reach = _reach(atoms, radius)
        shape = _power(max(len(atoms), FEWEST)), _power(int(np.prod(2 * reach + 1)))
        if shape[0] ** 2 * shape[1] > most:
            found[number] = search.pairs(atoms, radius)
            continue
        wrapped[number] = _wrapped(atoms, reach)
        alike[shape].append(number)
    for (n, m), numbers in alike.items():
        size = min(max(1, most // (n * n * m)), _power(len(numbers)))
        for start in range(0, len(numbers), size):
            part = numbers[start : start + size]
            places = _places([wrapped[number] for number in part], radii[part], size, n, m)
            for number, place in zip(part, places, strict=True):
                found[number] = _pairs(structures[number], wrapped[number], place, n, m)
    return found


def _reach(atoms: ase.Atoms, radius: float) -> np.ndarray:
    """Images on each side that may be within the radius, [3]; 0 along what is not periodic."""
    inverse = np.linalg.pinv(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0))
    return np.where(atoms.pbc, np.floor(radius * np.linalg.norm(inverse, axis=0)) + 1, 0).astype(int)


def _wrapped(atoms: ase.Atoms, reach: np.ndarray) -> Wrapped:
    cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    wraps = np.where(atoms.pbc, np.floor(atoms.positions @ np.linalg.pinv(cell)), 0).astype(int)
    images = itertools.product(*(range(-most, most + 1) for most in reach))
    return Wrapped(atoms.positions - wraps @ cell, wraps, cell, np.array(list(images), int))


def _places(parts: Sequence[Wrapped], radii: np.ndarray, size: int, n: int, m: int) -> list[np.ndarray]:
    """Places in [n, n, m] of the near pairs of each structure, in a batch of `size`."""
    inside, images = np.zeros((size, n, 3)), np.zeros((size, m, 3), np.int32)
    cells, reach = np.zeros((size, 3, 3)), np.zeros(size)
    counts = np.zeros((size, 2), np.int32)
    for number, part in enumerate(parts):
        inside[number, : len(part.inside)], images[number, : len(part.images)] = part.inside, part.images
        cells[number], reach[number] = part.cell, radii[number]
        counts[number] = len(part.inside), len(part.images)
    given = [jax.device_put(array) for array in (inside, images, cells, reach, counts)]
    number = np.asarray(_near(*given, capacity=0)[0])
    capacity = padded_size(max(int(number.max()), 1), smallest=64)
    listed = np.asarray(_near(*given, capacity=capacity)[1])
    return [listed[row, : number[row]] for row in range(len(parts))]


def _near_impl(
    inside: jax.Array,
    images: jax.Array,
    cells: jax.Array,
    reach: jax.Array,
    counts: jax.Array,
    *,
    capacity: int,
) -> tuple[jax.Array, jax.Array]:
    """How many pairs are near, [b], and the first `capacity` of them, [b, capacity]; each from one end."""

    def one(inside, images, cell, reach, count):
        n, m = len(inside), len(images)
        lattice = jnp.dot(images.astype(cell.dtype), cell, precision="highest")
        vector = (inside[None] - inside[:, None])[:, :, None] + lattice[None, None]
        i, j, image = (jax.lax.broadcasted_iota(jnp.int32, (n, n, m), axis) for axis in range(3))
        leading = jnp.where(images[:, 0] != 0, images[:, 0], jnp.where(images[:, 1] != 0, *images.T[1:]))
        once = (i < j) | ((i == j) & (leading > 0)[None, None])
        real = (i < count[0]) & (j < count[0]) & (image < count[1])
        near = (once & real & (jnp.sum(vector**2, axis=-1) < reach**2)).reshape(-1)
        number = jnp.sum(near, dtype=jnp.int32)
        if not capacity:
            return number, jnp.zeros(0, jnp.int32)
        return number, jnp.nonzero(near, size=capacity, fill_value=0)[0].astype(jnp.int32)

    return jax.vmap(one)(inside, images, cells, reach, counts)


_near = jit(_near_impl, static_argnames="capacity")


def _pairs(atoms: ase.Atoms, part: Wrapped, place: np.ndarray, n: int, m: int) -> Sequence[np.ndarray]:
    """Atoms, lattice shift, vector and distance of the pairs at these places."""
    i, j, image = np.unravel_index(place, (n, n, m))
    shift = part.images[image] + part.wraps[i] - part.wraps[j]
    vector = atoms.positions[j] - atoms.positions[i] + shift @ part.cell
    pair = np.stack([i, j], axis=1).astype(np.uintp)
    return pair, shift.astype(np.int32), vector, np.linalg.norm(vector, axis=1)


def _power(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << (n - 1).bit_length()
