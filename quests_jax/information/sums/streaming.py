"""The sums themselves, tile by tile: what one tile adds to another, and nothing else.

Two tiles are measured from the center of the smaller one. Pairs for which plain products are exact enough and
the others (`careful`, see `exponents`) have a loop each: a condition inside one loop would cost a copy of
every tile of kernels, and a CPU leaves what is inside to one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp

from quests_jax.base.numerics import sum_last
from quests_jax.information.sums import tiles as tl
from quests_jax.information.sums.callbacks import Contribution, OfTiles
from quests_jax.information.sums.exponents import (
    base_and_scale,
    careful_exponents,
    exponents_of_sums,
    is_wide,
    plain_exponents,
    squared_distance,
    steepness,
)
from quests_jax.information.sums.tiles import Tiles

SKIPPED = 1e-12  # what all skipped tiles together may add to a sum, relative to the largest kernel 1
SELF_ERROR = 2.0  # self sums may err twice as much per pair: their largest term, the own one, is exact

Items = TypeVar("Items")  # arrays with a leading axis
Result = TypeVar("Result")


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

    def near(i):
        bound = tl.gap_squared(query, i[None], reference)[0] / (2 * h**2) + lowest_y[i] + lowest_x
        return bound < smallest

    def update(i, j, total, careful):
        j, padding = _clip(j, reference)
        shift = shift_x[j][:, None] + shift_y[i][None, :, None] + padding
        exponent = _exponents(query, i, reference, j, h, careful)
        weight = squared_distance(exponent, power) * jnp.exp(exponent - shift)
        return total + jnp.einsum("bts,bsc->btc", weight, values[j], precision="highest").sum(axis=0)

    zero = jnp.zeros((tl.TILE, v.shape[1]), y.dtype)
    sums = tl.stream_rows(query, reference, near, _wide(query, reference, h), update, lambda i: zero)
    return query.scatter(sums, y.shape[0])


def log_sum(
    counts: jax.Array,
    y: jax.Array,
    x: jax.Array,
    shift: jax.Array,
    h: jax.Array,
    groups: tuple[jax.Array, jax.Array] | None = None,
) -> jax.Array:
    """ln Σ_j exp(s_ij − shift_j), shape [m] or [H, m]; skipped terms are below `SKIPPED` of each sum.

    With the groups of y [m] and of x [n], only terms of different groups count.
    """
    query, reference = _tiles_of(counts, y, x)
    others = _other_groups(query, reference, groups)
    base, scale = base_and_scale(h)
    shift = jnp.where(reference.mask > 0, reference.gather(shift), jnp.inf)
    lowest = shift.min(axis=1)
    beyond = jnp.log(x.shape[0] / SKIPPED)

    def near(i):
        to_first = sum_last((query.x[i][:, None] - reference.x[None, :, 0]) ** 2) / (2 * base**2)
        to_first = to_first + others(i, jnp.arange(len(shift)))[:, :, 0].T
        gap = tl.gap_squared(query, i[None], reference)[0] / (2 * base**2)

        def within_reach(ratio):  # every sum has a term of at least exp(−within)
            within = jnp.min(to_first * ratio + shift[None, :, 0], axis=1)
            farthest = jnp.max(jnp.where(query.mask[i] > 0, within, -jnp.inf))
            return gap * ratio + lowest < farthest + beyond

        return jnp.any(_each(within_reach, scale), axis=0)

    def update(i, j, carry, careful):
        j, padding = _clip(j, reference)
        exponent = _exponents(query, i, reference, j, base, careful)
        shifted = shift[j][:, None] + padding + others(i, j)

        def fold(state):
            ratio, top, total = state
            scaled = exponent * ratio - shifted
            new_top = jnp.maximum(top, scaled.max(axis=(0, 2)))
            fresh = jnp.sum(jnp.exp(scaled - new_top[None, :, None]), axis=(0, 2))
            return new_top, total * jnp.exp(top - new_top) + fresh

        return _each(fold, (scale, *carry))

    size = (len(scale), tl.TILE)
    start = jnp.full(size, jnp.finfo(y.dtype).min / 4), jnp.zeros(size, y.dtype)
    wide = _wide(query, reference, base)
    top, total = tl.stream_rows(query, reference, near, wide, update, lambda i: start)
    sums = query.scatter(jnp.moveaxis(top + jnp.log(total), 1, -1), y.shape[0])
    return sums.T.reshape(*h.shape, -1)


def self_sum(count: jax.Array, x: jax.Array, w: jax.Array, h: jax.Array, *, power: int) -> jax.Array:
    """Σ_j w_j q_ij^k exp(s_ij) for y = x, shape [n] or [H, n]; each pair is formed once."""
    tiles = tl.make_tiles(x, tl.principal_frame(x, count), count)
    base, scale = base_and_scale(h)
    weight = tiles.gather(w)
    diagonal = jnp.eye(tl.TILE, dtype=bool)[None]

    def contribution(i, j, careful):
        itself = diagonal & (i == j)[:, None, None]
        error = None if power else SELF_ERROR
        exponent = jnp.where(itself, 0, _exponents(tiles, i, tiles, j, base, careful, error=error))

        def both(ratio):
            kernel = squared_distance(exponent * ratio, power) * jnp.exp(exponent * ratio)
            return (
                jnp.einsum("bts,bs->bt", kernel, weight[j], precision="highest"),
                jnp.einsum("bts,bt->bs", kernel, weight[i], precision="highest"),
            )

        to_i, to_j = _each(both, scale)
        return jnp.moveaxis(to_i, 0, -1), jnp.moveaxis(to_j, 0, -1)

    wide = _wide(tiles, tiles, base, error=SELF_ERROR)
    cut = tl.reach(h, len(x), SKIPPED, power=power)
    return _over_pairs(tiles, wide, contribution, cut, x, (len(scale),)).T.reshape(*h.shape, -1)


def self_force(
    count: jax.Array, x: jax.Array, w: jax.Array, g: jax.Array, h: jax.Array, *, power: int
) -> jax.Array:
    """Σ_j f(q_kj) exp(s_kj) (g_k w_j + g_j w_k)(x_j − x_k) / h² with f of `steepness`, shape [n, d].

    Each pair is formed once.
    """
    tiles = tl.make_tiles(x, tl.principal_frame(x, count), count)
    weight, gain = tiles.gather(w), tiles.gather(g)

    def contribution(i, j, careful):
        exponent = _exponents(tiles, i, tiles, j, h, careful)
        kernel = steepness(exponent, power) * jnp.exp(exponent)
        pull = kernel * (gain[i][:, :, None] * weight[j][:, None] + gain[j][:, None] * weight[i][:, :, None])
        from_j, from_i = tiles.x[j] - tiles.center[i][:, None], tiles.x[i] - tiles.center[i][:, None]
        from_j, from_i = from_j * tiles.mask[j][..., None], from_i * tiles.mask[i][..., None]
        on_i = jnp.einsum("bts,bs->bt", pull, tiles.mask[j], precision="highest")[..., None]
        on_j = jnp.einsum("bts,bt->bs", pull, tiles.mask[i], precision="highest")[..., None]
        to_i = jnp.einsum("bts,bsd->btd", pull, from_j, precision="highest") - on_i * from_i
        to_j = jnp.einsum("bts,btd->bsd", pull, from_i, precision="highest") - on_j * from_j
        return to_i, to_j

    cut = tl.reach(h, len(x), SKIPPED, power=power + 1)
    return _over_pairs(tiles, _wide(tiles, tiles, h), contribution, cut, x, (x.shape[1],)) / h**2


def cross_sums(counts: jax.Array, y: jax.Array, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Σ_j exp(s_ij) for each y, shape [m], and Σ_i exp(s_ij) for each x, shape [n]; each pair is formed once.

    Skipped terms are below `SKIPPED` of the largest kernel, in each sum.
    """
    query, reference = _tiles_of(counts, y, x)
    cut = tl.reach(h, max(len(x), len(y)), SKIPPED)
    active, wide = reference.mask.max(axis=1) > 0, _wide(query, reference, h)

    def rows(i, sums):
        near = (tl.gap_squared(query, i[None], reference)[0] < cut**2) & active & (query.mask[i].max() > 0)

        def add(j, sums, careful):
            of_y, of_x = sums
            j, padding = _clip(j, reference)
            kernel = jnp.exp(_exponents(query, i, reference, j, h, careful, error=1.0) - padding)
            present = jnp.broadcast_to(query.mask[i], reference.mask[j].shape)
            to_y = jnp.einsum("bts,bs->bt", kernel, reference.mask[j], precision="highest")
            to_x = jnp.einsum("bts,bt->bs", kernel, present, precision="highest")
            return of_y.at[i].add(to_y.sum(axis=0)), of_x.at[j].add(to_x)

        return tl.fold_tiles(add, near, wide(i[None])[0], sums)

    start = jnp.zeros(query.mask.shape, x.dtype), jnp.zeros(reference.mask.shape, x.dtype)
    of_y, of_x = jax.lax.fori_loop(0, len(query.mask), rows, start)
    return query.scatter(of_y, len(y)), reference.scatter(of_x, len(x))


