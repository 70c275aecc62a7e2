"""Masses of which only rows worth storing are kept, in blocks of rows of one group of environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.padding import padded_size
from quests_jax.base.precision import follows_dtype

CHUNK = 4096  # stored entries of one structure per step
HEIGHT = 64  # rows of a block
ALIGNED = 16  # numbers of float32 in a cache line


class SparseMasses(NamedTuple):
    """Rows of M_si worth storing: one structure at one group of W environments each.

    Environments that are near to each other make a good group, because few structures are near to all of
    them. Rows of one group lie in blocks of R, so that sums are products of matrices with vectors.
    """

    values: jax.Array  # [b, R, W] float32 (float64 where W is 1); 0 in the padding
    group: jax.Array  # [b] int32
    structure: jax.Array  # [b, R] int32; S in the padding
    order: jax.Array  # [p] int32, rows by structure
    start: jax.Array  # [S + 1] int64, first of these rows of each structure
    environment: jax.Array  # [G, W] int32, members of each group; n where there is none
    slot: jax.Array  # [n] int32, where each environment is in the groups

    @property
    def n_structures(self) -> int:
        """S."""
        return len(self.start) - 1

    def total(self, w: jax.Array) -> jax.Array:
        """Mass of weighted structures at each environment."""
        return self._by_group(self._product("br,brw->bw", _at(w, self.structure), self.values))

    def pull(self, v: jax.Array) -> jax.Array:
        """Weighted mass that each structure brings to all environments."""
        return self._by_structure(self._product("brw,bw->br", self.values, self._members(v)))

    def gain(self, s: jax.Array, u: jax.Array, room: jax.Array) -> jax.Array:
        """Weighted mass of structure s that still counts."""

        def add(total, values, environment):
            counted = jnp.minimum(values, _at(room, environment))
            return total + jnp.sum(_at(u, environment) * counted)

        return self._over(s, add, jnp.zeros((), u.dtype))

    def gains(self, u: jax.Array, room: jax.Array) -> jax.Array:
        """Weighted mass of each structure that still counts."""

        def block(part):
            values, group = part
            environment = self.environment[group]
            counted = jnp.minimum(values.astype(u.dtype), _at(room, environment)[None])
            return jnp.dot(counted, _at(u, environment), precision="highest")

        return self._by_structure(jax.lax.map(block, (self.values, self.group)))

    def add(self, s: jax.Array, mass: jax.Array, times: jax.Array) -> jax.Array:
        """Mass with structure s added once, taken away (times −1) or left alone (0)."""

        def add(mass, values, environment):
            return mass.at[environment].add(times * values, mode="drop")

        return self._over(s, add, mass, times != 0)

    def of(self, owner: jax.Array) -> jax.Array:
        """Mass that each environment has from the structure named for it."""
        own = self._members(owner)[:, None] == self.structure[:, :, None]
        return self._by_group(jnp.sum(jnp.where(own, self.values, 0.0), axis=1))

    def pairs(self, v: jax.Array, owner: jax.Array, owners: int) -> jax.Array:
        """Weighted mass that each structure brings to the environments of each owner."""
        total = jnp.zeros((owners, self.n_structures), v.dtype)
        terms = self.values.astype(v.dtype) * self._members(v)[:, None]
        return total.at[self._members(owner)[:, None], self.structure[:, :, None]].add(terms, mode="drop")

    def capped(self, room: jax.Array) -> SparseMasses:
        """Masses of which no environment counts more than its room."""
        most = self._members(room)[:, None].astype(self.values.dtype)
        return self._replace(values=jnp.minimum(self.values, most))

    def columns(self, environments: jax.Array) -> jax.Array:
        """Masses of every structure at some environments."""
        count = len(environments)
        column = jnp.full(len(self.slot) + 1, count).at[environments].set(jnp.arange(count))
        at = self.structure[:, :, None], column[self.environment][self.group][:, None]
        dense = jnp.zeros((self.n_structures, count))
        return dense.at[at].add(self.values.astype(dense.dtype), mode="drop")

    def _product(self, letters: str, a: jax.Array, b: jax.Array) -> jax.Array:
        """Sums within blocks, in the dtype that is stored."""
        a, b = a.astype(self.values.dtype), b.astype(self.values.dtype)
        return jnp.einsum(letters, a, b, precision="highest")

    def _members(self, v: jax.Array) -> jax.Array:
        """What the environments of each block have: [n] to [b, W], 0 where there is none."""
        return _at(v, self.environment)[self.group]

    def _by_group(self, rows: jax.Array) -> jax.Array:
        """Rows [b, W] added up by group, for each environment, shape [n]."""
        total = jnp.zeros(self.environment.shape).at[self.group].add(rows.astype(float))
        return total.reshape(-1)[self.slot]

    def _by_structure(self, terms: jax.Array) -> jax.Array:
        """Terms [b, R] added up by structure, shape [S]."""
        return jnp.zeros(self.n_structures).at[self.structure].add(terms.astype(float), mode="drop")

    def _over(
        self, s: jax.Array, step: Callable, carry: jax.Array, now: jax.Array | bool = True
    ) -> jax.Array:
        """Fold `step(carry, values, environment)` over the rows of one structure, if `now`."""
        begin, end = self.start[s], self.start[s + 1]
        _, height, width = self.values.shape
        rows = max(1, CHUNK // width)

        def chunk(number, carry):
            first = begin + number * rows + jnp.arange(rows)
            row = self.order[jnp.minimum(first, len(self.order) - 1)]
            values = self.values.reshape(-1, width)[row]
            values = jnp.where((first < end)[:, None], values.astype(float), 0.0)
            return step(carry, values, self.environment[self.group[row // height]])

        return jax.lax.fori_loop(0, jnp.where(now, -(-(end - begin) // rows), 0), chunk, carry)


def _at(v: jax.Array, environment: jax.Array) -> jax.Array:
    """Entries of v [n] by number of environment; 0 for n."""
    return v.at[environment].get(mode="fill", fill_value=0)


def in_blocks(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], n_structures: int, n: int
) -> SparseMasses:
    """Masses from groups: their environments [≤ W], structures [r] and values [r, ≤ W]."""
    width = max(len(members) for members, _, _ in parts)
    blocks = [-(-len(kept) // HEIGHT) for _, kept, _ in parts]
    number = padded_size(max(1, sum(blocks)))
    values = _aligned_zeros((number, HEIGHT, width))
    structure = np.full((number, HEIGHT), n_structures, np.int32)
    environment = np.full((len(parts), width), n, np.int32)
    slot = np.empty(n, np.int32)
    rows = values.reshape(-1, width)
    owners = structure.reshape(-1)
    for place in range(len(parts)):
        members, kept, part = parts[place]
        first = HEIGHT * sum(blocks[:place])
        rows[first : first + len(kept), : part.shape[1]] = part
        owners[first : first + len(kept)] = kept
        environment[place, : len(members)] = members
        parts[place] = members, kept, part[:0].copy()  # a copy less in memory
        slot[members] = place * width + np.arange(len(members), dtype=np.int32)
    group = np.zeros(number, np.int32)
    group[: sum(blocks)] = np.repeat(np.arange(len(parts)), blocks)
    return _sparse(values, group, structure, n_structures, environment, slot)


def _aligned_zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros of float32 that JAX can take over on a CPU without a copy."""
    size = int(np.prod(shape))
    buffer = np.zeros(size + ALIGNED, np.float32)
    first = -buffer.ctypes.data % (4 * ALIGNED) // 4
    return buffer[first : first + size].reshape(shape)


