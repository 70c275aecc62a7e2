"""Pairs first, then work: near pairs of tiles are listed, and the list is summed in batches of one size.

Which pairs are near depends on the data, how many are formed in one step on the platform alone (see
`quests_jax.base.step_sizes`). A band is as many tiles of the first side as are looked through at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import jax
import jax.numpy as jnp

from quests_jax.base.numerics import sum_last
from quests_jax.base.step_sizes import Platform
from quests_jax.base.vmap_members import in_any_member, most_of_members
from quests_jax.information.sums.exponents import (
    careful_exponents,
    exponents_of_sums,
    is_wide,
    plain_exponents,
    too_wide_for_float64,
)
from quests_jax.information.sums.fused_kernels import TilePairs
from quests_jax.information.sums.tile_geometry import Tiles, make_tiles, principal_frame

Carry = TypeVar("Carry")
Items = TypeVar("Items")  # arrays with a leading axis
Result = TypeVar("Result")

SKIPPED = 1e-12  # what all skipped tiles together may add to a sum, relative to the largest kernel 1


class Step(Protocol[Carry]):
    """What a batch of pairs adds."""

    def __call__(self, row: jax.Array, column: jax.Array, carry: Carry, /, careful: bool) -> Carry:
        """The carry once pairs [batch] are added: place of the first tile in its band, number of the second.

        A pair of padding has a place behind the band, where nothing may be added. `careful` where plain
        products err by too much (see `exponents`).
        """
        ...


def fold_near(near: jax.Array, wide: jax.Array, step: Step[Carry], carry: Carry, at: Platform) -> Carry:
    """Fold `step` over the pairs that are near, [r, c], a batch at a time; those that are `wide` come last.

    The two kinds have a loop each: a condition inside one loop would cost a copy of every tile of kernels,
    and a CPU leaves what is inside to one thread.
    """
    columns, batch = near.shape[1], min(at.pairs, near.size)
    total, plain = jnp.sum(near, dtype=jnp.int32), near & ~wide
    n_plain = jnp.sum(plain, dtype=jnp.int32)
    for careful, wanted, count in ((False, plain, n_plain), (True, near & wide, total - n_plain)):
        size = -(-near.size // batch) * batch
        (listed,) = jnp.nonzero(wanted.reshape(-1), size=size, fill_value=near.size)
        listed = listed.astype(jnp.int32)

        def body(number, carry, listed=listed, careful=careful):
            pair = jax.lax.dynamic_slice_in_dim(listed, number * batch, batch)
            return step(pair // columns, pair % columns, carry, careful=careful)

        count = most_of_members(count)  # the list goes on with pairs of padding
        carry = jax.lax.fori_loop(0, jax.lax.div(count + (batch - 1), jnp.int32(batch)), body, carry)
    return carry


def bands_of(n_tiles: int, columns: int, at: Platform) -> jax.Array:
    """Numbers of the tiles of each band, [bands, r]; those from `n_tiles` on are padding."""
    rows = min(max(at.listed // columns, 1), n_tiles)
    return jnp.arange(-(-n_tiles // rows) * rows, dtype=jnp.int32).reshape(-1, rows)


def map_bands(
    band: Callable[[jax.Array, jax.Array], Carry], n_tiles: int, columns: int, at: Platform
) -> Carry:
    """`band` of its tiles [r] and of whether they exist [r], to arrays [r, ...]: joined, [n_tiles, ...]."""
    bands = bands_of(n_tiles, columns, at)
    if len(bands) == 1:
        return _band(band, bands[0], n_tiles)
    parts = jax.lax.map(lambda numbers: _band(band, numbers, n_tiles), bands)
    return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:])[:n_tiles], parts)


def fold_bands(
    band: Callable[[jax.Array, jax.Array, Carry], Carry],
    n_tiles: int,
    columns: int,
    carry: Carry,
    at: Platform,
) -> Carry:
    """Fold `band` of its tiles [r], of whether they exist [r] and of the carry over all bands."""
    bands = bands_of(n_tiles, columns, at)

    def step(number, carry):
        return _band(lambda tile, exists: band(tile, exists, carry), bands[number], n_tiles)

    return step(0, carry) if len(bands) == 1 else jax.lax.fori_loop(0, len(bands), step, carry)


def _band(band: Callable[[jax.Array, jax.Array], Carry], numbers: jax.Array, n_tiles: int) -> Carry:
    return band(jnp.minimum(numbers, n_tiles - 1), numbers < n_tiles)


def at_place(values: jax.Array, row: jax.Array) -> jax.Array:
    """What is at these places of a band; anything for a place behind it."""
    return values[jnp.minimum(row, len(values) - 1)]


def active_pairs(y: Tiles, rows: jax.Array, exists: jax.Array, x: Tiles) -> jax.Array:
    """Whether two tiles both hold rows that are no padding, [r, g]."""
    return (y.mask[rows].max(axis=1) > 0)[:, None] & exists[:, None] & (x.mask.max(axis=1) > 0)[None]


def wide_pairs(y: Tiles, rows: jax.Array, x: Tiles, h: jax.Array, *, error: float = 1.0) -> jax.Array:
    """Pairs of tiles that need care, [r, g]."""
    return is_wide(jnp.minimum(y.radius[rows][:, None], x.radius[None]) / h, error=error)


def exponents_of(
    y: Tiles,
    i: jax.Array,
    x: Tiles,
    j: jax.Array,
    h: jax.Array,
    careful: bool,
    at: Platform,
    *,
    error: float | None = None,
) -> jax.Array:
    """s = −|y − x|²/2h² between tiles i of y and j of x, [batch] each, shape [batch, TILE, TILE].

    With an `error`, for sums of exp(s) whose terms may err by as many `exponent_error`.
    """
    if careful:
        radius, center = _smaller(y, i, x, j)
        method = careful_exponents if error is None else partial(exponents_of_sums, error=error)
        return method(y.x[i], x.x[j], center, jnp.max(radius) / h, h, at=at)
    return plain_exponents(*_scaled_rows(y, i, x, j, h))


def summed(
    in_kernel: Callable[[TilePairs], Result],
    formed: Callable[[], Result],
    y: Tiles,
    i: jax.Array,
    x: Tiles,
    j: jax.Array,
    h: jax.Array,
    careful: bool,
    at: Platform,
) -> Result:
    """What tiles i of y and j of x add: `in_kernel` where a kernel of its own sums them, else `formed`."""
    if not at.fused or (careful and y.x.dtype == jnp.float64):
        return formed()
    if not careful:
        return in_kernel(TilePairs(*_scaled_rows(y, i, x, j, h), None))
    radius, center = _smaller(y, i, x, j)
    wide = in_any_member(too_wide_for_float64(jnp.max(radius) / h))
    rows = TilePairs(y.x[i], x.x[j], (center, h[None]))
    return jax.lax.cond(wide, formed, lambda: in_kernel(rows))


def _scaled_rows(y: Tiles, i: jax.Array, x: Tiles, j: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows of tiles i of y and j of x, measured from the center of the smaller one in units of h."""
    _, center = _smaller(y, i, x, j)
    return (y.x[i] - center) / h, (x.x[j] - center) / h