def _over_pairs(
    tiles: Tiles,
    wide: OfTiles,
    contribution: Contribution,
    cut: jax.Array,
    x: jax.Array,
    shape: tuple[int, ...],
) -> jax.Array:
    start = jnp.zeros((tiles.mask.shape[0] + 1, tl.TILE, *shape), x.dtype)
    return tiles.scatter(tl.stream_pairs(tiles, cut, wide, contribution, start)[:-1], x.shape[0])


def _tiles_of(counts: jax.Array, y: jax.Array, x: jax.Array) -> tuple[Tiles, Tiles]:
    frame = tl.principal_frame(x, counts[1])
    return tl.make_tiles(y, frame, counts[0]), tl.make_tiles(x, frame, counts[1])


def _clip(j: jax.Array, reference: Tiles) -> tuple[jax.Array, jax.Array]:
    """Valid tile numbers, and a shift [batch, 1, 1] that is infinite where j was padding."""
    n_tiles = reference.mask.shape[0]
    padding = jnp.where(j < n_tiles, 0.0, jnp.inf).astype(reference.mask.dtype)
    return jnp.minimum(j, n_tiles - 1), padding[:, None, None]


def _other_groups(
    query: Tiles, reference: Tiles, groups: tuple[jax.Array, jax.Array] | None
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(i, j) to a shift [batch, TILE, TILE] that is infinite where rows share a group, or [1, 1, 1] zero."""
    if groups is None:
        return lambda i, j: jnp.zeros((1, 1, 1), query.x.dtype)
    of_y, of_x = (
        side.gather(group).astype(group.dtype) for side, group in zip((query, reference), groups, strict=True)
    )
    same = lambda i, j: of_y[i][None, :, None] == of_x[j][:, None]  # noqa: E731
    return lambda i, j: jnp.where(same(i, j), jnp.inf, 0).astype(query.x.dtype)


def _each(f: Callable[[Items], Result], items: Items) -> Result:
    """Map over the leading axis; a single item costs no loop."""
    leading = jax.tree.leaves(items)[0]
    if leading.shape[0] > 1:
        return jax.lax.map(f, items)
    return jax.tree.map(lambda r: r[None], f(jax.tree.map(lambda item: item[0], items)))


def _wide(y: Tiles, x: Tiles, h: jax.Array, *, error: float = 1.0) -> OfTiles:
    """Numbers [r] of tiles of y to a mask [r, tiles of x]: pairs that need care."""
    return lambda i: is_wide(jnp.minimum(y.radius[i][:, None], x.radius[None]) / h, error=error)


def _exponents(
    y: Tiles,
    i: jax.Array,
    x: Tiles,
    j: jax.Array,
    h: jax.Array,
    careful: bool,
    *,
    error: float | None = None,
) -> jax.Array:
    """s = −|y − x|²/2h² between tiles i of y, [batch] or [], and j of x, shape [batch, TILE, TILE].

    With an `error`, for sums of exp(s) whose terms may err by as many `exponent_error`.
    """
    i = jnp.broadcast_to(i, j.shape)
    radius = jnp.minimum(y.radius[i], x.radius[j])
    center = jnp.where((radius == y.radius[i])[:, None], y.center[i], x.center[j])[:, None]
    if careful:
        method = careful_exponents if error is None else partial(exponents_of_sums, error=error)
        return method(y.x[i], x.x[j], center, jnp.max(radius) / h, h)
    return plain_exponents((y.x[i] - center) / h, (x.x[j] - center) / h)
