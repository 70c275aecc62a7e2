"""The QUESTS descriptor: displacement vectors of one environment in, one row out. Everything is pure.

Indices: i the central atom, j and l its neighbors, both 1..k in order of distance; r_c the cutoff.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from quests_jax.atoms.neighbors import Neighbors, displacements
from quests_jax.base.numerics import safe_reciprocal, safe_sqrt
from quests_jax.base.precision import follows_dtype

UNROLL = 4  # steps of a scan in one; three times faster than one or eight at a time


@follows_dtype
def quests_descriptor(
    vectors: jax.Array, *, cutoff: float | jax.Array, weights: jax.Array | None = None
) -> jax.Array:
    """Descriptor X = [X1, X2] of one environment, [schwalbe-koda:25, (1) and (2)].

        √w(r) = 1 − (r/r_c)²  for r ≤ r_c, else 0
        X1_j  = w(r_j) / r_j
        X2_l  = (1/k) Σ_j sortdesc_l [ √(w(r_j) w(r_l)) / r_jl ],   l = 1..k−1

    Each row j of the cross term is sorted in descending order and loses its diagonal zero. The X1 part
    is continuous in the positions; X2 jumps where neighbors k and k+1 swap inside the cutoff, and has a
    kink at the cutoff. With weights, w(r_j) is read as p_j w(r_j), and X1 is sorted too.

    Args:
      vectors: displacements to the k nearest neighbors by distance, shape [k, 3], in Å; zero for a
        neighbor that does not exist.
      cutoff: r_c in Å.
      weights: p_j ≥ 0, how much each neighbor counts, shape [k]; 1 where not given.

    Returns:
      Shape [2k − 1], in Å⁻¹.

    >>> import jax.numpy as jnp
    >>> vectors = jnp.asarray([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])  # Å, to two neighbors
    >>> quests_descriptor(vectors, cutoff=4.0).shape
    (3,)
    """
    return descriptor_of_terms(*unsorted_terms(vectors, cutoff=cutoff, weights=weights))


def unsorted_terms(
    vectors: jax.Array, *, cutoff: float | jax.Array, weights: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """w(r_j) / r_j, shape [k], and √(w(r_j) w(r_l)) / r_jl, shape [k, k], of `quests_descriptor`.

    Neighbors come in order of distance, so the first is in descending order; with weights it is sorted here.
    """
    root_weight, distance = _root_weight(vectors, cutoff, weights)
    radial = root_weight**2 * safe_reciprocal(distance)
    return radial if weights is None else sort_descending(radial), _cross(vectors, root_weight)


def descriptor_of_terms(radial: jax.Array, cross: jax.Array) -> jax.Array:
    """[X1, X2] of `quests_descriptor`, shape [2k − 1], from its terms, [k] and [k, k]."""
    return jnp.concatenate([radial, mean_of_sorted(cross)])


def mean_of_sorted(cross: jax.Array) -> jax.Array:
    """X2 of `quests_descriptor`, shape [k − 1, ...], from the symmetric cross terms, shape [k, ..., k]."""
    k = len(cross)
    return jnp.dot(sort_descending(cross)[: k - 1], jnp.full(k, 1 / k, cross.dtype), precision="highest")


def shared_descriptor(
    vectors: jax.Array, occupation: jax.Array, *, k: int, cutoff: float, weights: jax.Array | None = None
) -> jax.Array:
    """Descriptor of one environment whose k-th shell is shared among equally distant atoms.

    The equations of `quests_descriptor`, with the sorted lists read as distributions: a neighbor of
    occupation f takes f of a place. Given that shell atom j is present, the other m − 1 atoms of its
    shell share one place less, (f m − 1)/(m − 1) each. Where all occupations are 0 or 1 the two
    descriptors are equal.

    Args:
      vectors: displacements, shape [K, 3], in Å, K ≥ k.
      occupation: fractions that sum to k, shape [K].
      k: number of places.
      cutoff: r_c in Å.
      weights: p_j ≥ 0, how much each neighbor counts, shape [K]; 1 where not given.

    Returns:
      Shape [2k − 1], in Å⁻¹; the same whatever the order of the neighbors.
    """
    root_weight, distance = _root_weight(vectors, cutoff, weights)
    radial = _places(root_weight**2 * safe_reciprocal(distance), occupation, k)
    present = _occupation_given(occupation)
    rows = jax.vmap(lambda values, f: _places(values, f, k - 1))(_cross(vectors, root_weight), present)
    angular = jnp.dot(occupation, rows, precision="highest") / k
    return jnp.concatenate([radial, angular])  # pyright: ignore[reportArgumentType]  # `partial` hides its type


@follows_dtype
@partial(jax.jit, static_argnames="cutoff")
def descriptors(
    positions: ArrayLike,
    cell: ArrayLike,
    neighbors: Neighbors,
    *,
    cutoff: float | None = None,
    weights: ArrayLike | None = None,
) -> jax.Array:
    """Descriptors of all atoms of one structure, differentiable in `positions` and `cell`.

    Args:
      positions: shape [n, 3], in Å.
      cell: lattice vectors as rows, shape [3, 3], in Å.
      neighbors: the result of `find_neighbors`, found once and held fixed under differentiation.
      cutoff: in Å, that of the search for neighbors where not given, and no larger.
      weights: how much each atom counts as a neighbor in each of c channels, such as `channel_weights`, shape
        [n, c].

    Returns:
      Shape [n, 2k − 1], or [n, (1 + c)(2k − 1)] with a block for each channel after the plain one; in Å⁻¹.
    """
    vectors, cutoff = displacements(positions, cell, neighbors), neighbors.within(cutoff)
    if vectors.shape[1] == neighbors.k:
        describe = partial(quests_descriptor, cutoff=cutoff)
        rows = (vectors,)
    else:
        describe = partial(shared_descriptor, k=neighbors.k, cutoff=cutoff)
        rows = (vectors, neighbors.occupation.astype(vectors.dtype))
    plain = jax.vmap(describe)(*rows)
    if weights is None:
        return plain
    each = jax.vmap(lambda p, *row: describe(*row, weights=p))
    of_neighbors = jnp.asarray(weights, vectors.dtype)[neighbors.index]
    blocks = [each(of_neighbors[..., channel], *rows) for channel in range(of_neighbors.shape[-1])]
    return jnp.concatenate([plain, *blocks], axis=1)


def sort_descending(values: jax.Array) -> jax.Array:
    """Sort along axis 0 by a bitonic network of minima and maxima, padded with −inf to a power of two.

    On the CPU this is ten times faster than `jnp.sort` for short columns.
    """
    n, *columns = values.shape
    size = 1 << (n - 1).bit_length()
    values = jnp.pad(values.reshape(n, -1), [(0, size - n), (0, 0)], constant_values=-jnp.inf)
    width = 2
    while width <= size:
        values = _compare(values, width, flip=True)
        stride = width // 2
        while stride >= 2:
            values = _compare(values, stride, flip=False)
            stride //= 2
        width *= 2
    return values[:n].reshape(n, *columns)


def _compare(values: jax.Array, width: int, *, flip: bool) -> jax.Array:
    """One stage: in each run of `width` rows, order row a of the upper half and its partner below."""
    halves = values.reshape(-1, 2, width // 2, values.shape[1])
    upper = halves[:, 0]
    lower = halves[:, 1, ::-1] if flip else halves[:, 1]
    ordered = jnp.stack([jnp.maximum(upper, lower), jnp.minimum(upper, lower)], 1)
    return ordered.reshape(values.shape)


def _root_weight(
    vectors: jax.Array, cutoff: float | jax.Array, weights: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    squared = jnp.sum(vectors**2, axis=-1)
    root_weight = jnp.maximum(1.0 - squared / cutoff**2, 0.0)
    root_weight = root_weight if weights is None else root_weight * safe_sqrt(weights)
    return jnp.where(squared == 0, 0.0, root_weight), safe_sqrt(squared)


def _cross(vectors: jax.Array, root_weight: jax.Array) -> jax.Array:
    """√(w_j w_l) / r_jl, shape [K, K], zero on the diagonal and for missing neighbors."""
    difference = vectors[:, None, :] - vectors[None, :, :]
    distance = safe_sqrt(jnp.sum(difference**2, axis=-1))
    return root_weight[:, None] * root_weight[None, :] * safe_reciprocal(distance)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _places(values: jax.Array, occupation: jax.Array, n_places: int) -> jax.Array:
    """Average of the sorted values over each unit interval of cumulative occupation, shape [n_places].

    The m largest values, each counted by its occupation f, sum to
    F(m) = min_t { m t + Σ_l f_l max(v_l − t, 0) }, attained at one of the values: no sort is needed.
    Scans, because the CPU does not vectorize reductions.
    """
    places = jnp.arange(n_places + 1, dtype=values.dtype)

    def add(above, neighbor):
        value, f = neighbor
        return above + f * jnp.maximum(value - values, 0), None

    def lower(least, candidate):
        t, above = candidate
        return jnp.minimum(least, places * t + above), None

    above, _ = jax.lax.scan(add, jnp.zeros_like(values), (values, occupation), unroll=UNROLL)
    start = jnp.full_like(places, jnp.inf)
    return jnp.diff(jax.lax.scan(lower, start, (values, above), unroll=UNROLL)[0])


@_places.defjvp
def _places_jvp(n_places, primals, tangents):
    """At equal values `jnp.min` shares the derivative evenly, as the symmetry of a crystal demands."""

    def at_once(values, occupation):
        excess = jnp.maximum(values[:, None] - values[None, :], 0)
        above = jnp.sum(occupation[:, None] * excess, axis=0)
        places = jnp.arange(n_places + 1, dtype=values.dtype)
        return jnp.diff(jnp.min(places[None, :] * values[:, None] + above[:, None], axis=0))

    return jax.jvp(at_once, primals, tangents)


def _occupation_given(occupation: jax.Array) -> jax.Array:
    """Occupation of neighbor l given that j is present, shape [K, K] (rows j), zero on the diagonal."""
    in_shell = (occupation > 0) & (occupation < 1)
    m = jnp.sum(in_shell, dtype=occupation.dtype)
    one_less = (occupation * m - 1.0) / jnp.maximum(m - 1.0, 1.0)
    both = in_shell[:, None] & in_shell[None, :]
    given = jnp.where(both, one_less[None, :], occupation[None, :])
    return given * (1.0 - jnp.eye(len(occupation), dtype=occupation.dtype))
