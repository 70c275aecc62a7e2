"""The logarithm of a kernel sum, tile by tile, in units of the largest term of each query."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from quests_jax.base import step_sizes
from quests_jax.base.step_sizes import Platform
from quests_jax.information.sums import tile_geometry as tl
from quests_jax.information.sums.exponents import base_and_scale, plain_exponents
from quests_jax.information.sums.fused_kernels import log_kernels
from quests_jax.information.sums.near_tile_pairs import (
    SKIPPED,
    active_pairs,
    at_place,
    each,
    exponents_of,
    fold_near,
    map_bands,
    summed,
    tiles_of,
    totals,
    wide_pairs,
)
from quests_jax.information.sums.tile_geometry import Tiles

ROUNDINGS = 64.0  # that a distance to a known row may err by, of itself and of the radius of its tile


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
    query, reference = tiles_of(counts, y, x)
    own = _groups(query, reference, groups)
    base, scale = base_and_scale(h)
    shift = jnp.where(reference.mask > 0, reference.gather(shift), jnp.inf)

    def band(tile, exists):
        def add(row, j, carry, careful):
            i = at_place(tile, row)
            groups = None if own is None else (own[0][i], own[1][j])

            def in_kernel(rows):
                fresh = log_kernels(rows, shift[j], scale, groups, how=at.fused)
                return each(partial(_log_joined, row), (*fresh, *carry))

            def formed():
                exponent = exponents_of(query, i, reference, j, base, careful, at)
                shifted = shift[j][:, None] + (0 if groups is None else _infinite_within(*groups))
                return each(partial(_log_added, row, exponent, shifted, at), (scale, *carry))

            return summed(in_kernel, formed, query, i, reference, j, base, careful, at)

        near = within_reach(query, tile, reference, own, shift, base, scale)
        near &= active_pairs(query, tile, exists, reference)
        size = (len(scale), len(tile), step_sizes.TILE)
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
    now, largest, total = _in_new_units(row, scaled.max(axis=2), top, total)
    fresh = totals(jnp.exp(scaled - now[:, :, None]), at)
    return largest, total.at[row].add(fresh, mode="drop")


def _log_joined(row: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
    """The same with the terms of a batch that are summed already, [b, TILE] each, in units of their own."""
    of_pairs, fresh, top, total = state
    now, largest, total = _in_new_units(row, of_pairs, top, total)
    return largest, total.at[row].add(fresh * jnp.exp(of_pairs - now), mode="drop")


def _in_new_units(
    row: jax.Array, fresh: jax.Array, top: jax.Array, total: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The largest terms of the rows of a batch [b, TILE] and of all rows, and the sums in these units."""
    largest = top.at[row].max(fresh, mode="drop")
    before, now = at_place(top, row), at_place(largest, row)
    return now, largest, total.at[row].set(at_place(total, row) * jnp.exp(before - now), mode="drop")


def within_reach(
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

    return jnp.any(each(near, scale), axis=0)


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
