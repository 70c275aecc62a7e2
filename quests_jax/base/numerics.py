"""Every NaN guard, every tolerance that follows from the dtype, and a sum that CPUs are good at."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def safe_sqrt(x: jax.Array) -> jax.Array:
    """√x for x ≥ 0 whose gradient at 0 is 0 instead of infinite (coincident points, padding)."""
    zero = x == 0  # and not "positive": NaN stays NaN
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, x)))


def safe_reciprocal(x: jax.Array) -> jax.Array:
    """1/x, and 0 with gradient 0 where x is 0 (padding, a neighbor's distance to itself)."""
    nonzero = x != 0
    return jnp.where(nonzero, 1.0 / jnp.where(nonzero, x, 1.0), 0.0)


@jax.custom_jvp
def scaled(v: jax.Array, u: jax.Array) -> jax.Array:
    """v u, which stays 0 for v = 0 where it is transposed and u comes as infinite: a row without weight.

    Where such a row is much nearer than all that have a weight, exp(s_ij − L_i) overflows. That is the
    derivative by its weight; its derivatives by rows are 0.
    """
    return jnp.where(v == 0, 0, v * u)


@scaled.defjvp
def _scaled_jvp(primals, tangents):
    (v, u), (dv, du) = primals, tangents
    return scaled(v, u), dv * u + scaled(v, du)


def sum_last(x: jax.Array) -> jax.Array:
    """Sum over the last axis as a product: on CPUs reductions are not vectorized, products are.

    With halves, because XLA turns a product with ones into a reduction.
    """
    return 2 * jnp.dot(x, jnp.full(x.shape[-1], 0.5, x.dtype), precision="highest")


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """`jnp.dot` in the highest precision: accelerators would round what they multiply to TF32 or bfloat16."""
    return jnp.dot(a, b, precision="highest")


def largest(values: jax.Array, count: int) -> jax.Array:
    """Places of the largest values [n], shape [count]; CPUs are slow at `top_k`."""
    return jnp.argmax(values)[None] if count == 1 else jax.lax.top_k(values, count)[1]


def finite_rows(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows [n, d] with zeros for those that hold a number that is not finite, and which those are, [n]."""
    bad = ~jnp.all(jnp.isfinite(rows), axis=1)
    return jnp.where(bad[:, None], 0, rows), bad


def overlap_tolerance(dtype: jnp.dtype) -> float:
    """Largest δH, in nats, that still counts as covered: 1e-5, or 64 roundings of the dtype if larger.

    The value 1e-5 is that of QUESTS' compression metrics; float32 sums are exact to about 8e-6.
    """
    return max(1e-5, 64 * float(jnp.finfo(dtype).eps))


def exponent_error(dtype: jnp.dtype) -> float:
    """Error allowed in an exponent of plain products: 5e-13 in float64, 5e-6 in float32."""
    return 5e-13 if jnp.finfo(dtype).bits == 64 else 5e-6
