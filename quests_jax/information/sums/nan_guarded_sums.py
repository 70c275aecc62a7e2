"""Sums without rules for derivatives of their own, of rows that may hold numbers that are not finite.

Such a row gives NaN wherever a sum contains it, and nowhere else.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from quests_jax.base import step_sizes
from quests_jax.base.numerics import finite_rows
from quests_jax.information.sums import dense, log_sums, structure_sums, tile_by_tile
from quests_jax.information.sums.primitive_registration import bind, make_primitive
from quests_jax.information.sums.varying_axes import alike


def _masses_impl(counts, y, x, number, h, *, n_structures, error, at):
    (y, bad_y), (x, bad_x) = finite_rows(y), finite_rows(x)
    bad = bad_y | jnp.any(bad_x) | ~(h > 0)
    sums = dense.by_size(dense.masses, partial(structure_sums.masses, error=error))
    total = sums(counts, y, x, number, h, n_structures=n_structures, at=at)
    return jnp.where(bad[:, None], jnp.nan, total)


def _cross_impl(counts, y, x, h, *, at):
    (y, bad_y), (x, bad_x) = finite_rows(y), finite_rows(x)
    sums = jnp.concatenate(tile_by_tile.cross_sums(counts, y, x, h, at=at))
    bad = jnp.concatenate([bad_y | jnp.any(bad_x), bad_x | jnp.any(bad_y)]) | ~(h > 0)
    return jnp.where(bad, jnp.nan, sums)


def _others_impl(counts, y, x, of_y, of_x, h, *, at):
    (y, bad_y), (x, bad_x) = finite_rows(y), finite_rows(x)
    log_sum = dense.by_size(dense.log_sum, log_sums.log_sum)
    sums = log_sum(counts, y, x, jnp.zeros(len(x), x.dtype), h, (of_y, of_x), at=at)
    bad_y = bad_y.reshape((1,) * h.ndim + (-1,))
    return jnp.where(bad_y | jnp.any(bad_x) | ~(h[..., None] > 0), jnp.nan, sums)


_masses_p = make_primitive(
    "structure_masses",
    _masses_impl,
    lambda counts, y, x, number, h, n_structures, error: (y.shape[0], n_structures),
)
_cross_p = make_primitive(
    "cross_kernel_sums", _cross_impl, lambda counts, y, x, h: (y.shape[0] + x.shape[0],)
)
_others_p = make_primitive(
    "log_sum_of_others", _others_impl, lambda counts, y, x, of_y, of_x, h: (y.shape[0],)
)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def structure_masses(n_structures, error, counts, y, x, number, h):
    """Masses of all structures, [m, S]."""
    return bind(_masses_p, counts, y, x, number, h, n_structures=n_structures, error=error)


@structure_masses.defjvp
def _masses_jvp(n_structures, error, primals, tangents):
    _, dy, dx, _, dh = tangents
    given = alike(*primals, dy, dx, dh)
    change = structure_sums.tangent(*given, n_structures=n_structures, at=step_sizes.here())
    return structure_masses(n_structures, error, *primals), change


def cross_sums(counts, y, x, h):
    """Sums of y, followed by those of x, [m + n]."""
    return bind(_cross_p, counts, y, x, h)


def log_sums_of_others(counts, y, x, of_y, of_x, h):
    """Log sums over rows of other groups, [m] or [H, m]."""
    return bind(_others_p, counts, y, x, of_y, of_x, h)
