"""Sums of the Gaussian kernel K(y, x) = exp(−|y − x|²/2h²) over environments: the engine.

K is [schwalbe-koda:25, (3)].
Sums go tile by tile (see `tile_geometry`), work at any n and m in memory O(n·d), skip what is provably below
1e-12, and can be differentiated any number of times in every argument (see `primitives`).
Order of arguments everywhere: queries y, then the reference x.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from quests_jax.base import step_sizes
from quests_jax.base.array_checks import (
    Rows,
    check_bandwidth,
    check_groups,
    check_row_numbers,
    check_rows,
    check_structure_id,
    check_values,
    check_weights,
    common_dtype,
    uncompiled,
)
from quests_jax.base.checks import check_count
from quests_jax.base.compiled_programs import jit
from quests_jax.base.defaults import DEFAULT_BANDWIDTH
from quests_jax.base.padding import padded_size
from quests_jax.information.sums import nan_guarded_sums, primitives, structure_sums
from quests_jax.information.sums.near_tile_pairs import SKIPPED

ROUNDINGS = 10.0  # allowed errors of an exponent in masses that are good enough for a bound
COARSE = 64  # tiles, or structures; up to here sizes are powers of two: padding costs memory but no time

_room: ContextVar[tuple[int, int]] = ContextVar(
    "room", default=(0, 0)
)  # rows of y and of x that are filled up to, at least


@contextmanager
def room_for(y: int, x: int) -> Iterator[None]:
    """Inside, sets of fewer queries and reference rows have the program of these many."""
    before = _room.set((y, x))
    try:
        yield
    finally:
        _room.reset(before)


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
      bandwidth: h in Å⁻¹, a number or shape [B] for several in one call.
      weights: w_j ≥ 0, shape [n]; 1 where not given.

    Returns:
      Shape [m], or [H, m] for several bandwidths; relative error of each sum below 1e-12 in float64 and
      about 1e-5 in float32, or eps·(r/h)² where that is more, r being the distance from y_i to the nearest.

    Raises:
      InputError: shapes that do not fit, an empty reference, or a bandwidth that is not positive.
    """
    given = _prepared(y, x, bandwidth)
    w = _weights(weights, given)
    return given.rows_of_y(_log_sum(*given.sides, w, given.h))


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
    x = check_rows("x", x, empty=False)
    _, number = np.unique(check_groups("group", group, len(x)), return_inverse=True)
    number = number.reshape(-1).astype(np.int32)
    chosen = None if rows is None else check_row_numbers("rows", rows, len(x))
    given = _prepared(x if chosen is None else x[chosen], x, bandwidth)
    mine = number if chosen is None else number[chosen]
    groups = _padded(mine, len(given.y)), _padded(number, len(given.x))
    return given.rows_of_y(_log_sum_of_others(*given.sides, *groups, given.h))


def self_kernel_sum(
    x: ArrayLike, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH, weights: ArrayLike | None = None
) -> jax.Array:
    """p_i = Σ_j w_j K(x_i, x_j), each pair formed once; shape [n], or [H, n] for several bandwidths."""
    given = _prepared(x, x, bandwidth)
    return given.rows_of_y(_self_sum(given.counts[1], given.x, _weights(weights, given), given.h))


def cross_kernel_sums(
    y: ArrayLike, x: ArrayLike, *, bandwidth: float = DEFAULT_BANDWIDTH
) -> tuple[jax.Array, jax.Array]:
    """Σ_j K(y_i, x_j) of each y, shape [m], and Σ_i K(y_i, x_j) of each x, shape [n], from the same pairs.

    What two blocks of a data set add to each other; with `self_kernel_sum` of the blocks themselves that is
    the kernel sum of data sets of any size. Not differentiable.
    """
    given = _prepared(y, x, bandwidth, several=False)
    sums = _cross(*given.sides, given.h)
    return given.rows_of_y(sums), sums[len(given.y) :][: given.n].astype(given.dtype)


