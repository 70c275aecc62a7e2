"""A small data set of silicon, simulated with jax-md: redundant bulk and rare outliers.

Energies and forces are those of the Stillinger-Weber potential [stillinger:85], by jax-md.
"""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk

from quests_jax.datasets.jaxmd_potentials import Field, energy_and_forces, potential
from quests_jax.datasets.simulation import VACUUM, Dynamics, Sweep

LATTICE = 5.431  # Å, at the minimum of the energy
FIELD = Field(
    name="Stillinger-Weber",
    symbol="Si",
    cutoff=3.77118,
    timestep=1.0 * units.fs,
    friction=0.01 / units.fs,
    spare=8,
    energy=lambda md, displacement: md.energy.stillinger_weber(displacement),
    listed=lambda md, displacement, box, **options: md.energy.stillinger_weber_neighbor_list(
        displacement, box, **options
    ),
)
POTENTIAL = potential(FIELD)


def stillinger_weber(structure: Atoms) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/Å, shape [atoms, 3], of the potential of Stillinger and Weber.

    Raises `InputError` if an atom is of another element than silicon.

    >>> energy, forces = stillinger_weber(dimer(2.35))
    >>> round(energy, 2), float(forces.sum().round(9))
    (-2.17, 0.0)
    """
    return energy_and_forces(FIELD, structure)


def crystal(*, scale: float = 1.0) -> Atoms:
    """64 atoms of the diamond crystal, every length times `scale`."""
    return bulk("Si", "diamond", LATTICE * scale, cubic=True).repeat(2)


def slab() -> Atoms:
    """64 atoms in eight (001) layers, periodic in the plane and open along z."""
    structure = crystal()
    structure.center(vacuum=VACUUM, axis=2)
    structure.pbc = (True, True, False)
    return structure


def cluster(*, boxed: bool) -> Atoms:
    """10 atoms cut from the crystal, without cell, or `boxed` in a cell that is not periodic."""
    structure = Atoms("Si10", crystal().positions[:10])
    if boxed:
        structure.center(vacuum=VACUUM)
    return structure


def strained(amount: float, *, direction: np.ndarray, cubic: bool) -> Atoms:
    """The conventional (8 atoms) or primitive (2) cell under x -> (1 + amount · direction) x."""
    structure = bulk("Si", "diamond", LATTICE, cubic=cubic)
    structure.set_cell(structure.cell.array @ (np.eye(3) + amount * direction).T, scale_atoms=True)
    return structure


def dimer(distance: float) -> Atoms:
    """Two atoms `distance` Å apart, without cell."""
    return Atoms("Si2", [(0.0, 0.0, 0.0), (distance, 0.0, 0.0)])


ISOTROPIC = np.eye(3)
SHEAR = np.ones((3, 3)) - np.eye(3)
LIQUID_SCALE = (2.33 / 2.53) ** (1 / 3)  # the liquid, at 2.53 g/cm³, is denser than the crystal

RECIPE: tuple[Dynamics | Sweep, ...] = (
    Dynamics("crystal_300K", 40, (300.0,), 4.0, crystal),
    Dynamics("crystal_600K", 24, (600.0,), 2.4, crystal),
    Dynamics("crystal_1200K", 16, (1200.0,), 2.0, crystal),
    Sweep("isotropic_primitive", 11, (-0.10, 0.10), partial(strained, direction=ISOTROPIC, cubic=False)),
    Sweep("isotropic_conventional", 11, (-0.10, 0.10), partial(strained, direction=ISOTROPIC, cubic=True)),
    Sweep("shear_primitive", 8, (0.01, 0.08), partial(strained, direction=SHEAR, cubic=False)),
    Sweep("shear_conventional", 8, (0.01, 0.08), partial(strained, direction=SHEAR, cubic=True)),
    Dynamics("vacancy", 10, (900.0,), 2.0, lambda: crystal()[1:]),
    Dynamics("surface", 8, (600.0,), 3.0, slab),
    Dynamics("liquid", 8, (4500.0, 2000.0, 2000.0), 6.0, partial(crystal, scale=LIQUID_SCALE)),
    Dynamics("quench", 6, (4500.0, 2500.0, 300.0), 6.0, partial(crystal, scale=LIQUID_SCALE)),
    Dynamics("amorphous", 6, (4500.0, 1000.0, 300.0, 300.0), 9.0, crystal),
    Dynamics("compressed", 4, (3000.0,), 1.0, partial(crystal, scale=0.85)),
    Sweep("dimer", 11, (1.6, 3.6), dimer),
    Dynamics("cluster", 5, (500.0,), 2.0, partial(cluster, boxed=False)),
    Dynamics("boxed_cluster", 5, (500.0,), 2.0, partial(cluster, boxed=True)),
)


def bundled() -> Path:
    """Path of the gzipped extxyz file that ships with the package: this recipe with seed 0.

    >>> bundled().name
    'silicon.xyz.gz'
    """
    return Path(str(files("quests_jax") / "datasets" / "silicon.xyz.gz"))
