"""The sums of `streaming` for small sets, formed at once: no tiles, no order, quick to compile."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from quests_jax.information.sums.exponents import exponents
from quests_jax.information.sums.tiles import FAR

LARGEST = 2**18  # pairs of rows; 2 MB in float64


def product(y: jax.Array, x: jax.Array, v: jax.Array, a: jax.Array, b: jax.Array, h: jax.Array) -> jax.Array:
    """Σ_j exp(s_ij − a_i − b_j) v_jc, shape [m, c]."""
    return jnp.exp(_exponents(y, x, h) - a[:, None] - b[None]) @ v


def log_sum(y: jax.Array, x: jax.Array, b: jax.Array, h: jax.Array) -> jax.Array:
    """ln Σ_j exp(s_ij − b_j), shape [m] or [H, m]."""
    sums = jax.lax.map(lambda h: jax.nn.logsumexp(_exponents(y, x, h) - b[None], axis=1), jnp.atleast_1d(h))
    return sums.reshape(*h.shape, len(y))


def self_sum(x: jax.Array, w: jax.Array, h: jax.Array) -> jax.Array:
    """Σ_j w_j exp(s_ij) for y = x, shape [n] or [H, n]."""
    itself = jnp.eye(len(x), dtype=bool)
    kernel = lambda h: jnp.exp(jnp.where(itself, 0, _exponents(x, x, h)))  # noqa: E731
    sums = jax.lax.map(lambda h: kernel(h) @ w, jnp.atleast_1d(h))
    return sums.reshape(*h.shape, len(x))


def self_force(x: jax.Array, w: jax.Array, g: jax.Array, h: jax.Array) -> jax.Array:
    """Σ_j K_kj (g_k w_j + g_j w_k)(x_j − x_k) / h², shape [n, d]."""
    pull = jnp.exp(_exponents(x, x, h)) * (g[:, None] * w[None] + w[:, None] * g[None])
    return (pull @ x - pull.sum(axis=1)[:, None] * x) / h**2


def _exponents(y: jax.Array, x: jax.Array, h: jax.Array) -> jax.Array:
    """s_ij = −|y_i − x_j|²/2h², shape [m, n]; −inf where x_j is padding."""
    real = x[:, 0] < FAR / 2
    origin = jnp.sum(jnp.where(real[:, None], x, 0), axis=0, keepdims=True) / jnp.maximum(
        real.sum(dtype=x.dtype), 1
    )
    a, b = (y - origin) / h, (x - origin) / h
    radius = jnp.sqrt(jnp.max(jnp.where(real, jnp.sum(b**2, axis=1), 0)))
    return jnp.where(real[None], exponents(a[None], b[None], radius)[0], -jnp.inf)
