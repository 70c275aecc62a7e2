"""Environments as tiles in the order of structures, with the entropy of each structure."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.compiled_programs import jit
from quests_jax.base.environments import APART, Environments, apart
from quests_jax.base.numerics import sum_last
from quests_jax.base.padding import padded_size
from quests_jax.base.step_sizes import here
from quests_jax.information import entropy_from
from quests_jax.information.sums.exponents import exponents as careful_or_plain
from quests_jax.information.sums.exponents import plain_exponents

TILE = 32  # environments of a tile
FEWEST = 16  # tiles, the padded ones included
LARGE = 1e200  # sums below this have not overflowed


class Rows(NamedTuple):
    """Environments of all structures as tiles; padding belongs to structure S, whose entropy is -inf."""

    x: jax.Array  # [g, TILE, d], centered and in units of the bandwidth
    structure: jax.Array  # [g, TILE] int32
    start: jax.Array  # [S + 2] int32, first row of each structure
    entropy: jax.Array  # [S + 1], H_S in nats; -inf without environments
    cost: jax.Array  # [S + 1]


def element_distance(envs: Environments, bandwidth: float) -> float:
    """Distance of two elements, in Å⁻¹: further than any two environments, so that none leaks."""
    x = np.asarray(envs.x, np.float64)
    radius = np.sqrt(np.max(np.sum((x - x.mean(axis=0)) ** 2, axis=1), initial=0))
    return max(APART * bandwidth, 4 * float(radius))


def _elements_apart(envs: Environments, bandwidth: float) -> np.ndarray:
    """`apart` at `element_distance`, with elements numbered from 0 so that none is farther than need be."""
    if envs.elements is None:
        return apart(envs, bandwidth)
    _, number = np.unique(np.asarray(envs.elements), return_inverse=True)
    numbered = dataclasses.replace(envs, elements=number)
    return apart(numbered, element_distance(envs, bandwidth) / APART)


def tiles_of(envs: Environments, bandwidth: float, cost: ArrayLike) -> Rows:
    """The environments of S structures as tiles, with costs [S]."""
    x = _elements_apart(envs, bandwidth)
    structure, start = _structures_of_tiles(np.asarray(envs.structure_id), envs.counts)
    tiles = np.zeros((structure.size, x.shape[1]))
    tiles[: len(x)] = (x - x.mean(axis=0, keepdims=True)) / bandwidth
    costs = np.zeros(len(start) - 1)
    costs[: envs.n_structures] = np.asarray(cost)
    tiles = tiles.reshape(*structure.shape, -1)
    tiles, structure, start, costs = jax.device_put((tiles, structure, start, costs))
    centered = jax.device_put(_centered(x, envs, len(tiles)) / bandwidth)
    entropy = _entropies(centered, structure, start)
    return Rows(tiles, structure, start, entropy, costs)


def masses_within(envs: Environments, bandwidth: float) -> np.ndarray:
    """Σ_j K(x_i, x_j) over the environments j of the structure of i, shape [n].

    >>> import quests_jax as qj
    >>> masses_within(qj.make_environments([[0.0], [0.0], [0.0]], [0, 0, 1]), 0.1).tolist()
    [2.0, 2.0, 1.0]
    """
    structure, start = _structures_of_tiles(np.asarray(envs.structure_id), envs.counts)
    x = _centered(_elements_apart(envs, bandwidth), envs, len(structure)) / bandwidth
    return np.exp(np.asarray(_log_sums_within(*jax.device_put((x, structure, start)))))[: len(envs)]


def _structures_of_tiles(structure_id: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Structure of each row of the tiles, [g, TILE], and first row of each structure."""
    n = len(structure_id)
    total = padded_size(len(counts), smallest=64)
    n_tiles = padded_size(-(-n // TILE), smallest=FEWEST)
    structure = np.full(n_tiles * TILE, total, np.int32)
    structure[:n] = structure_id
    start = np.full(total + 2, n, np.int32)
    start[: len(counts) + 1] = np.concatenate([[0], np.cumsum(counts)])
    return structure.reshape(-1, TILE), start


def _centered(x: np.ndarray, envs: Environments, n_tiles: int) -> np.ndarray:
    """Rows measured from the mean of their structure, [g, TILE, d]: only pairs within one will count."""
    number = np.asarray(envs.structure_id)
    counts = np.maximum(envs.counts, 1)
    means = np.zeros((envs.n_structures, x.shape[1]))
    filled = np.flatnonzero(envs.counts)
    means[filled] = np.add.reduceat(x, np.searchsorted(number, filled), axis=0) if len(x) else 0.0
    centered = np.zeros((n_tiles * TILE, x.shape[1]))
    centered[: len(x)] = x - (means / counts[:, None])[number]
    return centered.reshape(n_tiles, TILE, -1)


@jit
def _entropies(x: jax.Array, structure: jax.Array, start: jax.Array) -> jax.Array:
    """H_S = ln n_S − (1/n_S) Σ_i ln Σ_{j in S} K(x_i, x_j)."""
    logs = _log_sums_within(x, structure, start)
    count = jnp.diff(start).astype(x.dtype)
    mean = jax.ops.segment_sum(logs, structure.reshape(-1), len(count)) / jnp.maximum(count, 1.0)
    return jnp.where(count > 0, entropy_from(jnp.maximum(count, 1.0), mean), -jnp.inf)


@jit
def _log_sums_within(x: jax.Array, structure: jax.Array, start: jax.Array) -> jax.Array:
    """ln Σ_{j in S} K(x_i, x_j) of each row i of a structure S; a tile meets only tiles of its structures."""
    origin = jnp.zeros((1, 1, x.shape[2]), x.dtype)
    unit = jnp.ones((), x.dtype)
    radius = jnp.sqrt(jnp.max(sum_last(x**2), axis=1))

    def log_sums(number):
        own = structure[number]

        def add(j, total):
            itself = (number.astype(j.dtype) == j) & jnp.eye(TILE, dtype=bool)  # exactly 1, however far
            near = jnp.minimum(radius[number], radius[j])
            exponent = careful_or_plain(x[number][None], x[j][None], origin, near, unit, at=here())[0]
            kernel = jnp.exp(jnp.where(itself, 0.0, exponent))
            return total + jnp.sum(jnp.where(own[:, None] == structure[j][None], kernel, 0.0), axis=1)

        stop = jnp.minimum(-(-start[own[-1] + 1] // TILE), len(x))
        return jnp.log(jax.lax.fori_loop(start[own[0]] // TILE, stop, add, jnp.zeros(TILE, x.dtype)))

    real = jnp.arange(structure.size, dtype=jnp.int32) < start[-1]
    return jnp.where(real, jax.lax.map(log_sums, jnp.arange(len(x))).reshape(-1), 0.0)


def exponents(x: jax.Array, y: jax.Array) -> jax.Array:
    """−|x − y|²/2 of rows x [t, d] against rows y [s, d], shape [t, s], never above 0."""
    return plain_exponents(x[None], y[None])[0]


def with_more(log_mass: jax.Array, x: jax.Array, y: jax.Array, new: jax.Array) -> jax.Array:
    """ln(m_i + Σ_j exp(s_ij)) over the columns j that are new to row i, given ln m_i.

    The sum is formed in units of m_i; only where that overflows, in units of its largest term.
    """
    ratio = sum_last(jnp.where(new, jnp.exp(exponents(x, y) - log_mass[:, None]), 0.0))

    def shifted(log_mass, x, y, new):
        exponent = jnp.where(new, exponents(x, y), -jnp.inf)
        return jnp.logaddexp(log_mass, jax.nn.logsumexp(exponent, axis=1))

    def plain(log_mass, x, y, new):
        return log_mass + jnp.log1p(ratio)

    return jax.lax.cond(ratio.max() < LARGE, plain, shifted, log_mass, x, y, new)
