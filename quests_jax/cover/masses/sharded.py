"""Masses divided over devices, of this process and of others: each device holds a run of structures.

Every operation is that of the masses of a device, followed by a sum over the devices or by joining their
parts. What goes in and comes out is the same on every device, so a solver need not know.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from quests_jax.cover.masses.dense_or_sparse import Stored

AXIS = "devices"
Own = Callable[..., jax.Array]  # (masses of a device, number of its first structure, *arrays) -> array


@partial(jax.tree_util.register_dataclass, data_fields=("parts",), meta_fields=("mesh", "n_structures"))
@dataclasses.dataclass(frozen=True)
class DividedMasses:
    """Masses with the operations of `DenseMasses`."""

    parts: Stored  # arrays of all devices, joined along their first axis
    mesh: Mesh
    n_structures: int  # S; the last devices may be filled up with structures without mass

    def total(self, w: jax.Array) -> jax.Array:
        """Mass of weighted structures at each environment."""

        def own(part, first, w):
            return jax.lax.psum(part.total(jax.lax.dynamic_slice(w, (first,), (part.n_structures,))), AXIS)

        empty = -self.n_structures % self.mesh.size
        return self._on_each(own, jnp.pad(w, (0, empty)))

    def pull(self, v: jax.Array) -> jax.Array:
        """Weighted mass that each structure brings to all environments."""
        return self._of_structures(lambda part, v: part.pull(v), v)

    def gain(self, s: jax.Array, u: jax.Array, room: jax.Array) -> jax.Array:
        """Weighted mass of structure s that still counts."""

        def own(part, first, s, u, room):
            here, s = _within(part, s, first)
            return jax.lax.psum(jnp.where(here, part.gain(s, u, room), 0.0), AXIS)

        return self._on_each(own, s, u, room)

    def gains(self, u: jax.Array, room: jax.Array) -> jax.Array:
        """Weighted mass of each structure that still counts."""
        return self._of_structures(lambda part, u, room: part.gains(u, room), u, room)

    def add(self, s: jax.Array, mass: jax.Array, times: jax.Array) -> jax.Array:
        """Mass with structure s added once, taken away (times −1) or left alone (0)."""

        def own(part, first, s, times):
            here, s = _within(part, s, first)
            return jax.lax.psum(part.add(s, jnp.zeros(mass.shape), jnp.where(here, times, 0.0)), AXIS)

        return jax.lax.cond(times != 0, lambda: mass + self._on_each(own, s, times), lambda: mass)

    def of(self, owner: jax.Array) -> jax.Array:
        """Mass that each environment has from the structure named for it."""

        def own(part, first, owner):
            here, owner = _within(part, owner, first)
            return jax.lax.psum(jnp.where(here, part.of(owner), 0.0), AXIS)

        return self._on_each(own, owner)

    def pairs(self, v: jax.Array, owner: jax.Array, owners: int) -> jax.Array:
        """Weighted mass that each structure brings to the environments of each owner."""
        return self._of_structures(lambda part, v, owner: part.pairs(v, owner, owners).T, v, owner).T

    def columns(self, environments: jax.Array) -> jax.Array:
        """Masses of every structure at some environments."""
        return self._of_structures(lambda part, i: part.columns(i), environments)

    def capped(self, room: jax.Array) -> DividedMasses:
        """Masses of which no environment counts more than its room."""
        capped = self._on_each(lambda part, _, room: part.capped(room), room, out=PartitionSpec(AXIS))
        return dataclasses.replace(self, parts=capped)

    def _of_structures(self, own: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
        """What the structures of every device have, joined along the first axis."""

        def joined(part, _, *arrays):
            return jax.lax.all_gather(own(part, *arrays), AXIS, tiled=True)

        return self._on_each(joined, *arrays)[: self.n_structures]

    def _on_each(self, own: Own, *arrays: jax.Array, out: PartitionSpec | None = None):
        everywhere = PartitionSpec()

        def device(part, *arrays):
            return own(part, part.n_structures * jax.lax.axis_index(AXIS), *arrays)

        return jax.shard_map(
            device,
            mesh=self.mesh,
            in_specs=(PartitionSpec(AXIS), *[everywhere] * len(arrays)),
            out_specs=everywhere if out is None else out,
            check_vma=False,  # sparse masses are read in loops whose lengths differ between devices
        )(self.parts, *arrays)


Masses = Stored | DividedMasses


def divided(parts: Sequence[Stored], mesh: Mesh, n_structures: int) -> DividedMasses:
    """Join parts of equal shapes, one for each device of this process, to the masses on all devices.

    Args:
      parts: of the devices of this process, in their order among all.
      mesh: one-dimensional, of all D devices; device d holds structures d·⌈S/D⌉ to (d + 1)·⌈S/D⌉.
      n_structures: S.
    """
    placed = [jax.device_put(part, device) for part, device in zip(parts, mesh.local_devices, strict=True)]

    def join(*arrays: jax.Array) -> jax.Array:
        shape = (mesh.size * len(arrays[0]), *arrays[0].shape[1:])
        sharding = NamedSharding(mesh, PartitionSpec(AXIS))
        return jax.make_array_from_single_device_arrays(shape, sharding, list(arrays))

    return DividedMasses(jax.tree.map(join, *placed), mesh, n_structures)


def _within(part: Stored, s: jax.Array, first: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether structures are those of a device, and their numbers there (or any)."""
    own = s - first.astype(s.dtype)
    return (own >= 0) & (own < part.n_structures), jnp.clip(own, 0, part.n_structures - 1)