def _smaller(y: Tiles, i: jax.Array, x: Tiles, j: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Radius [b] and center [b, 1, d] of the smaller tile of each pair."""
    radius = jnp.minimum(y.radius[i], x.radius[j])
    return radius, jnp.where((radius == y.radius[i])[:, None], y.center[i], x.center[j])[:, None]


def row_sums(kernel: jax.Array, w: jax.Array, at: Platform) -> jax.Array:
    """Σ_s K_ts w_s of each pair of tiles, [b, t]."""
    if at.sums_by_products:
        return jnp.einsum("bts,bs->bt", kernel, w, precision="highest")
    return jnp.sum(kernel * w[:, None], axis=2)


def column_sums(kernel: jax.Array, w: jax.Array, at: Platform) -> jax.Array:
    """Σ_t K_ts w_t of each pair of tiles, [b, s]."""
    if at.sums_by_products:
        return jnp.einsum("bts,bt->bs", kernel, w, precision="highest")
    return jnp.sum(kernel * w[:, :, None], axis=1)


def totals(kernel: jax.Array, at: Platform) -> jax.Array:
    """Σ_s K_ts of each pair of tiles, [b, t]."""
    return sum_last(kernel) if at.sums_by_products else jnp.sum(kernel, axis=2)


def tiles_of(counts: jax.Array, y: jax.Array, x: jax.Array) -> tuple[Tiles, Tiles]:
    """Both sides as tiles, ordered in the frame of x."""
    frame = principal_frame(x, counts[1])
    return make_tiles(y, frame, counts[0]), make_tiles(x, frame, counts[1])


def each(f: Callable[[Items], Result], items: Items) -> Result:
    """Map over the leading axis; a single item costs no loop."""
    leading = jax.tree.leaves(items)[0]
    if leading.shape[0] > 1:
        return jax.lax.map(f, items)
    return jax.tree.map(lambda r: r[None], f(jax.tree.map(lambda item: item[0], items)))
