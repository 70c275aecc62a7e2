"""The sums of `tile_by_tile`, and masses, of small sets, formed at once: no tiles, quick to compile."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from quests_jax.base.step_sizes import TILE, Platform
from quests_jax.information.sums.exponents import (
    base_and_scale,
    exponents,
    squared_distance,
    steepness,
)


def by_size(small: Callable[..., jax.Array], large: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """The dense sum where all pairs fit into the cache, the streaming one beyond."""

    def impl(count, *args, at, **options):
        rows, columns = len(args[0]), len(args[1])  # x and its weights where y is x
        return (small if rows * columns <= at.dense else large)(count, *args, at=at, **options)

    return impl


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
    at: Platform,
) -> jax.Array:
    """Σ_j q_ij^k exp(s_ij − a_i − b_j) v_jc, shape [m, c]."""
    exponent = _exponents(counts, y, x, h, at)
    kernel = squared_distance(exponent, power) * jnp.exp(exponent - a[:, None] - b[None])
    real = _real(y, counts[0])[:, None] & _real(x, counts[1])[None]
    return jnp.dot(jnp.where(real, kernel, 0), v, precision="highest")


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
    """ln Σ_j exp(s_ij − shift_j), shape [m] or [H, m]; with groups of y and x, over j of other groups."""
    shift = jnp.where(_real(x, counts[1]), shift, jnp.inf)[None]
    if groups is not None:
        shift = jnp.where(groups[0][:, None] == groups[1][None], jnp.inf, shift)
    base, scale = base_and_scale(h)
    exponent = _exponents(counts, y, x, base, at)
    sums = jax.lax.map(lambda ratio: jax.nn.logsumexp(exponent * ratio - shift, axis=1), scale)
    return jnp.where(_real(y, counts[0]), sums, 0).reshape(*h.shape, len(y))


def log_sum_in_parts(
    counts: jax.Array, y: jax.Array, x: jax.Array, shift: jax.Array, h: jax.Array, *, at: Platform
) -> jax.Array:
    """`log_sum` of parts of the longer side, one after the other, where the other side is a tile."""
    longer = int(len(x) > len(y))
    length = at.dense // TILE
    starts = jnp.arange(0, max(len(x), len(y)), length, dtype=counts.dtype)

    def part(start):
        inside = counts.at[longer].set(jnp.clip(counts[longer] - start, 0, length))
        if longer:
            return log_sum(inside, y, _part(x, start, length), _part(shift, start, length), h, at=at)
        return log_sum(inside, _part(y, start, length), x, shift, h, at=at)

    sums = jax.lax.map(part, starts)
    if longer:
        return jax.nn.logsumexp(sums, axis=0)
    return jnp.moveaxis(sums, 0, -2).reshape(*h.shape, -1)[..., : len(y)]


def _part(rows: jax.Array, start: jax.Array, length: int) -> jax.Array:
    """Rows from `start` on, filled up with zeros."""
    filled = jnp.pad(rows, [(0, -len(rows) % length)] + [(0, 0)] * (rows.ndim - 1))
    return jax.lax.dynamic_slice_in_dim(filled, start, length)


def self_sum(
    count: jax.Array, x: jax.Array, w: jax.Array, h: jax.Array, *, power: int, at: Platform
) -> jax.Array:
    """Σ_j w_j q_ij^k exp(s_ij) for y = x, shape [n] or [H, n]."""
    itself = jnp.eye(len(x), dtype=bool)
    w = jnp.where(_real(x, count), w, 0)
    base, scale = base_and_scale(h)
    exponent = jnp.where(itself, 0, _exponents(jnp.stack([count, count]), x, x, base, at))

    def sums(ratio):
        scaled = exponent * ratio
        return jnp.dot(squared_distance(scaled, power) * jnp.exp(scaled), w, precision="highest")

    return jax.lax.map(sums, scale).reshape(*h.shape, len(x))


def self_force(
    count: jax.Array, x: jax.Array, w: jax.Array, g: jax.Array, h: jax.Array, *, power: int, at: Platform
) -> jax.Array:
    """Σ_j f(q_kj) exp(s_kj) (g_k w_j + g_j w_k)(x_j − x_k) / h² with f of `steepness`, shape [n, d]."""
    exponent = _exponents(jnp.stack([count, count]), x, x, h, at)
    pull = steepness(exponent, power) * jnp.exp(exponent) * (g[:, None] * w[None] + w[:, None] * g[None])
    real = _real(x, count)
    pull = jnp.where(real[:, None] & real[None], pull, 0)
    return (jnp.dot(pull, x, precision="highest") - pull.sum(axis=1)[:, None] * x) / h**2


def masses(
    counts: jax.Array,
    y: jax.Array,
    x: jax.Array,
    structure: jax.Array,
    h: jax.Array,
    *,
    n_structures: int,
    at: Platform,
) -> jax.Array:
    """Σ_{j in s} exp(s_ij) of every structure s, shape [m, S]."""
    structure = jnp.where(_real(x, counts[1]), structure, n_structures)
    kernel = jnp.where(_real(y, counts[0])[:, None], jnp.exp(_exponents(counts, y, x, h, at)), 0)
    return jax.ops.segment_sum(kernel.T, structure, n_structures + 1)[:n_structures].T


def _real(x: jax.Array, count: jax.Array) -> jax.Array:
    return jnp.arange(len(x), dtype=count.dtype) < count


def _exponents(counts: jax.Array, y: jax.Array, x: jax.Array, h: jax.Array, at: Platform) -> jax.Array:
    """s_ij = −|y_i − x_j|²/2h², shape [m, n]; of rows of padding any numbers that are finite."""
    real = _real(x, counts[1])[:, None]
    center = jnp.sum(jnp.where(real, x, 0), axis=0, keepdims=True) / jnp.maximum(counts[1], 1).astype(x.dtype)
    radius = jnp.sqrt(jnp.max(jnp.sum(jnp.where(real, x - center, 0) ** 2, axis=1))) / h
    return exponents(y[None], x[None], center[None], radius, h, at=at)[0]
