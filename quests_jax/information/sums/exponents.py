"""Exponents of the kernel, s = −|y − x|²/2h², for blocks of rows.

Plain ones come from |a − b|² = |a|² + |b|² − 2 a·b with both sides measured from a center near to the rows
of one side, so that the cancellation costs about eps·r² for rows within r of it, in units of h. Where that is
more than `exponent_error` allows (see `is_wide`), they come from differences, or in float32 on a CPU from
plain products in float64.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from quests_jax.base.numerics import exponent_error, sum_last
from quests_jax.base.step_sizes import Platform
from quests_jax.base.vmap_members import in_any_member

MARGIN = 8.0  # errors of plain exponents, in units of eps·radius², that a near term may have


def is_wide(radius: jax.Array, *, error: float = 1.0) -> jax.Array:
    """Whether plain products err by more than is allowed, times `error`, for rows within `radius`."""
    return radius**2 * jnp.finfo(radius.dtype).eps > error * exponent_error(radius.dtype)


def too_wide_for_float64(radius: jax.Array) -> jax.Array:
    """Whether plain products in float64 err by more than is allowed in float32."""
    return radius**2 * float(jnp.finfo(jnp.float64).eps) >= exponent_error(radius.dtype)


def plain_exponents(a: jax.Array, b: jax.Array) -> jax.Array:
    """−|a − b|²/2 for all pairs, [batch, t, d] and [batch, s, d] to [batch, t, s], never above 0."""
    inner = jnp.einsum("btd,bsd->bts", a, b, precision="highest")
    return jnp.minimum(inner - 0.5 * sum_last(a**2)[:, :, None] - 0.5 * sum_last(b**2)[:, None, :], 0)


def careful_exponents(
    y: jax.Array, x: jax.Array, center: jax.Array, radius: jax.Array, h: jax.Array, *, at: Platform
) -> jax.Array:
    """−|y − x|²/2h² for all pairs of rows, however far from the center they are.

    Args:
      y: rows, shape [batch, t, d].
      x: rows, shape [batch, s, d].
      center: center of the rows of one side, shape [batch, 1, d].
      radius: largest distance of a row of that side from its center, in units of h.
      h: bandwidth.
      at: the platform.
    """
    if y.dtype == jnp.float64 or not at.repairs_in_double:
        return difference_exponents(y, x, h, at.features)
    exact = lambda y, x, center, h: difference_exponents(y, x, h, at.features)  # noqa: E731
    return jax.lax.cond(in_any_member(too_wide_for_float64(radius)), exact, _in_float64, y, x, center, h)


def exponents_of_sums(
    y: jax.Array,
    x: jax.Array,
    center: jax.Array,
    radius: jax.Array,
    h: jax.Array,
    *,
    error: float = 1.0,
    at: Platform,
) -> jax.Array:
    """`careful_exponents` for sums of exp(s), whose far terms are small, and their errors with them.

    Plain ones err by about δ = eps·radius², which is δ exp(s) in a term: they do unless that is more than
    `exponent_error` times `error` somewhere. Arguments as of `careful_exponents`.
    """
    plain = plain_exponents((y - center) / h, (x - center) / h)
    drift = radius**2 * jnp.finfo(y.dtype).eps
    far = jnp.log(jnp.maximum(drift / (error * exponent_error(y.dtype)), 1.0)) + MARGIN * drift
    careful = lambda *args: careful_exponents(*args[1:], at=at)  # noqa: E731
    kept = lambda plain, *args: plain  # noqa: E731
    nearest = jnp.max(jnp.max(plain, axis=1))
    return jax.lax.cond(in_any_member(nearest > -far), careful, kept, plain, y, x, center, radius, h)


def exponents(
    y: jax.Array, x: jax.Array, center: jax.Array, radius: jax.Array, h: jax.Array, *, at: Platform
) -> jax.Array:
    """`careful_exponents` if need be, else plain ones."""
    plain = lambda y, x, center, radius, h: plain_exponents((y - center) / h, (x - center) / h)  # noqa: E731
    careful = partial(careful_exponents, at=at)
    return jax.lax.cond(in_any_member(is_wide(radius)), careful, plain, y, x, center, radius, h)


def difference_exponents(y: jax.Array, x: jax.Array, h: jax.Array, features: int) -> jax.Array:
    """−Σ_e (y_e − x_e)²/2h² for all pairs, `features` at a time; errors are a few roundings."""
    features = min(features, y.shape[2])
    missing = ((0, 0), (0, 0), (0, -y.shape[2] % features))
    y, x, inverse = jnp.pad(y, missing), jnp.pad(x, missing), 1 / h

    def add(number, total):
        a, b = (jax.lax.dynamic_slice_in_dim(rows, number * features, features, 2) for rows in (y, x))
        for e in range(features):
            total = total + ((a[:, :, None, e] - b[:, None, :, e]) * inverse) ** 2
        return total

    start = jnp.zeros((*y.shape[:2], x.shape[1]), y.dtype)
    if y.shape[2] == features:
        return -0.5 * add(0, start)
    return -0.5 * jax.lax.fori_loop(0, y.shape[2] // features, add, start)


def base_and_scale(h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The smallest bandwidth, in which exponents are formed, and the factor of each: (base/h)², [H]."""
    base = jnp.min(h)
    return base, (base / jnp.atleast_1d(h)) ** 2


def squared_distance(exponent: jax.Array, power: int) -> jax.Array:
    """q^k with q = −2s = |y − x|²/h²."""
    return (-2 * exponent) ** power


def steepness(exponent: jax.Array, power: int) -> jax.Array:
    """q^k − 2k q^(k−1), the factor in d(q^k e^s) = (q^k − 2k q^(k−1)) e^s ds."""
    whole = squared_distance(exponent, power)
    return whole - 2 * power * squared_distance(exponent, power - 1) if power else whole


def _in_float64(y: jax.Array, x: jax.Array, center: jax.Array, h: jax.Array) -> jax.Array:
    """Plain products of rows that are float64 before the center is taken away."""
    a, b = (
        (rows.astype(jnp.float64) - center.astype(jnp.float64)) / h.astype(jnp.float64) for rows in (y, x)
    )
    return plain_exponents(a, b).astype(y.dtype)
