"""Every NaN guard, every tolerance that follows from the dtype, and a sum that CPUs are good at."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def safe_sqrt(x: jax.Array) -> jax.Array:
    """√x for x ≥ 0 whose gradient at 0 is 0 instead of infinite (coincident points, padding)."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def safe_reciprocal(x: jax.Array) -> jax.Array:
    """1/x, and 0 with gradient 0 where x is 0 (padding, a neighbor's distance to itself)."""
    nonzero = x != 0
    return jnp.where(nonzero, 1.0 / jnp.where(nonzero, x, 1.0), 0.0)


def safe_log(x: jax.Array) -> jax.Array:
    """ln x, and -inf with gradient 0 where x is 0 (an empty or underflowed sum)."""
    positive = x > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, x, 1.0)), -jnp.inf)


def sum_last(x: jax.Array) -> jax.Array:
    """Sum over the last axis as a product: on CPUs reductions are not vectorized, products are.

    With halves, because XLA turns a product with ones into a reduction.
    """
    return 2 * jnp.dot(x, jnp.full(x.shape[-1], 0.5, x.dtype), precision="highest")


def overlap_tolerance(dtype: jnp.dtype) -> float:
    """Largest δH, in nats, that still counts as covered: 1e-5, or 64 roundings of the dtype if larger.

    The value 1e-5 is that of QUESTS' compression metrics; float32 sums are exact to about 8e-6.
    """
    return max(1e-5, 64 * float(jnp.finfo(dtype).eps))


def exponent_error(dtype: jnp.dtype) -> float:
    """Error allowed in an exponent of plain products: 5e-13 in float64, 5e-6 in float32."""
    return 5e-13 if jnp.finfo(dtype).bits == 64 else 5e-6


def half_precision_bits(dtype: jnp.dtype, n_terms: int) -> int:
    """Bits a number may have for a sum of `n_terms` products of two such numbers to be exact."""
    return (jnp.finfo(dtype).nmant - (n_terms - 1).bit_length() - 1) // 2
