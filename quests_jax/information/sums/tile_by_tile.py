"""The sums themselves, tile by tile: what one tile adds to another, and nothing else.

Two tiles are measured from the center of the smaller one. Near pairs of tiles are listed and summed in
batches, whose size is that of the platform (see `near_tile_pairs`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from quests_jax.base import step_sizes
from quests_jax.base.step_sizes import Platform
from quests_jax.information.sums import tile_geometry as tl
from quests_jax.information.sums.exponents import (
    base_and_scale,
    squared_distance,
    steepness,
)
from quests_jax.information.sums.fused_kernels import kernels_both_ways, weighted_kernels
from quests_jax.information.sums.near_tile_pairs import (
    SKIPPED,
    active_pairs,
    at_place,
    column_sums,
    each,
    exponents_of,
    fold_bands,
    fold_near,
    map_bands,
    row_sums,
    summed,
    tiles_of,
    wide_pairs,
)
from quests_jax.information.sums.tile_geometry import Tiles

SELF_ERROR = 2.0  # self sums may err twice as much per pair: their largest term, the own one, is exact


Contribution = Callable[
    [jax.Array, jax.Array, bool], tuple[jax.Array, jax.Array]
]  # what j [b] adds to i, i to j


def product(
    counts: jax.Array,
    y: jax.Array,
    x: jax.Array,
    v: jax.Array,
    a: jax.Array,
    b: jax.Array,
    h: jax.Array,
    *,
    power: int,
    at: Platform,
) -> jax.Array:
    """Σ_j q_ij^k exp(s_ij − a_i − b_j) v_jc, shape [m, c], of the first `counts` rows of y and of x.

    Skipped terms are below `SKIPPED` in total, for values of at most 1 whose size is among the shifts.
    """
    query, reference = tiles_of(counts, y, x)
    values = reference.gather(v)
    shift_y, shift_x = (
        jnp.where(side.mask > 0, side.gather(shift), jnp.inf) for side, shift in ((query, a), (reference, b))
    )
    lowest_y, lowest_x = shift_y.min(axis=1), shift_x.min(axis=1)
    smallest = jnp.log(x.shape[0] / SKIPPED) + tl.POWER_MARGIN * power

    def band(tile, exists):
        bound = tl.gap_squared(query, tile, reference) / (2 * h**2) + lowest_y[tile][:, None]
        bound = bound + lowest_x[None]

        def add(row, j, total, careful):
            i = at_place(tile, row)

            def in_kernel(rows):
                return weighted_kernels(rows, values[j], (shift_y[i], shift_x[j]), power=power, how=at.fused)

            def formed():
                exponent = exponents_of(query, i, reference, j, h, careful, at)
                shift = shift_x[j][:, None] + shift_y[i][:, :, None]
                weight = squared_distance(exponent, power) * jnp.exp(exponent - shift)
                return jnp.einsum("bts,bsc->btc", weight, values[j], precision="highest")

            # XLA is faster where many columns meet products in float64 (experiments/benchmarks/NOTES.md)
            sums = formed() if careful else summed(in_kernel, formed, query, i, reference, j, h, careful, at)
            return total.at[row].add(sums, mode="drop")

        near = (bound < smallest) & active_pairs(query, tile, exists, reference)
        zero = jnp.zeros((len(tile), step_sizes.TILE, v.shape[1]), y.dtype)
        return fold_near(near, wide_pairs(query, tile, reference, h), add, zero, at)

    return query.scatter(map_bands(band, len(query.mask), len(reference.mask), at), y.shape[0])


def self_sum(
    count: jax.Array, x: jax.Array, w: jax.Array, h: jax.Array, *, power: int, at: Platform
) -> jax.Array:
    """Σ_j w_j q_ij^k exp(s_ij) for y = x, shape [n] or [H, n]; each pair is formed once."""
    tiles = tl.make_tiles(x, tl.principal_frame(x, count), count)
    base, scale = base_and_scale(h)
    weight = tiles.gather(w)
    diagonal = jnp.eye(step_sizes.TILE, dtype=bool)[None]

    def contribution(i, j, careful):
        def in_kernel(rows):
            of_both = weight[i], weight[j]
            return kernels_both_ways(rows, of_both, scale, i == j, power=power, how=at.fused)

        def formed():
            itself = diagonal & (i == j)[:, None, None]
            error = None if power else SELF_ERROR
            exponent = jnp.where(itself, 0, exponents_of(tiles, i, tiles, j, base, careful, at, error=error))

            def both(ratio):
                kernel = squared_distance(exponent * ratio, power) * jnp.exp(exponent * ratio)
                return row_sums(kernel, weight[j], at), column_sums(kernel, weight[i], at)

            return each(both, scale)

        to_i, to_j = summed(in_kernel, formed, tiles, i, tiles, j, base, careful, at)
        return jnp.moveaxis(to_i, 0, -1), jnp.moveaxis(to_j, 0, -1)

    cut = tl.reach(h, len(x), SKIPPED, power=power)
    wide = partial(wide_pairs, y=tiles, x=tiles, h=base, error=SELF_ERROR)
    sums = _over_pairs(tiles, cut, wide, contribution, (len(scale),), at)
    return tiles.scatter(sums, len(x)).T.reshape(*h.shape, -1)


def self_force(
    count: jax.Array, x: jax.Array, w: jax.Array, g: jax.Array, h: jax.Array, *, power: int, at: Platform
) -> jax.Array:
    """Σ_j f(q_kj) exp(s_kj) (g_k w_j + g_j w_k)(x_j − x_k) / h² with f of `steepness`, shape [n, d].

    Each pair is formed once.
    """
    tiles = tl.make_tiles(x, tl.principal_frame(x, count), count)
    weight, gain = tiles.gather(w), tiles.gather(g)

    def contribution(i, j, careful):
        exponent = exponents_of(tiles, i, tiles, j, h, careful, at)
        kernel = steepness(exponent, power) * jnp.exp(exponent)
        pull = kernel * (gain[i][:, :, None] * weight[j][:, None] + gain[j][:, None] * weight[i][:, :, None])
        from_j, from_i = tiles.x[j] - tiles.center[i][:, None], tiles.x[i] - tiles.center[i][:, None]
        from_j, from_i = from_j * tiles.mask[j][..., None], from_i * tiles.mask[i][..., None]
        on_i = row_sums(pull, tiles.mask[j], at)[..., None]
        on_j = column_sums(pull, tiles.mask[i], at)[..., None]
        to_i = jnp.einsum("bts,bsd->btd", pull, from_j, precision="highest") - on_i * from_i
        to_j = jnp.einsum("bts,btd->bsd", pull, from_i, precision="highest") - on_j * from_j
        return to_i, to_j

    cut = tl.reach(h, len(x), SKIPPED, power=power + 1)
    wide = partial(wide_pairs, y=tiles, x=tiles, h=h)
    sums = _over_pairs(tiles, cut, wide, contribution, (x.shape[1],), at)
    return tiles.scatter(sums, len(x)) / h**2


def cross_sums(
    counts: jax.Array, y: jax.Array, x: jax.Array, h: jax.Array, *, at: Platform
) -> tuple[jax.Array, jax.Array]:
    """Σ_j exp(s_ij) for each y, shape [m], and Σ_i exp(s_ij) for each x, shape [n]; each pair is formed once.

    Skipped terms are below `SKIPPED` of the largest kernel, in each sum.
    """
    query, reference = tiles_of(counts, y, x)
    cut = tl.reach(h, max(len(x), len(y)), SKIPPED)

    def band(tile, exists, sums):
        def add(row, j, sums, careful):
            of_y, of_x = sums
            i = at_place(tile, row)
            kernel = jnp.exp(exponents_of(query, i, reference, j, h, careful, at, error=1.0))
            to_y, to_x = row_sums(kernel, reference.mask[j], at), column_sums(kernel, query.mask[i], at)
            absent = row == len(tile)
            of_y = of_y.at[jnp.where(absent, len(of_y), i)].add(to_y, mode="drop")
            return of_y, of_x.at[jnp.where(absent, len(of_x), j)].add(to_x, mode="drop")

        near = tl.gap_squared(query, tile, reference) < cut**2
        near &= active_pairs(query, tile, exists, reference)
        return fold_near(near, wide_pairs(query, tile, reference, h), add, sums, at)

    start = jnp.zeros(query.mask.shape, x.dtype), jnp.zeros(reference.mask.shape, x.dtype)
    of_y, of_x = fold_bands(band, len(query.mask), len(reference.mask), start, at)
    return query.scatter(of_y, len(y)), reference.scatter(of_x, len(x))


def _over_pairs(
    tiles: Tiles,
    cut: jax.Array,
    wide: Callable[..., jax.Array],
    contribution: Contribution,
    shape: tuple[int, ...],
    at: Platform,
) -> jax.Array:
    """Contributions of every unordered pair of tiles within `cut` of each other, [g, TILE, *shape]."""
    n_tiles = len(tiles.mask)

    def band(tile, exists, sums):
        def add(row, j, sums, careful):
            i = at_place(tile, row)
            to_i, to_j = contribution(i, j, careful)
            absent = row == len(tile)
            sums = sums.at[jnp.where(absent, n_tiles, i)].add(to_i, mode="drop")
            return sums.at[jnp.where(absent | (i == j), n_tiles, j)].add(to_j, mode="drop")

        near = tl.gap_squared(tiles, tile, tiles) < cut**2
        near &= active_pairs(tiles, tile, exists, tiles) & (
            jnp.arange(n_tiles, dtype=jnp.int32)[None] >= tile[:, None]
        )
        return fold_near(near, wide(rows=tile), add, sums, at)

    start = jnp.zeros((n_tiles, step_sizes.TILE, *shape), tiles.x.dtype)
    return fold_bands(band, n_tiles, n_tiles, start, at)
