"""Sums by structure, M_si = Σ_{j in s} K(y_i, x_j): the pairs of a kernel sum, kept apart by where j belongs.

Both sides are ordered once and cut into tiles. For each tile of queries the near tiles of the reference are
formed once, and every row of kernels is added to the row of its structure, wherever its tile lies. What a
tile at a distance of at least g adds to a sum is at most its number of rows times exp(−g²/2h²); the farthest
tiles are left out as long as all of them together add at most `error`.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from quests_jax.base import step_sizes
from quests_jax.base.numerics import sum_last
from quests_jax.base.step_sizes import Platform
from quests_jax.information.sums import tile_geometry as tl
from quests_jax.information.sums.exponents import exponents
from quests_jax.information.sums.near_tile_pairs import (
    at_place,
    exponents_of,
    fold_bands,
    fold_near,
    wide_pairs,
)
from quests_jax.information.sums.tile_geometry import Tiles


class Sides(NamedTuple):
    """Queries and reference as tiles, the structure of each slot, and which tiles are near."""

    query: Tiles
    reference: Tiles
    structure: jax.Array  # [g_x, TILE] int32; S in the padding
    near: jax.Array  # [g_y, g_x] bool
    bandwidth: jax.Array  # [], Å⁻¹


def make_sides(
    counts: jax.Array,
    y: jax.Array,
    x: jax.Array,
    structure: jax.Array,
    h: jax.Array,
    *,
    n_structures: int,
    error: float,
    at: Platform,
) -> Sides:
    """Order both sides, and find the tiles that are near.

    Args:
      counts: numbers of rows of y and of x that are no padding, shape [2].
      y: queries, shape [m, d].
      x: reference, shape [n, d].
      structure: structure number of each row of x, in any order, shape [n].
      h: bandwidth.
      n_structures: S.
      error: what all that is left out may add to the sum of a query over all structures.
      at: the platform.
    """
    frame = tl.principal_frame(x, counts[1])
    query, reference = tl.make_tiles(y, frame, counts[0]), tl.make_tiles(x, frame, counts[1])
    number = structure[reference.order].reshape(reference.mask.shape)
    number = jnp.where(reference.mask > 0, number, n_structures).astype(jnp.int32)
    most = reference.mask.sum(axis=1)[None] * jnp.exp(-(gaps(query, reference, at) ** 2) / (2 * h**2))
    order = jnp.argsort(most, axis=1)
    together = jnp.cumsum(jnp.take_along_axis(most, order, axis=1), axis=1)
    near = jnp.put_along_axis(jnp.zeros(most.shape, bool), order, together > error, axis=1, inplace=False)
    return Sides(query, reference, number, near, h)


def gaps(a: Tiles, b: Tiles, at: Platform) -> jax.Array:
    """Lower bounds of the distances between tiles of a and of b, shape [g_a, g_b].

    Along the line through both centers, D apart, the rows y of one and x of the other leave a gap of

        D − [max_y (y − c_a)·(c_b − c_a) + max_x (x − c_b)·(c_a − c_b)] / D.
    """
    some = max(1, at.listed // len(b.mask))
    apart = jax.lax.map(lambda c: sum_last((b.center - c[None]) ** 2), a.center, batch_size=some)
    extent = _extents(a, b.center, at) + _extents(b, a.center, at).T
    safe = jnp.where(apart > 0, apart, 1.0)
    largest = jnp.sqrt(jnp.max(sum_last(a.center**2))) + jnp.sqrt(jnp.max(sum_last(b.center**2)))
    rounding = (
        4 * a.x.shape[2] * float(jnp.finfo(a.x.dtype).eps) * largest * (a.radius[:, None] + b.radius[None])
    )
    gap = jnp.sqrt(safe) - (extent + rounding) / jnp.sqrt(safe)
    return jnp.where(apart > 0, jnp.maximum(gap, 0.0), 0.0)


def _extents(tiles: Tiles, centers: jax.Array, at: Platform) -> jax.Array:
    """max (x − c)·(c' − c) over the rows x of each tile with center c, for centers c', shape [g, g']."""

    def extent(tile):
        x, mask, center = tile
        offset = jnp.where(mask[:, None] > 0, x - center[None], 0)
        along = (
            jnp.dot(offset, centers.T, precision="highest")
            - jnp.dot(offset, center, precision="highest")[:, None]
        )
        return jnp.max(along, axis=0)

    some = max(1, at.listed // len(centers))
    return jax.lax.map(extent, (tiles.x, tiles.mask, tiles.center), batch_size=some)


def of_tiles(
    sides: Sides,
    tile: jax.Array,
    exists: jax.Array,
    n_structures: int,
    at: Platform,
    *,
    roundings: float = 1.0,
) -> jax.Array:
    """Masses of all structures at the queries of tiles [r] that exist, [r, S, TILE]; padding holds anything.

    Exponents may err by `exponent_error` of the dtype times `roundings`.
    """
    query, reference = sides.query, sides.reference

    def add(row, j, total, careful):
        i = at_place(tile, row)
        exponent = exponents_of(reference, j, query, i, sides.bandwidth, careful, at, error=roundings)
        return total.at[row[:, None], sides.structure[j]].add(jnp.exp(exponent), mode="drop")

    wide = wide_pairs(query, tile, reference, sides.bandwidth, error=roundings)
    zero = jnp.zeros((len(tile), n_structures, step_sizes.TILE), query.x.dtype)
    return fold_near(sides.near[tile] & exists[:, None], wide, add, zero, at)


def masses(
    counts: jax.Array,
    y: jax.Array,
    x: jax.Array,
    structure: jax.Array,
    h: jax.Array,
    *,
    n_structures: int,
    error: float,
    at: Platform,
) -> jax.Array:
    """Masses of all structures at all queries, shape [m, S]; arguments as of `make_sides`."""
    sides = make_sides(counts, y, x, structure, h, n_structures=n_structures, error=error, at=at)
    query = sides.query
    order = query.order.reshape(query.mask.shape)

    def band(tile, exists, result):
        real = (query.mask[tile] > 0) & exists[:, None]
        slots = jnp.where(real, order[tile], len(y)).reshape(-1)
        total = jnp.moveaxis(of_tiles(sides, tile, exists, n_structures, at), 1, 2)
        return result.at[slots].set(total.reshape(-1, n_structures), mode="drop")

    start = jnp.zeros((len(y), n_structures), y.dtype)
    return fold_bands(band, len(query.mask), max(len(sides.structure), n_structures), start, at)


def tangent(
    counts: jax.Array,
    y: jax.Array,
    x: jax.Array,
    structure: jax.Array,
    h: jax.Array,
    dy: jax.Array,
    dx: jax.Array,
    dh: jax.Array,
    *,
    n_structures: int,
    at: Platform,
) -> jax.Array:
    """dM_is = Σ_{j in s} K_ij ds_ij with ds_ij = (y_i − x_j)·(dx_j − dy_i)/h² + q_ij dh/h, shape [m, S].

    A block of queries at a time, against every row of x and computed anew where it is transposed: memory
    O(n·`TILE`), and a cost of m·n.
    """
    real = jnp.arange(len(x), dtype=counts.dtype) < counts[1]
    structure = jnp.where(real, structure, n_structures).astype(jnp.int32)
    center = jnp.sum(jnp.where(real[:, None], x, 0), axis=0, keepdims=True) / counts[1].astype(x.dtype)
    radius = jnp.sqrt(jnp.max(jnp.where(real, sum_last((x - center) ** 2), 0))) / h
    center, radius = jax.lax.stop_gradient((center, radius))
    dot = partial(jnp.dot, precision="highest")
    of_x = sum_last(x * dx)[None]

    @jax.checkpoint
    def block(rows: tuple[jax.Array, jax.Array]) -> jax.Array:
        y, dy = rows
        s = exponents(y[None], x[None], center[None], radius, h, at=at)[0]
        along = dot(y, dx.T) + dot(dy, x.T) - sum_last(y * dy)[:, None] - of_x
        change = jnp.exp(s) * (along / h**2 - 2 * s * (dh / h))
        return jax.ops.segment_sum(change.T, structure, n_structures + 1)[:n_structures].T

    blocks = jax.tree.map(lambda rows: rows.reshape(-1, min(step_sizes.TILE, len(y)), y.shape[1]), (y, dy))
    return jax.lax.map(block, blocks).reshape(len(y), n_structures)
