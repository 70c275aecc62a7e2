"""Tiles of environments: memory that does not grow with n·m, and far tiles left out.

Rows are ordered by recursive splits along principal axes and cut into tiles of `TILE` rows, each with a
center, a radius and a bounding box. Two tiles whose boxes are further apart than a reach R contribute
less than exp(−R²/2h²) per pair, so a reach is an error bound (see `reach`). All of this is integers and
bounds: it decides which products are formed, and how carefully.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from quests_jax.base import step_sizes
from quests_jax.base.numerics import sum_last

BOX_AXES = 16  # leading principal axes used by the bounding boxes
POWER_MARGIN = 8.0  # by which the exponent of a skipped term is smaller for each power of q: q < e⁸ there
POWER_STEPS = 3  # iterations towards each principal axis; any direction gives a valid order


class Tiles(NamedTuple):
    """Rows of x, ordered, filled up and cut. Padding comes last, has mask 0 and lies at the tile's center."""

    x: jax.Array  # [g, TILE, d]
    mask: jax.Array  # [g, TILE] float, 1 where real
    order: jax.Array  # [g * TILE] int32, source row of each slot
    center: jax.Array  # [g, d]
    radius: jax.Array  # [g], largest distance of a row from its tile's center
    low: jax.Array  # [g, axes], of the bounding box in the leading principal axes
    high: jax.Array  # [g, axes]

    def gather(self, rows: jax.Array) -> jax.Array:
        """Values given per source row, per slot: [n, ...] to [g, TILE, ...], 0 in the padding."""
        values = rows[self.order].reshape(*self.mask.shape, *rows.shape[1:])
        return values * self.mask.astype(rows.dtype).reshape(*self.mask.shape, *[1] * (rows.ndim - 1))

    def scatter(self, values: jax.Array, n: int) -> jax.Array:
        """The way back: [g, TILE, ...] to [n, ...]."""
        flat = values.reshape(-1, *values.shape[2:])
        real = self.mask.reshape(-1) > 0
        return (
            jnp.zeros((n, *flat.shape[1:]), flat.dtype)
            .at[jnp.where(real, self.order, n)]
            .set(flat, mode="drop")
        )


class Frame(NamedTuple):
    """Origin and leading principal axes, in which rows are ordered and boxes are drawn."""

    origin: jax.Array  # [1, d]
    axes: jax.Array  # [d, BOX_AXES or d] orthonormal columns, by decreasing variance


def principal_frame(x: jax.Array, count: jax.Array) -> Frame:
    """Mean and leading principal axes of the first `count` rows."""
    real = (jnp.arange(len(x), dtype=count.dtype) < count)[:, None]
    origin = jnp.sum(jnp.where(real, x, 0), axis=0, keepdims=True) / jnp.maximum(count, 1).astype(x.dtype)
    centered = jnp.where(real, x - origin, 0)
    largest = jnp.maximum(jnp.max(jnp.abs(centered)), jnp.finfo(x.dtype).tiny)
    scaled = centered / largest
    _, axes = jnp.linalg.eigh(jnp.dot(scaled.T, scaled, precision="highest"))
    return Frame(origin, axes[:, ::-1][:, :BOX_AXES])


