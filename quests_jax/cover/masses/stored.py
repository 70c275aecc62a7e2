"""The mass of every structure at every environment, M_si = Σ_{j in s} K(x_i, x_j), stored two ways.

Both ways, and that of `divided`, offer the same operations, so no solver knows which one it has:

    total(w)              Σ_s w_s M_si                        shape [n]
    pull(v)               Σ_i v_i M_si                        shape [S]
    gain(s, u, room)      Σ_i u_i min(M_si, room_i)           one structure
    gains(u, room)        the same for every structure        shape [S]
    add(s, mass, times)   mass_i + times · M_si               one structure
    of(owner)             M_si with s = owner_i               shape [n]
    pairs(v, owner, O)    Σ_{i of o} v_i M_si                 shape [O, S]
    columns(i)            M_si of some environments           shape [S, len(i)]
    capped(room)          masses min(M_si, room_i)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.environments import Environments
from quests_jax.base.progress import advance
from quests_jax.base.shapes import padded_size
from quests_jax.information import Rows, structure_masses

DENSE = 50_000_000  # most entries stored densely: 400 MB in float64
DROPPED = 1e-6  # mass that pruning may take from an environment, all structures together
CHUNK = 4096  # stored entries of one structure per step


class DenseMasses(NamedTuple):
    """Every M_si."""

    values: jax.Array  # [S, n]

    @property
    def n_structures(self) -> int:
        """S."""
        return self.values.shape[0]

    def total(self, w: jax.Array) -> jax.Array:
        """Mass of weighted structures at each environment."""
        return w @ self.values

    def pull(self, v: jax.Array) -> jax.Array:
        """Weighted mass that each structure brings to all environments."""
        return self.values @ v

    def gain(self, s: jax.Array, u: jax.Array, room: jax.Array) -> jax.Array:
        """Weighted mass of structure s that still counts."""
        return jnp.sum(u * jnp.minimum(self.values[s], room))

    def gains(self, u: jax.Array, room: jax.Array) -> jax.Array:
        """Weighted mass of each structure that still counts."""
        return jnp.sum(u[None] * jnp.minimum(self.values, room[None]), axis=1)

    def add(self, s: jax.Array, mass: jax.Array, times: jax.Array) -> jax.Array:
        """Mass with structure s added once, taken away (times −1) or left alone (0)."""
        return mass + times * self.values[s]

    def of(self, owner: jax.Array) -> jax.Array:
        """Mass that each environment has from the structure named for it."""
        return jnp.take_along_axis(self.values, owner[None], axis=0)[0]

    def pairs(self, v: jax.Array, owner: jax.Array, owners: int) -> jax.Array:
        """Weighted mass that each structure brings to the environments of each owner."""
        return jax.ops.segment_sum((self.values * v[None]).T, owner, owners)

    def capped(self, room: jax.Array) -> DenseMasses:
        """Masses of which no environment counts more than its room."""
        return DenseMasses(jnp.minimum(self.values, room[None]))

    def columns(self, environments: jax.Array) -> jax.Array:
        """Masses of every structure at some environments."""
        return self.values[:, environments]


class SparseMasses(NamedTuple):
    """The M_si worth storing, structure after structure; padding has value 0."""

    values: jax.Array  # [p]
    environment: jax.Array  # [p] int32
    structure: jax.Array  # [p] int32, ascending
    start: jax.Array  # [S + 1] int64, first entry of each structure
    like: jax.Array  # [n] zeros, which carries the number of environments

    @property
    def n_structures(self) -> int:
        """S."""
        return len(self.start) - 1

    def total(self, w: jax.Array) -> jax.Array:
        """Mass of weighted structures at each environment."""
        return self.like.at[self.environment].add(self.values * w[self.structure])

    def pull(self, v: jax.Array) -> jax.Array:
        """Weighted mass that each structure brings to all environments."""
        terms = self.values * v[self.environment]
        return jax.ops.segment_sum(terms, self.structure, len(self.start) - 1, indices_are_sorted=True)

    def gain(self, s: jax.Array, u: jax.Array, room: jax.Array) -> jax.Array:
        """Weighted mass of structure s that still counts."""

        def add(total, values, environment):
            return total + jnp.sum(u[environment] * jnp.minimum(values, room[environment]))

        return self._over(s, add, jnp.zeros((), self.like.dtype))

    def gains(self, u: jax.Array, room: jax.Array) -> jax.Array:
        """Weighted mass of each structure that still counts."""
        return self.capped(room).pull(u)

    def add(self, s: jax.Array, mass: jax.Array, times: jax.Array) -> jax.Array:
        """Mass with structure s added once, taken away (times −1) or left alone (0)."""

        def add(mass, values, environment):
            return mass.at[environment].add(times * values)

        return self._over(s, add, mass, times != 0)

    def of(self, owner: jax.Array) -> jax.Array:
        """Mass that each environment has from the structure named for it."""
        own = owner[self.environment] == self.structure
        return self.like.at[self.environment].add(jnp.where(own, self.values, 0.0))

    def pairs(self, v: jax.Array, owner: jax.Array, owners: int) -> jax.Array:
        """Weighted mass that each structure brings to the environments of each owner."""
        total = jnp.zeros((owners, self.n_structures), self.like.dtype)
        return total.at[owner[self.environment], self.structure].add(self.values * v[self.environment])

    def capped(self, room: jax.Array) -> SparseMasses:
        """Masses of which no environment counts more than its room."""
        return self._replace(values=jnp.minimum(self.values, room[self.environment]))

    def columns(self, environments: jax.Array) -> jax.Array:
        """Masses of every structure at some environments."""
        count = len(environments)
        column = jnp.full(len(self.like), count).at[environments].set(jnp.arange(count))
        dense = jnp.zeros((self.n_structures, count), self.like.dtype)
        return dense.at[self.structure, column[self.environment]].add(self.values, mode="drop")

    def _over(
        self, s: jax.Array, step: Callable, carry: jax.Array, now: jax.Array | bool = True
    ) -> jax.Array:
        """Fold `step(carry, values, environment)` over the entries of one structure, if `now`."""
        begin, end = self.start[s], self.start[s + 1]

        def chunk(number, carry):
            first = begin + number * CHUNK
            values = jax.lax.dynamic_slice(self.values, (first,), (CHUNK,))
            own = first + jnp.arange(CHUNK) < end
            return step(
                carry,
                jnp.where(own, values, 0.0),
                jax.lax.dynamic_slice(self.environment, (first,), (CHUNK,)),
            )

        return jax.lax.fori_loop(0, jnp.where(now, -(-(end - begin) // CHUNK), 0), chunk, carry)


Stored = DenseMasses | SparseMasses


def all_masses(envs: Environments, targets: Rows, *, bandwidth: float) -> tuple[Stored, float]:
    """Masses in float64 of all structures at all targets [n, d], and the largest mass left out anywhere."""
    if envs.n_structures * len(targets) <= DENSE:
        x, number = envs.in_float64(), np.asarray(envs.structure_id)
        return DenseMasses(structure_masses(targets, x, number, envs.n_structures, bandwidth=bandwidth)), 0.0
    return _sparse(envs, targets, bandwidth)


def _sparse(envs: Environments, targets: Rows, bandwidth: float) -> tuple[SparseMasses, float]:
    least = DROPPED / envs.n_structures
    values, environment, lengths, dropped = [], [], [], np.zeros(len(targets))
    for block, first in _structure_blocks(envs, targets, bandwidth):
        kept = block >= least
        dropped += np.where(kept, 0.0, block).sum(axis=0)
        values.append(block[kept])
        environment.append(np.nonzero(kept)[1].astype(np.int32))
        lengths.append(kept.sum(axis=1))
        advance("masses", first + len(block), envs.n_structures)
    stored = np.concatenate(values), np.concatenate(environment), np.concatenate(lengths)
    return sparse_masses(*stored, len(targets)), float(dropped.max())


def dense_masses(values: np.ndarray, environment: np.ndarray, lengths: np.ndarray, n: int) -> DenseMasses:
    """Masses from those that are not 0, given as in `sparse_masses`."""
    dense, ends = np.zeros((len(lengths), n)), np.cumsum(lengths)
    for row, start, stop in zip(dense, ends - lengths, ends, strict=True):
        row[environment[start:stop]] = values[start:stop]
    return DenseMasses(jnp.asarray(dense))


def sparse_masses(
    values: np.ndarray, environment: np.ndarray, lengths: np.ndarray, n: int, *, room: int = 0
) -> SparseMasses:
    """Masses from their values and environments, structure after structure, `lengths` [S] of each.

    The arrays get the shape of masses with at least `room` entries.
    """
    entries = len(values)
    padding = padded_size(max(room, entries) + CHUNK, smallest=CHUNK) - entries
    structure = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    return SparseMasses(
        values=jnp.asarray(np.pad(values.astype(float), (0, padding))),
        environment=jnp.asarray(np.pad(environment.astype(np.int32), (0, padding))),
        structure=jnp.asarray(np.pad(structure, (0, padding), constant_values=len(lengths) - 1)),
        start=jnp.asarray(np.concatenate([[0], np.cumsum(lengths)])),
        like=jnp.zeros(n),
    )


def _structure_blocks(
    envs: Environments, targets: Rows, bandwidth: float
) -> Iterator[tuple[np.ndarray, int]]:
    """Dense masses of runs of structures, as many at a time as fit into DENSE entries."""
    x = envs.in_float64()
    number, ends = np.asarray(envs.structure_id), np.concatenate([[0], np.cumsum(envs.counts)])
    size = max(1, DENSE // (2 * len(targets)))
    for first in range(0, envs.n_structures, size):
        last = min(first + size, envs.n_structures)
        rows = slice(ends[first], ends[last])
        if rows.start == rows.stop:
            yield np.zeros((last - first, len(targets))), first
            continue
        block = structure_masses(
            targets, x.take(rows), number[rows] - first, last - first, bandwidth=bandwidth
        )
        yield np.asarray(block), first
