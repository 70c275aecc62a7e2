"""Sums of the Gaussian kernel K(y, x) = exp(−|y − x|²/2h²) over environments: the engine.

K is [schwalbe-koda:25, (3)].
Everything streams in tiles (see `tiles`), works at any n and m in memory O(n·d), skips what is provably
below 1e-12, and can be differentiated any number of times in every argument (see `primitives`).
Order of arguments everywhere: queries y, then the reference x.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from quests_jax.base.checks import InputError, check_matrix, check_positive
from quests_jax.base.defaults import DEFAULT_BANDWIDTH
from quests_jax.base.numerics import safe_log
from quests_jax.base.shapes import padded_size
from quests_jax.information.sums import masses, primitives, streaming
from quests_jax.information.sums.tiles import FAR, TILE

COARSE = 64  # tiles; up to here sizes are powers of two: a tile of padding costs memory but no time


def kernel_sum(
    y: ArrayLike, x: ArrayLike, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH, weights: ArrayLike | None = None
) -> jax.Array:
    """Σ_j w_j K(y_i, x_j) for each query, as the exponential of `log_kernel_sum`; shape [m]."""
    return jnp.exp(log_kernel_sum(y, x, bandwidth=bandwidth, weights=weights))


def log_kernel_sum(
    y: ArrayLike, x: ArrayLike, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH, weights: ArrayLike | None = None
) -> jax.Array:
    """ln Σ_j w_j K(y_i, x_j), finite however far y_i is from every x_j.

    Args:
      y: queries, shape [m, d], Å⁻¹.
      x: reference, shape [n, d], Å⁻¹.
      bandwidth: h in Å⁻¹, a number or shape [H] for several in one call.
      weights: w_j ≥ 0, shape [n]; 1 where not given.

    Returns:
      Shape [m], or [H, m] for several bandwidths; relative error of each sum below 1e-12 in float64 and
      about 1e-5 in float32, or eps·(r/h)² where that is more, r being the distance from y_i to the nearest.

    Raises:
      InputError: shapes that do not fit, an empty reference, or a bandwidth that is not positive.
    """
    y, x, h = _prepared(y, x, bandwidth)
    b = np.zeros(len(x), x.dtype) if weights is None else -safe_log(_as_weights(weights, x))
    return _log_sum(_padded(y), _padded(x), _padded(b), h)[..., : len(y)]


def log_sum_of_others(
    x: ArrayLike,
    group: ArrayLike,
    *,
    rows: ArrayLike | None = None,
    bandwidth: ArrayLike = DEFAULT_BANDWIDTH,
) -> jax.Array:
    """ln Σ_j K(x_i, x_j) over the rows j of other groups than that of i, shape [n] or [H, n].

    Groups are whole numbers, shape [n]; −inf where there is no other group. Finite otherwise, however far
    the others are: nothing is subtracted. `rows` [m] are the numbers of the rows i that are wanted, all where
    not given; then the shape is [m] or [H, m]. Not differentiable.
    """
    x, _, h = _prepared(x, x, bandwidth)
    group = np.asarray(group)
    if group.shape != (len(x),) or group.dtype.kind not in "iu":
        raise InputError(f"group: expected {len(x)} whole numbers, one per row of x, got {group.shape}.")
    reference, of_reference = _padded(x), _padded(group.astype(np.int32))
    query, of_query, wanted = reference, of_reference, len(x)
    if rows is not None:
        chosen = np.asarray(rows)
        query, of_query, wanted = _padded(x[chosen]), _padded(group[chosen].astype(np.int32)), len(chosen)
    zero = jnp.zeros(len(reference), reference.dtype)
    return _log_sum_of_others(query, reference, zero, h, (of_query, of_reference))[..., :wanted]


def self_kernel_sum(
    x: ArrayLike, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH, weights: ArrayLike | None = None
) -> jax.Array:
    """p_i = Σ_j w_j K(x_i, x_j), each pair formed once; shape [n], or [H, n] for several bandwidths."""
    x, _, h = _prepared(x, x, bandwidth)
    w = np.ones(len(x), x.dtype) if weights is None else _as_weights(weights, x)
    return _self_sum(_padded(x), _padded(w), h)[..., : len(x)]


def cross_kernel_sums(
    y: ArrayLike, x: ArrayLike, *, bandwidth: float = DEFAULT_BANDWIDTH
) -> tuple[jax.Array, jax.Array]:
    """Σ_j K(y_i, x_j) of each y, shape [m], and Σ_i K(y_i, x_j) of each x, shape [n], from the same pairs.

    What two blocks of a data set add to each other; with `self_kernel_sum` of the blocks themselves that is
    the kernel sum of data sets of any size. Not differentiable.
    """
    y, x, h = _prepared(y, x, bandwidth)
    of_y, of_x = _cross(_padded(y), _padded(x), h)
    return of_y[: len(y)], of_x[: len(x)]


def kernel_product(
    y: ArrayLike, x: ArrayLike, v: ArrayLike, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH
) -> jax.Array:
    """Σ_j K(y_i, x_j) v_jc for values v of any sign, shape [n, c] to [m, c] (kernel regression)."""
    y, x, h = _prepared(y, x, bandwidth)
    v = jnp.asarray(v, x.dtype)
    padded_y, padded_x = _padded(y), _padded(x)
    zero_y, zero_x = jnp.zeros(len(padded_y), x.dtype), jnp.zeros(len(padded_x), x.dtype)
    return _product(padded_y, padded_x, _padded(v), zero_y, zero_x, h)[: len(y)]


def structure_masses(
    y: ArrayLike,
    x: ArrayLike,
    structure_id: ArrayLike,
    n_structures: int,
    *,
    bandwidth: ArrayLike = DEFAULT_BANDWIDTH,
) -> jax.Array:
    """Mass M_si = Σ_{j in structure s} K(y_i, x_j) of every structure at every query, shape [S, m].

    Args:
      y: queries, shape [m, d], Å⁻¹.
      x: environments of the structures, shape [n, d], Å⁻¹.
      structure_id: structure number of each row of x, shape [n].
      n_structures: S; structures without environments have mass 0.
      bandwidth: h in Å⁻¹.
    """
    y, x, h = _prepared(y, x, bandwidth)
    m, n = len(y), len(x)
    if not m or not n:
        return jnp.zeros((n_structures, m), x.dtype)
    y, x, number = _padded(y), _padded(x), _padded(np.asarray(structure_id, np.int32))
    return _masses(y, x, number, h, n_structures=n_structures, error=streaming.SKIPPED)[:m].T


def tiles_of_masses(
    y: np.ndarray,
    x: np.ndarray,
    structure_id: np.ndarray,
    n_structures: int,
    *,
    bandwidth: float,
    error: float,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`structure_masses` a tile of nearby queries at a time: their numbers [t], and their masses [S, t].

    What is left out adds at most `error` to the sum of a query over all structures.
    """
    y, x, h = _prepared(y, x, bandwidth)
    rows, number = len(y), _padded(np.asarray(structure_id, np.int32))
    sides = _make_sides(_padded(y), _padded(x), number, h, n_structures=n_structures, error=error)
    order = np.asarray(sides.query.order).reshape(-1, TILE)
    for tile in range(-(-rows // TILE)):
        real = np.asarray(sides.query.mask[tile]) > 0
        masses = np.asarray(_of_tile(sides, jnp.int32(tile), n_structures=n_structures))
        yield order[tile][real], masses[:, real] if not real.all() else masses


_Rows = np.ndarray | jax.Array

_masses = jax.jit(masses.masses, static_argnames=("n_structures", "error"))
_make_sides = jax.jit(masses.make_sides, static_argnames="n_structures")
_of_tile = jax.jit(masses.of_tile, static_argnames="n_structures")
_cross = jax.jit(streaming.cross_sums)
_log_sum = jax.jit(primitives.log_sum)
_log_sum_of_others = jax.jit(streaming.log_sum)
_self_sum = jax.jit(primitives.self_sum)
_product = jax.jit(primitives.product)


def _prepared(y: ArrayLike, x: ArrayLike, bandwidth: ArrayLike) -> tuple[_Rows, _Rows, jax.Array]:
    """Checked arrays of one dtype, both measured from the mean of x, and the bandwidth in that dtype.

    What comes as NumPy arrays is prepared by NumPy: operations on their own would be compiled for
    every number of rows.
    """
    same = y is x
    x = _as_float(x)
    y = x if same else _as_float(y)
    check_matrix("x", x)
    check_matrix("y", y, x.shape[1])
    if len(x) == 0:
        raise InputError("x: the reference holds no environments; give at least one.")
    if not isinstance(bandwidth, Tracer):
        for h in np.ravel(bandwidth):
            check_positive("bandwidth", h)
    dtype = jnp.promote_types(y.dtype, x.dtype)
    origin = x.mean(axis=0, keepdims=True)
    if not isinstance(origin, np.ndarray):
        origin = jax.lax.stop_gradient(origin)  # kernels do not see it, cancellation does
    centered = (x - origin).astype(dtype)
    return centered if same else (y - origin).astype(dtype), centered, jnp.asarray(bandwidth, dtype)


def _as_float(x: ArrayLike) -> _Rows:
    x = x if isinstance(x, np.ndarray) else jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))


def _as_weights(weights: ArrayLike, x: _Rows) -> jax.Array:
    weights = jnp.asarray(weights, x.dtype)
    if weights.shape != x.shape[:1]:
        raise InputError(f"weights: expected {len(x)} numbers, one per row of x, got shape {weights.shape}.")
    return weights


def _padded(rows: _Rows) -> jax.Array:
    """Rows up to one of few sizes, so that data sets of nearby sizes share a program.

    Matrices get rows `FAR` away, whose kernels are 0; vectors and values get zeros.
    """
    tiles = -(-len(rows) // TILE)
    few = 1 << (tiles - 1).bit_length() if tiles <= COARSE else padded_size(tiles)
    extra = TILE * few - len(rows)
    fill = FAR if rows.ndim > 1 else 0
    added = (extra, *rows.shape[1:])
    if isinstance(rows, np.ndarray):
        return jnp.asarray(np.concatenate([rows, np.full(added, fill, rows.dtype)]))
    return jnp.concatenate([rows, jnp.full(added, fill, rows.dtype)])