def make_tiles(x: jax.Array, frame: Frame, count: jax.Array, *, reorder: bool = True) -> Tiles:
    """Order the first `count` rows of x [n, d] by splits along principal axes, and cut them into tiles.

    Rows beyond are padding whatever they hold. Without `reorder` the rows stay in their order.
    """
    size = -(-x.shape[0] // step_sizes.TILE) * step_sizes.TILE
    real = (jnp.arange(size, dtype=count.dtype) < count)[:, None]
    leading = jnp.dot(x - frame.origin, frame.axes, precision="highest")
    leading = jnp.where(real, jnp.pad(leading, ((0, size - x.shape[0]), (0, 0))), 0)
    rounding = 4 * float(jnp.finfo(x.dtype).eps) * x.shape[1] ** 0.5 * jnp.max(jnp.abs(leading))
    order = split_order(leading, count) if reorder else jnp.arange(size)
    order = jnp.minimum(order, x.shape[0] - 1)
    real, tiles = (rows.reshape(-1, step_sizes.TILE, rows.shape[1]) for rows in (real, x[order]))
    n_rows = _rows_of_tiles(count, len(tiles)).astype(x.dtype)[:, None]
    center = jnp.sum(jnp.where(real, tiles, 0), axis=1) / n_rows
    tiles = jnp.where(real, tiles, center[:, None])
    along = leading[order].reshape(-1, step_sizes.TILE, leading.shape[1])
    middle = jnp.sum(along, axis=1) / n_rows
    along = jnp.where(real, along, middle[:, None])
    return Tiles(
        x=tiles,
        mask=real[..., 0].astype(x.dtype),
        order=order,
        center=center,
        radius=jnp.sqrt(jnp.max(sum_last((tiles - center[:, None]) ** 2), axis=1)),
        low=along.min(axis=1) - rounding,
        high=along.max(axis=1) + rounding,
    )


def reach(bandwidth: jax.Array, n: int, error: float, *, power: int = 0) -> jax.Array:
    """Distance beyond which n terms q^k e^s together are below `error`: h √(2 ln(n / error)) for k = 0."""
    return jnp.max(bandwidth) * jnp.sqrt(2 * (jnp.log(n / error) + POWER_MARGIN * power))


def gap_squared(a: Tiles, rows: jax.Array, b: Tiles) -> jax.Array:
    """Lower bound of |y − x|² between tiles `rows` of a and all tiles of b, shape [len(rows), g_b]."""
    apart = jnp.maximum(a.low[rows][:, None] - b.high[None], b.low[None] - a.high[rows][:, None])
    return jnp.sum(jnp.maximum(apart, 0) ** 2, axis=-1)


def split_order(x: jax.Array, count: jax.Array) -> jax.Array:
    """Order of the first `count` rows by recursive halving of the tiles along each part's principal axis.

    Args:
      x: coordinates, shape [n, axes], n a multiple of TILE; 0 in the rows beyond, which stay last.
      count: rows that are no padding.
    """
    n, n_tiles = x.shape[0], x.shape[0] // step_sizes.TILE
    levels = (n_tiles - 1).bit_length()
    position = jnp.arange(n, dtype=count.dtype)
    real = position < count
    used = jnp.maximum(-(-count // step_sizes.TILE), 1)
    weight = real.astype(x.dtype)[:, None]

    def level(depth, order):
        part = jnp.minimum(((position // step_sizes.TILE) << depth) // used, (1 << levels) - 1)
        part = jnp.where(real, part, 1 << levels)
        along = _principal_projection(jnp.concatenate([x[order], weight], axis=1), part, 1 << levels)
        return _sort_rows(part, along, order, 1 << levels)

    return jax.lax.fori_loop(0, levels, level, jnp.arange(n))


def _rows_of_tiles(count: jax.Array, n_tiles: int) -> jax.Array:
    """Rows of each tile that are no padding, at least 1, as padding is last; shape [n_tiles]."""
    before = step_sizes.TILE * jnp.arange(n_tiles, dtype=count.dtype)
    return jnp.clip(count - before, 1, step_sizes.TILE)


def _sort_rows(part: jax.Array, value: jax.Array, row: jax.Array, largest_part: int) -> jax.Array:
    """Rows sorted by part, then value, as one integer each: on the CPU six times faster than by two keys."""
    row_bits = (len(row) - 1).bit_length()
    steps = 1 << (62 - row_bits - largest_part.bit_length())
    low, high = value.min(), value.max()
    scaled = (value - low) / jnp.maximum(high - low, jnp.finfo(value.dtype).tiny)
    level = jnp.minimum((scaled * steps).astype(jnp.int64), steps - 1)
    packed = ((part.astype(jnp.int64) * steps + level) << row_bits) | row
    return jnp.sort(packed) & ((1 << row_bits) - 1)


def _principal_projection(with_one: jax.Array, part: jax.Array, n_parts: int) -> jax.Array:
    """Coordinate of each row along (nearly) the principal axis of its part, by power iteration.

    Parts are whole tiles, so moments are products within tiles, added up over the tiles of a part.

    Args:
      with_one: coordinates and a 1, shape [n, axes + 1]; 0 in padding.
      part: number of the part of each row, shape [n].
      n_parts: how many there are; padding has this number.
    """
    tiles, of_tile = with_one.reshape(-1, step_sizes.TILE, with_one.shape[1]), part[:: step_sizes.TILE]
    moments = jnp.einsum("tsa,tsb->tab", tiles, tiles, precision="highest")
    moments = jax.ops.segment_sum(moments, of_tile, n_parts)
    moments = moments / jnp.maximum(moments[:, -1:, -1:], 1)
    mean = moments[:, -1, :-1]
    covariance = moments[:, :-1, :-1] - mean[:, :, None] * mean[:, None, :]

    def step(_, axis):
        axis = jnp.einsum("pab,pb->pa", covariance, axis, precision="highest")
        return axis / jnp.maximum(jnp.linalg.norm(axis, axis=1, keepdims=True), jnp.finfo(axis.dtype).tiny)

    variance = jnp.diagonal(covariance, axis1=1, axis2=2)
    widest = jax.nn.one_hot(variance.argmax(axis=1), mean.shape[1], dtype=mean.dtype)
    axis = jax.lax.fori_loop(0, POWER_STEPS, step, widest)
    return jnp.einsum("tsa,ta->ts", tiles[:, :, :-1], axis[of_tile], precision="highest").reshape(-1)