def _sparse(
    values: np.ndarray,
    group: np.ndarray,
    structure: np.ndarray,
    n_structures: int,
    environment: np.ndarray,
    slot: np.ndarray,
) -> SparseMasses:
    """Masses with their rows found by structure."""
    owners = structure.reshape(-1)
    ends = np.cumsum(np.bincount(owners, minlength=n_structures + 1)[:n_structures])
    return SparseMasses(
        values=jax.device_put(values, may_alias=True),
        group=jnp.asarray(group),
        structure=jnp.asarray(structure),
        order=jnp.asarray(np.argsort(owners, kind="stable").astype(np.int32)),
        start=jnp.asarray(np.concatenate([[0], ends])),
        environment=jnp.asarray(environment),
        slot=jnp.asarray(slot),
    )


@follows_dtype
def sparse_masses(
    values: np.ndarray, environment: np.ndarray, lengths: np.ndarray, n: int, *, room: int = 0
) -> SparseMasses:
    """Masses from their values and environments, structure after structure, `lengths` [S] of each.

    Each environment is a group of its own. The arrays get the shape of masses with at least `room` entries.
    """
    entries = len(values)
    padding = padded_size(max(room, entries, 1)) - entries
    structure = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    each = np.arange(n, dtype=np.int32)
    return _sparse(
        np.pad(values.astype(np.float64), (0, padding))[:, None, None],
        np.pad(environment.astype(np.int32), (0, padding)),
        np.pad(structure, (0, padding), constant_values=len(lengths))[:, None],
        len(lengths),
        each[:, None],
        each,
    )