def kernel_product(
    y: ArrayLike, x: ArrayLike, v: ArrayLike, *, bandwidth: ArrayLike = DEFAULT_BANDWIDTH
) -> jax.Array:
    """Σ_j K(y_i, x_j) v_jc for values v of any sign, shape [n, c] to [m, c] (kernel regression)."""
    given = _prepared(y, x, bandwidth, several=False)
    v = _padded(check_values("v", v, given.n).astype(given.x.dtype), len(given.x))
    zero_y, zero_x = jnp.zeros(len(given.y), v.dtype), jnp.zeros(len(given.x), v.dtype)
    sums = _product(*given.sides, v, zero_y, zero_x, given.h)
    return sums[: given.m].astype(given.dtype)


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
      structure_id: structure number of each row of x, ascending, shape [n].
      n_structures: S; structures without environments have mass 0.
      bandwidth: h in Å⁻¹.
    """
    n_structures = check_count("n_structures", n_structures, minimum=0)
    if 0 in (*np.shape(y)[:1], *np.shape(x)[:1]):
        y, x = check_rows("y", y), check_rows("x", x)
        return jnp.zeros((n_structures, len(y)), common_dtype(y.dtype, x.dtype))
    given = _prepared(y, x, bandwidth, several=False)
    number = _padded(check_structure_id(structure_id, given.n, n_structures, ascending=False), len(given.x))
    total = _masses(_places(n_structures), SKIPPED, *given.sides, number, given.h)
    return uncompiled(lambda total: total[: given.m, :n_structures].T.astype(given.dtype), total)


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

    In float32, with a relative error of about 5e-5. What is left out adds at most `error` to the sum of a
    query over all structures.
    """
    given = _prepared(y, x, bandwidth, several=False)
    given = given._replace(**{name: getattr(given, name).astype(np.float32) for name in ("x", "y", "h")})
    number = _padded(check_structure_id(structure_id, given.n, n_structures, ascending=False), len(given.x))
    sides = _make_sides(
        *given.sides, number, given.h, n_structures=n_structures, error=error, at=step_sizes.here()
    )
    order = np.asarray(sides.query.order).reshape(-1, step_sizes.TILE)
    for tile in range(-(-given.m // step_sizes.TILE)):
        real = np.asarray(sides.query.mask[tile]) > 0
        masses = np.asarray(_of_tile(sides, jnp.int32(tile), n_structures, step_sizes.here()))
        yield order[tile][real], masses[:, real] if not real.all() else masses


class _Given(NamedTuple):
    """What a sum is asked of: rows filled up to sizes that are few, in the dtype that is computed in."""

    y: jax.Array  # [padded, d]
    x: jax.Array  # [padded, d]
    h: jax.Array  # [] or [H]
    m: int  # rows of y
    n: int  # rows of x
    dtype: jnp.dtype  # of the result

    @property
    def counts(self) -> jax.Array:
        """Numbers of rows that are no padding, of y and of x."""
        return cast(jax.Array, np.array([self.m, self.n], np.int32))

    @property
    def sides(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The first arguments of every sum of two sides."""
        return self.counts, self.y, self.x

    def rows_of_y(self, sums: jax.Array) -> jax.Array:
        """Sums [..., padded] without the padding, in the dtype of the result."""
        return uncompiled(lambda sums: sums[..., : self.m].astype(self.dtype), sums)


def _one_tile(
    sides: structure_sums.Sides, tile: jax.Array, n_structures: int, at: step_sizes.Platform
) -> jax.Array:
    one = tile[None], jnp.ones(1, bool)
    return structure_sums.of_tiles(sides, *one, n_structures, at, roundings=ROUNDINGS)[0]


_masses = jit(nan_guarded_sums.structure_masses, static_argnames=("n_structures", "error"))
_make_sides = jit(structure_sums.make_sides, static_argnames=("n_structures", "at"))
_of_tile = jit(_one_tile, static_argnames=("n_structures", "at"))
_cross = jit(nan_guarded_sums.cross_sums)
_log_sum = jit(primitives.log_sum)
_log_sum_of_others = jit(nan_guarded_sums.log_sums_of_others)
_self_sum = jit(primitives.self_sum)
_product = jit(primitives.product)


def _prepared(y: ArrayLike, x: ArrayLike, bandwidth: ArrayLike, *, several: bool = True) -> _Given:
    """Checked arrays of one dtype, filled up, both measured from one origin; NumPy's by NumPy, uncompiled."""
    same = y is x
    x = check_rows("x", x, empty=False)
    y = x if same else check_rows("y", y, x.shape[1])
    dtype = common_dtype(y.dtype, x.dtype)
    working = dtype if dtype.itemsize >= 4 else jnp.dtype(jnp.float32)
    h = cast(jax.Array, check_bandwidth(bandwidth, working, several=several))  # NumPy's will do
    x = _with_a_feature(x).astype(working, copy=False)
    y = x if same else _with_a_feature(y).astype(working, copy=False)
    origin = _origin(x)
    m, n = len(y), len(x)
    room_of_y, room_of_x = _room.get()
    x = _padded(x, _size(max(n, room_of_x)), origin)
    y = x if same else _padded(y, _size(max(m, room_of_y)), origin)
    return _Given(y, x, h, m, n, dtype)


def _with_a_feature(x: Rows) -> Rows:
    """Rows without features are all the same, as rows of one feature that is 0."""
    if x.shape[1]:
        return x
    return (np if isinstance(x, np.ndarray) else jnp).zeros((len(x), 1), x.dtype)


def _origin(x: Rows) -> Rows:
    """Mean of the features that are far from 0 for their spread, which subtracts exactly; else 0, [1, d]."""
    if isinstance(x, np.ndarray):
        mean = x.mean(axis=0, keepdims=True, dtype=np.float64).astype(x.dtype)
        spread = np.maximum(x.max(axis=0) - mean, mean - x.min(axis=0))
        return np.where(np.abs(mean) > 2 * spread, mean, 0).astype(x.dtype)
    x = jax.lax.stop_gradient(x)  # kernels do not see the origin, cancellation does
    mean = x.mean(axis=0, keepdims=True)
    return jnp.where(jnp.abs(mean) > 2 * jnp.abs(x - mean).max(axis=0, keepdims=True), mean, 0)


def _weights(weights: ArrayLike | None, given: _Given) -> jax.Array:
    if weights is None:
        return jax.device_put((jnp if isinstance(given.x, Tracer) else np).ones(len(given.x), given.x.dtype))
    return _padded(check_weights("weights", weights, given.n).astype(given.x.dtype), len(given.x))


def _size(rows: int) -> int:
    """One of few sizes, so that data sets of nearby sizes share a program."""
    tiles = -(-rows // step_sizes.TILE)
    return step_sizes.TILE * (1 << (tiles - 1).bit_length() if tiles <= COARSE else padded_size(tiles))


def _places(n_structures: int) -> int:
    """Structures that a program has room for: of few, a power of two, so that programs are few."""
    return 1 << (max(n_structures, 1) - 1).bit_length() if n_structures <= COARSE else n_structures


def _padded(rows: Rows, size: int, origin: Rows | int = 0) -> jax.Array:
    """Rows from an origin, and zeros up to a size."""
    if isinstance(rows, np.ndarray) and not isinstance(origin, jax.Array):
        filled = np.zeros((size, *rows.shape[1:]), rows.dtype)
        np.subtract(rows, origin, out=filled[: len(rows)])
        return jax.device_put(filled)
    return jnp.concatenate([rows - origin, jnp.zeros((size - len(rows), *rows.shape[1:]), rows.dtype)])
