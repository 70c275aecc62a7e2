"""A small carbon data set in the manner of GAP-20, with the Tersoff potential [tersoff:88].

Layers attract one another only within 2.1 Å in this potential, so there is no graphite. jax-md moves the
atoms; the energy is written here because the gradient of jax-md's own Tersoff potential is not a number where
a bond is between 1.8 and 2.1 Å long.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms, units
from ase.build import bulk, graphene, molecule, nanotube

from quests_jax.datasets.jaxmd_potentials import Field, potential
from quests_jax.datasets.simulation import VACUUM, Dynamics, Sweep

LATTICE = 3.566  # Å, of diamond at the minimum of the energy
BOND = 1.461  # Å, in a layer of graphene at the minimum of the energy
A, B, LAMBDA_1, LAMBDA_2 = 1393.6, 346.74, 3.4879, 2.2119  # eV and Å⁻¹
BETA, N, C, D, COS_0 = 1.5724e-7, 0.72751, 38049.0, 4.3484, -0.57058
R, WIDTH = 1.95, 0.15  # Å, middle and half width of the range in which bonds fade
CUTOFF = R + WIDTH
SKIN = 0.5  # Å, that atoms may move before neighbors are listed again


def tersoff(vectors: jax.Array, present: jax.Array) -> jax.Array:
    """Energy of carbon in eV, [tersoff:88].

        E    = ½ Σ_ij f(r_ij) [A exp(−λ₁ r_ij) − b_ij B exp(−λ₂ r_ij)]
        b_ij = [1 + (β ζ_ij)ⁿ]^(−1/2n),    ζ_ij = Σ_{k≠j} f(r_ik) g(cos θ_ijk)
        g    = 1 + c²/d² − c²/[d² + (cos θ₀ − cos θ)²]

    with f from 1 to 0 between 1.8 and 2.1 Å as half a wave of a sine.

    Args:
        vectors: vectors from each atom to its neighbors, shape [atoms, K, 3], in Å.
        present: which of them there are, shape [atoms, K].
    """
    r = jnp.sqrt(jnp.where(present, (vectors**2).sum(axis=-1), CUTOFF**2))
    fading = 0.5 - 0.5 * jnp.sin(0.5 * jnp.pi * jnp.clip((r - R) / WIDTH, -1.0, 1.0))
    f = jnp.where(present, fading, 0.0)
    unit = vectors / r[..., None]
    cosine = jnp.einsum("ijx,ikx->ijk", unit, unit)
    g = 1 + C**2 / D**2 - C**2 / (D**2 + (COS_0 - cosine) ** 2)
    others = ~jnp.eye(r.shape[1], dtype=bool)
    zeta = jnp.einsum("ik,ijk->ij", f, jnp.where(others, g, 0.0))
    alone = zeta <= 0  # the slope of a power below one is infinite there
    power = jnp.where(alone, 0.0, (BETA * jnp.where(alone, 1.0, zeta)) ** N)
    bond_order = (1 + power) ** (-0.5 / N)
    return 0.5 * jnp.sum(f * (A * jnp.exp(-LAMBDA_1 * r) - bond_order * B * jnp.exp(-LAMBDA_2 * r)))


def _energy(md: Any, displacement: Any) -> Any:
    def energy(positions: jax.Array) -> jax.Array:
        vectors = md.space.map_product(displacement)(positions, positions)
        return tersoff(vectors, ~jnp.eye(len(positions), dtype=bool))

    return energy


def _listed(md: Any, displacement: Any, box: jax.Array, **options: Any) -> tuple[Any, Any]:
    def energy(positions: jax.Array, neighbor: Any) -> jax.Array:
        vectors = md.space.map_neighbor(displacement)(positions, positions[neighbor.idx])
        return tersoff(vectors, md.partition.neighbor_list_mask(neighbor, mask_self=True))

    dense = {"format": md.partition.Dense}
    return md.partition.neighbor_list(displacement, box, CUTOFF, SKIN, **dense, **options), energy


FIELD = Field(
    name="Tersoff",
    symbol="C",
    cutoff=CUTOFF,
    timestep=0.5 * units.fs,
    friction=0.01 / units.fs,
    spare=20,
    energy=_energy,
    listed=_listed,
)
POTENTIAL = potential(FIELD)


def diamond(*, scale: float = 1.0) -> Atoms:
    """64 atoms of diamond, every length times `scale`."""
    return bulk("C", "diamond", LATTICE * scale, cubic=True).repeat(2)


def layer() -> Atoms:
    """A layer of graphene of 32 atoms, periodic in the plane."""
    structure = graphene(a=BOND * np.sqrt(3), size=(4, 4, 1), vacuum=VACUUM)
    structure.pbc = (True, True, False)
    return structure


def tube(n: int, m: int, length: int) -> Atoms:
    """A nanotube (n, m), periodic along its axis."""
    structure = nanotube(n, m, length=length, bond=BOND)
    structure.center(vacuum=VACUUM, axis=(0, 1))
    structure.pbc = (False, False, True)
    return structure


def fullerene() -> Atoms:
    """C60, without cell."""
    return molecule("C60")


def strained_diamond(amount: float) -> Atoms:
    """The cell of 8 atoms, every length times 1 + `amount`."""
    return bulk("C", "diamond", LATTICE * (1 + amount), cubic=True)


def strained_layer(amount: float) -> Atoms:
    """The cell of 2 atoms of graphene, stretched in the plane."""
    structure = graphene(a=BOND * np.sqrt(3) * (1 + amount), vacuum=VACUUM)
    structure.pbc = (True, True, False)
    return structure


def dimer(distance: float) -> Atoms:
    """Two atoms `distance` Å apart, without cell."""
    return Atoms("C2", [(0.0, 0.0, 0.0), (distance, 0.0, 0.0)])


LIQUID_SCALE = (3.51 / 2.4) ** (1 / 3)  # to a density of 2.4 g/cm³
AMORPHOUS_SCALE = (3.51 / 3.0) ** (1 / 3)  # to 3.0 g/cm³, between graphite and diamond

RECIPE = (
    Dynamics("graphene_300K", 12, (300.0,), 1.0, layer),
    Dynamics("graphene_1500K", 12, (1500.0,), 1.0, layer),
    Dynamics("diamond_300K", 12, (300.0,), 0.6, diamond),
    Dynamics("diamond_1500K", 8, (1500.0,), 0.6, diamond),
    Dynamics("nanotube_zigzag", 8, (1000.0,), 1.0, partial(tube, 6, 0, 2)),
    Dynamics("nanotube_armchair", 8, (1000.0,), 1.0, partial(tube, 4, 4, 3)),
    Dynamics("fullerene", 10, (1500.0,), 1.0, fullerene),
    Dynamics("vacancy_graphene", 8, (1000.0,), 1.0, lambda: layer()[1:]),
    Dynamics("vacancy_diamond", 8, (1000.0,), 0.6, lambda: diamond()[1:]),
    Dynamics("liquid", 8, (9000.0, 6000.0, 6000.0), 1.5, partial(diamond, scale=LIQUID_SCALE)),
    Dynamics("amorphous", 8, (9000.0, 6000.0, 300.0, 300.0), 3.0, partial(diamond, scale=AMORPHOUS_SCALE)),
    Sweep("strained_diamond", 11, (-0.08, 0.08), strained_diamond),
    Sweep("strained_graphene", 11, (-0.08, 0.08), strained_layer),
    Sweep("dimer", 11, (1.2, 2.0), dimer),
)
