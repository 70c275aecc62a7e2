"""Exponents of the kernel, −|a − b|²/2 for rows in units of h, as products.

They come from |a − b|² = |a|² + |b|² − 2 a·b with both sides measured from a common origin, so that the
cancellation costs about eps·r² for rows within r of it. Where that is more than `exponent_error` allows (see
`is_wide`), the products are formed more carefully.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from quests_jax.base.numerics import exponent_error, half_precision_bits, sum_last

BEYOND = 4.0  # how far a row may lie outside the radius for its products to be exact, in units of h


def is_wide(radius: jax.Array, *, error: float = 1.0) -> jax.Array:
    """Whether plain products err by more than is allowed, times `error`, for rows within `radius`."""
    return radius**2 * jnp.finfo(radius.dtype).eps > error * exponent_error(radius.dtype)


def plain_exponents(a: jax.Array, b: jax.Array) -> jax.Array:
    """−|a − b|²/2 for all pairs, [batch, t, d] and [batch, s, d] to [batch, t, s], never above 0."""
    return jnp.minimum(_gram(a, b), 0)


def careful_exponents(a: jax.Array, b: jax.Array, radius: jax.Array) -> jax.Array:
    """`plain_exponents` where rows a or b lie up to `radius` from the origin, however far that is.

    Products of float32 are formed in float64 on a CPU. Elsewhere, and in float64, they are split in three.
    """
    if a.dtype == jnp.float64:
        return split_exponents(a, b, radius)
    return jax.lax.platform_dependent(a, b, radius, cpu=_in_float64, default=split_exponents)


def exponents(a: jax.Array, b: jax.Array, radius: jax.Array) -> jax.Array:
    """`careful_exponents` if need be."""
    plain = lambda a, b, radius: plain_exponents(a, b)  # noqa: E731
    return jax.lax.cond(is_wide(radius), careful_exponents, plain, a, b, radius)


def _gram(a: jax.Array, b: jax.Array) -> jax.Array:
    """a·b − |a|²/2 − |b|²/2 for all pairs."""
    inner = jnp.einsum("btd,bsd->bts", a, b, precision="highest")
    return inner - 0.5 * sum_last(a**2)[:, :, None] - 0.5 * sum_last(b**2)[:, None, :]


def _in_float64(a: jax.Array, b: jax.Array, radius: jax.Array) -> jax.Array:
    del radius
    return plain_exponents(a.astype(jnp.float64), b.astype(jnp.float64)).astype(a.dtype)


def split_exponents(a: jax.Array, b: jax.Array, radius: jax.Array) -> jax.Array:
    """`careful_exponents` with a = A + α, A on a grid so coarse that products of A's are exact.

    a·b − |a|²/2 − |b|²/2 = [A·B − |A|²/2 − |B|²/2] + [A·β + α·b − (A + α/2)·α − (B + β/2)·β]
    """
    exponent = jnp.ceil(jnp.log2(radius + BEYOND)).astype(int) - half_precision_bits(a.dtype, a.shape[-1])
    step = jnp.ldexp(jnp.ones((), a.dtype), exponent)  # exp2 need not return a power of two
    coarse_a, coarse_b = jnp.round(a / step) * step, jnp.round(b / step) * step
    fine_a, fine_b = a - coarse_a, b - coarse_b
    left, right = jnp.concatenate([coarse_a, fine_a], -1), jnp.concatenate([fine_b, b], -1)
    cross = jnp.einsum("btd,bsd->bts", left, right, precision="highest")
    own_a = sum_last((coarse_a + 0.5 * fine_a) * fine_a)[:, :, None]
    own_b = sum_last((coarse_b + 0.5 * fine_b) * fine_b)[:, None, :]
    return jnp.minimum(_gram(coarse_a, coarse_b) + (cross - own_a - own_b), 0)
