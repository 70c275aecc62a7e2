"""The sums themselves, tile by tile: what one tile adds to another, and nothing else.

Two tiles are measured from the center of the smaller one. Near pairs of tiles are listed and summed in
batches, whose size is that of the platform (see `pairs`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp

from quests_jax.base import platforms
from quests_jax.base.platforms import Platform
from quests_jax.information.sums import tiles as tl
from quests_jax.information.sums.exponents import (
    base_and_scale,
    plain_exponents,
    squared_distance,
    steepness,
)
from quests_jax.information.sums.pairs import (
    active_pairs,
    at_place,
    column_sums,
    exponents_of,
    fold_bands,
    fold_near,
    map_bands,
    row_sums,
    totals,
    wide_pairs,
)
from quests_jax.information.sums.tiles import Tiles

SKIPPED = 1e-12  # what all skipped tiles together may add to a sum, relative to the largest kernel 1
SELF_ERROR = 2.0  # self sums may err twice as much per pair: their largest term, the own one, is exact

ROUNDINGS = 64.0  # that a distance to a known row may err by, of itself and of the radius of its tile

Items = TypeVar("Items")  # arrays with a leading axis
Result = TypeVar("Result")
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
    query, reference = _tiles_of(counts, y, x)
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
            exponent = exponents_of(query, i, reference, j, h, careful, at)
            shift = shift_x[j][:, None] + shift_y[i][:, :, None]
            weight = squared_distance(exponent, power) * jnp.exp(exponent - shift)
            sums = jnp.einsum("bts,bsc->btc", weight, values[j], precision="highest")
            return total.at[row].add(sums, mode="drop")

        near = (bound < smallest) & active_pairs(query, tile, exists, reference)
        zero = jnp.zeros((len(tile), platforms.TILE, v.shape[1]), y.dtype)
        return fold_near(near, wide_pairs(query, tile, reference, h), add, zero, at)

    return query.scatter(map_bands(band, len(query.mask), len(reference.mask), at), y.shape[0])


def log_sum(
    counts: jax.Array,
    y: jax.Array,
    x: jax.Array,
    shift: jax.Array,
    h: jax.Array,
    groups: tuple[jax.Array, jax.Array] | None = None,
    *,
    at: Platform,
) -> jax.Array:
    """ln Σ_j exp(s_ij − shift_j), shape [m] or [H, m]; skipped terms are below `SKIPPED` of each sum.

    With the groups of y [m] and of x [n], only terms of different groups count.
    """
    query, reference = _tiles_of(counts, y, x)
    own = _groups(query, reference, groups)
    base, scale = base_and_scale(h)
    shift = jnp.where(reference.mask > 0, reference.gather(shift), jnp.inf)

    def band(tile, exists):
        def add(row, j, carry, careful):
            i = at_place(tile, row)
            exponent = exponents_of(query, i, reference, j, base, careful, at)
            shifted = shift[j][:, None] + (0 if own is None else _infinite_within(own[0][i], own[1][j]))
            return _each(partial(_log_added, row, exponent, shifted, at), (scale, *carry))

        near = _within_reach(query, tile, reference, own, shift, base, scale)
        near &= active_pairs(query, tile, exists, reference)
        size = (len(scale), len(tile), platforms.TILE)
        start = jnp.full(size, jnp.finfo(y.dtype).min / 4), jnp.zeros(size, y.dtype)
        top, total = fold_near(near, wide_pairs(query, tile, reference, base), add, start, at)
        return jnp.moveaxis(top + jnp.log(total), 0, -1)

    sums = map_bands(band, len(query.mask), len(reference.mask), at)
    return query.scatter(sums, y.shape[0]).T.reshape(*h.shape, -1)


def _log_added(
    row: jax.Array, exponent: jax.Array, shifted: jax.Array, at: Platform, state: tuple[jax.Array, ...]
) -> tuple[jax.Array, jax.Array]:
    """Largest terms and sums in their units, [r, TILE] each, with the terms of a batch; ratio is (base/h)².

    Pairs of one query tile all find the same largest terms, so that what they set is the same number.
    """
    ratio, top, total = state
    scaled = exponent * ratio - shifted
    largest = top.at[row].max(scaled.max(axis=2), mode="drop")
    before, now = at_place(top, row), at_place(largest, row)
    total = total.at[row].set(at_place(total, row) * jnp.exp(before - now), mode="drop")
    fresh = totals(jnp.exp(scaled - now[:, :, None]), at)
    return largest, total.at[row].add(fresh, mode="drop")


def _within_reach(
    query: Tiles,
    tile: jax.Array,
    reference: Tiles,
    own: tuple[jax.Array, jax.Array] | None,
    shift: jax.Array,
    base: jax.Array,
    scale: jax.Array,
) -> jax.Array:
    """Tiles of the reference that add to a query of each tile at any bandwidth, [r, g].

    Every sum has a term of at least exp(−within): that of the first row of a tile of the reference.
    """
    eps = float(jnp.finfo(base.dtype).eps)
    center = query.center[tile]
    from_first = (reference.x[None, :, 0] - center[:, None]) / base
    to_first = -plain_exponents((query.x[tile] - center[:, None]) / base, from_first)
    rounding = ROUNDINGS * eps * (query.radius[tile] / base) ** 2
    to_first = to_first * (1 + ROUNDINGS * eps) + rounding[:, None, None]
    if own is not None:
        to_first = to_first + _infinite_within(own[0][tile], own[1][None, :, 0])
    gap, lowest = tl.gap_squared(query, tile, reference) / (2 * base**2), shift.min(axis=1)

    def near(ratio):
        within = jnp.min(to_first * ratio + shift[None, None, :, 0], axis=2)
        farthest = jnp.max(jnp.where(query.mask[tile] > 0, within, -jnp.inf), axis=1)
        return gap * ratio + lowest[None] < farthest[:, None] + jnp.log(reference.mask.size / SKIPPED)

    return jnp.any(_each(near, scale), axis=0)


def self_sum(
    count: jax.Array, x: jax.Array, w: jax.Array, h: jax.Array, *, power: int, at: Platform
) -> jax.Array:
    """Σ_j w_j q_ij^k exp(s_ij) for y = x, shape [n] or [H, n]; each pair is formed once."""
    tiles = tl.make_tiles(x, tl.principal_frame(x, count), count)
    base, scale = base_and_scale(h)
    weight = tiles.gather(w)
    diagonal = jnp.eye(platforms.TILE, dtype=bool)[None]

    def contribution(i, j, careful):
        itself = diagonal & (i == j)[:, None, None]
        error = None if power else SELF_ERROR
        exponent = jnp.where(itself, 0, exponents_of(tiles, i, tiles, j, base, careful, at, error=error))

        def both(ratio):
            kernel = squared_distance(exponent * ratio, power) * jnp.exp(exponent * ratio)
            return row_sums(kernel, weight[j], at), column_sums(kernel, weight[i], at)

        to_i, to_j = _each(both, scale)
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
    query, reference = _tiles_of(counts, y, x)
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

    start = jnp.zeros((n_tiles, platforms.TILE, *shape), tiles.x.dtype)
    return fold_bands(band, n_tiles, n_tiles, start, at)


def _tiles_of(counts: jax.Array, y: jax.Array, x: jax.Array) -> tuple[Tiles, Tiles]:
    frame = tl.principal_frame(x, counts[1])
    return tl.make_tiles(y, frame, counts[0]), tl.make_tiles(x, frame, counts[1])


def _groups(
    query: Tiles, reference: Tiles, groups: tuple[jax.Array, jax.Array] | None
) -> tuple[jax.Array, jax.Array] | None:
    """The groups of y and of x by tile."""
    if groups is None:
        return None
    of_y, of_x = (
        side.gather(group).astype(group.dtype) for side, group in zip((query, reference), groups, strict=True)
    )
    return of_y, of_x


def _infinite_within(of_y: jax.Array, of_x: jax.Array) -> jax.Array:
    """A shift [b, t, s] that is infinite where rows [b, t] and [b, s] share a group."""
    return jnp.where(of_y[:, :, None] == of_x[:, None], jnp.inf, 0.0)


def _each(f: Callable[[Items], Result], items: Items) -> Result:
    """Map over the leading axis; a single item costs no loop."""
    leading = jax.tree.leaves(items)[0]
    if leading.shape[0] > 1:
        return jax.lax.map(f, items)
    return jax.tree.map(lambda r: r[None], f(jax.tree.map(lambda item: item[0], items)))
