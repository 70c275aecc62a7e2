"""The mass of every structure at every environment, M_si = Σ_{j in s} K(x_i, x_j), stored two ways.

Both ways, and that of `sharded`, offer the same operations, so no solver knows which one it has:

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

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.numerics import dot
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.cover.masses.sparse import SparseMasses, in_blocks
from quests_jax.information import structure_masses, tiles_of_masses

DENSE = 50_000_000  # most entries stored densely: 400 MB in float64
DROPPED = 5e-4  # mass that pruning may take from an environment, all structures together
SKIPPED = 1e-4  # mass that environments too far away to look at may have, all structures together
ROUNDED = 2e-4  # what float32 may take from a coverage: relative errors of masses and of their sums

MOST = 400_000_000  # entries stored sparsely where fewer targets can do: 1.6 GB in float32


class TooManyMasses(InputError):
    """Masses that are not 0 are more than were allowed; `share` of the targets have as many."""

    def __init__(self, share: float) -> None:
        super().__init__("the masses of all structures do not fit into memory; give fewer targets.")
        self.share = share


class DenseMasses(NamedTuple):
    """Every M_si.

    >>> import jax.numpy as jnp
    >>> masses = DenseMasses(jnp.array([[1.0, 0.5], [0.0, 1.0]]))
    >>> masses.n_structures, masses.total(jnp.array([1.0, 1.0])).tolist()
    (2, [1.0, 1.5])
    """

    values: jax.Array  # [S, n]

    @property
    def n_structures(self) -> int:
        """S."""
        return self.values.shape[0]

    def total(self, w: jax.Array) -> jax.Array:
        """Mass of weighted structures at each environment."""
        return dot(w, self.values)

    def pull(self, v: jax.Array) -> jax.Array:
        """Weighted mass that each structure brings to all environments."""
        return dot(self.values, v)

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


Stored = DenseMasses | SparseMasses


@follows_dtype
def all_masses(
    envs: Environments,
    targets: Environments | np.ndarray,
    *,
    bandwidth: float,
    room: np.ndarray | None = None,
    most: float = math.inf,
) -> tuple[Stored, float]:
    """Masses of all structures at all targets [n, d], and the largest mass left out anywhere.

    With `room` [n], no mass at a target counts more than its room, and all are stored sparsely; then
    `TooManyMasses` is raised where more than `most` are to be stored.
    """
    x = envs.in_float64()
    number = np.asarray(envs.structure_id)
    if room is None and envs.n_structures * len(targets) <= DENSE:
        values = structure_masses(targets, x, number, envs.n_structures, bandwidth=bandwidth)
        return DenseMasses(values), 0.0
    room = None if room is None else room.astype(np.float32)  # or else all that is held is in float64
    parts = []
    dropped = 0.0
    done = stored = 0
    for tile, block in tiles_of_masses(
        targets, x, number, envs.n_structures, bandwidth=bandwidth, error=SKIPPED
    ):
        block = block if room is None else np.minimum(block, room[tile])
        kept, lost = _worth_storing(block)
        parts.append((tile, kept, block[kept]))
        stored += len(kept) * len(tile)
        if stored > most:
            raise TooManyMasses(done / len(targets))
        dropped, done = max(dropped, lost), done + len(tile)
        advance("masses", done, len(targets))
    return in_blocks(parts, envs.n_structures, len(targets)), dropped + SKIPPED + ROUNDED


def _worth_storing(block: np.ndarray) -> tuple[np.ndarray, float]:
    """Numbers of the rows of [S, W] to keep, and the largest sum of a column over those that are not.

    The smallest rows are left out, as long as no column loses more than DROPPED by it.
    """
    largest = block.max(axis=1)
    order = np.argsort(largest, kind="stable")
    order = order[np.searchsorted(largest, 0.0, side="right", sorter=order) :]
    lost = np.cumsum(block[order[largest[order] <= DROPPED]], axis=0, dtype=np.float64).max(axis=1)
    small = int(np.searchsorted(lost, DROPPED, side="right"))
    return np.sort(order[small:]), float(lost[small - 1]) if small else 0.0


@follows_dtype
def dense_masses(values: np.ndarray, environment: np.ndarray, lengths: np.ndarray, n: int) -> DenseMasses:
    """Masses from those that are not 0, given as in `sparse.sparse_masses`."""
    dense = np.zeros((len(lengths), n))
    ends = np.cumsum(lengths)
    for row, start, stop in zip(dense, ends - lengths, ends, strict=True):
        row[environment[start:stop]] = values[start:stop]
    return DenseMasses(jnp.asarray(dense))
