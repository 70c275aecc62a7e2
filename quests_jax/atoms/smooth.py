"""A descriptor without jumps: the cutoff of each environment is the distance of its first neighbor left out.

The QUESTS descriptor jumps where neighbors k and k + 1 swap, because the list changes while the weight of its
last member does not vanish. Here the weight falls to zero at the first neighbor that is left out,

    √w(r) = 1 − (r/R)²  for r ≤ R, else 0,    R = min(r_c, r_{k+1}),

and everything else is as in `quests_descriptor`. Values are continuous in positions and cell; derivatives are
not where distances swap ranks, or at R. Ties need no care: a neighbor at r_{k+1} has zero weight. The numbers
differ from those of QUESTS, so both sides of a comparison must be described this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.atoms.describe import in_runs
from quests_jax.atoms.descriptor_batches import describe_rows, from_terms
from quests_jax.atoms.descriptors import descriptor_of_terms, unsorted_terms
from quests_jax.atoms.neighbors import Neighbors, displacements, find_pairs, nearest
from quests_jax.atoms.validation import validate
from quests_jax.base.checks import InputError, check_count, check_positive
from quests_jax.base.defaults import DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.numerics import safe_sqrt
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance


@follows_dtype
def smooth_descriptor(vectors: jax.Array, *, cutoff: float) -> jax.Array:
    """Descriptor of one environment whose weights vanish at its neighbor k + 1.

    Args:
      vectors: displacements to the k + 1 nearest neighbors by distance, shape [k + 1, 3], in Å; zero for a
        neighbor that does not exist.
      cutoff: r_c in Å.

    Returns:
      Shape [2k − 1], in Å⁻¹.
    """
    return descriptor_of_terms(*_terms(vectors, cutoff=cutoff))


@follows_dtype
@partial(jax.jit, static_argnames=("k", "cutoff"))
def smooth_descriptors(
    positions: ArrayLike,
    cell: ArrayLike,
    neighbors: Neighbors,
    *,
    k: int = DEFAULT_K,
    cutoff: float | None = None,
) -> jax.Array:
    """Smooth descriptors of all atoms of one structure, differentiable in `positions` and `cell`.

    Args:
      positions: shape [n, 3], in Å.
      cell: lattice vectors as rows, shape [3, 3], in Å.
      neighbors: candidates, from `find_neighbors` with at least k + 1 neighbors and this cutoff. They are put
        in order here: if more are found within a larger cutoff, the list holds while atoms move.
      k: number of neighbors.
      cutoff: in Å, that of the search for neighbors where not given, and no larger.

    Returns:
      Shape [n, 2k − 1], in Å⁻¹; NaN for the atoms that have a candidate whose position is not a number.

    Raises:
      InputError: fewer candidates than k + 1, or a cutoff larger than that of the search.

    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> atoms = qj.read(bundled())[0]
    >>> from quests_jax.atoms import find_neighbors, smooth_descriptors
    >>> near = find_neighbors(atoms, k=9, cutoff=4.0)  # one more than is described
    >>> smooth_descriptors(atoms.positions, atoms.cell.array, near, k=8, cutoff=4.0).shape[1]
    15
    """
    cutoff = neighbors.within(cutoff)
    if neighbors.k <= k:
        raise InputError(f"neighbors: {neighbors.k} candidates are too few; find {k + 1} or more.")
    vectors = displacements(positions, cell, neighbors)
    squared = jnp.sum(vectors**2, axis=-1)
    order = jnp.argsort(jnp.where(neighbors.occupation > 0, squared, jnp.inf), axis=1)[:, : k + 1]
    ordered = jnp.take_along_axis(vectors, order[..., None], axis=1)
    unknown = jnp.any(jnp.isnan(squared), axis=1, keepdims=True)  # sorted last, and so left out
    return jnp.where(unknown, jnp.nan, jax.vmap(partial(smooth_descriptor, cutoff=cutoff))(ordered))


@follows_dtype
def get_smooth_descriptors(
    structures: Sequence[ase.Atoms], *, k: int = DEFAULT_K, cutoff: float = DEFAULT_CUTOFF
) -> np.ndarray:
    """Smooth descriptors of all environments of a data set, shape [n, 2k − 1], in Å⁻¹.

    Raises `InputError` as `get_descriptors` does.

    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> atoms = qj.read(bundled())[0]
    >>> from quests_jax.atoms import get_smooth_descriptors
    >>> get_smooth_descriptors([atoms], k=8, cutoff=4.0).shape == (len(atoms), 15)
    True
    """
    k, cutoff = check_count("k", k, minimum=2), check_positive("cutoff", cutoff)
    validate(structures)
    x = np.empty((sum(map(len, structures)), 2 * k - 1))
    done = 0

    def describe(structures: Sequence[ase.Atoms], first: int) -> np.ndarray:
        return describe_rows(_program, k, cutoff, _nearest_vectors(structures, first, k + 1, cutoff))

    for block in in_runs(structures, describe):
        x[done : done + len(block)] = block
        done += len(block)
        advance("descriptors", done, len(x))
    return x


@partial(jax.jit, static_argnames=("k", "cutoff"))
def _program(count: ArrayLike, vectors: jax.Array, *, k: int, cutoff: float) -> jax.Array:
    del k
    return from_terms(partial(_terms, cutoff=cutoff), count, vectors)


def _terms(vectors: jax.Array, *, cutoff: float) -> tuple[jax.Array, jax.Array]:
    last = safe_sqrt(jnp.sum(vectors[-1] ** 2))
    radius = jnp.where(last > 0, jnp.minimum(last, cutoff), cutoff)
    return unsorted_terms(vectors[:-1], cutoff=radius)


def _nearest_vectors(structures: Sequence[ase.Atoms], first: int, size: int, cutoff: float) -> np.ndarray:
    """Vectors to the `size` nearest neighbors, shape [n, size, 3]; of a tied shell, any that fit."""
    pairs = find_pairs(structures, cutoff=cutoff, first=first, k=size)
    vectors = np.zeros((pairs.n_atoms, size, 3))
    for table in nearest(pairs, k=size):
        if len(pairs.vector):
            kept = pairs.vector[table.pair] * (table.occupation > 0)[..., None]
            vectors[table.atoms] = kept[:, :size]
    return vectors
