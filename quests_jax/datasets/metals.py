"""A data set in the manner of TM23 [owen:24]: seven metals, each cold, warm and molten.

The potential is the effective-medium theory of ASE [jacobsen:96], which knows Al, Ni, Cu, Pd, Ag, Pt and Au.
Every metal runs at 0.25, 0.75 and 1.25 of its melting temperature; what is to melt starts at twice that.
"""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.langevin import Langevin

from quests_jax.datasets.simulation import Dynamics, Potential

MELTING = {  # K
    "Al": 933.0,
    "Ni": 1728.0,
    "Cu": 1358.0,
    "Pd": 1828.0,
    "Ag": 1235.0,
    "Pt": 2041.0,
    "Au": 1337.0,
}
REGIMES = {"cold": 0.25, "warm": 0.75, "melt": 1.25}  # of the melting temperature
OVERHEATED = 2.0  # of the melting temperature, at the start of what is to melt
MOLTEN_SCALE = 1.03  # of lengths: a melt is less dense than the crystal
FRICTION = 0.02 / units.fs
TIMESTEP = 4.0 * units.fs


def emt(structure: Atoms) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/Å, shape [atoms, 3], of the effective-medium theory."""
    calculated = structure.copy()
    calculated.calc = EMT()
    return float(calculated.get_potential_energy()), calculated.get_forces()


def _trajectory(start: Atoms, key: jax.Array, kT: np.ndarray) -> np.ndarray:
    """Displacements from `start` after each step, shape [steps, atoms, 3], for `kT` of shape [steps]."""
    atoms = start.copy()
    atoms.calc = EMT()
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * np.sqrt(atoms.get_masses() * kT[0])[:, None])
    dynamics = Langevin(
        atoms, TIMESTEP, temperature_K=kT[0] / units.kB, friction=FRICTION, fixcm=False, rng=rng
    )
    visited = np.empty((len(kT), len(atoms), 3))
    for step, energy in enumerate(kT):
        dynamics.set_temperature(temperature_K=energy / units.kB)
        dynamics.run(1)
        visited[step] = atoms.positions
    return visited - start.positions


POTENTIAL = Potential(emt, _trajectory, timestep=TIMESTEP)


def crystal(symbol: str, *, scale: float = 1.0) -> Atoms:
    """32 atoms of the crystal, every length times `scale`."""
    structure = bulk(symbol, cubic=True).repeat(2)
    structure.set_cell(structure.cell.array * scale, scale_atoms=True)
    return structure


def _row(symbol: str, regime: str) -> Dynamics:
    """One metal in one regime, as `config_type` "Cu_warm" and so on."""
    T = REGIMES[regime] * MELTING[symbol]
    if regime == "melt":
        path = (OVERHEATED * MELTING[symbol], OVERHEATED * MELTING[symbol], T, T, T)
        return Dynamics(f"{symbol}_melt", 12, path, 1.2, partial(crystal, symbol, scale=MOLTEN_SCALE))
    return Dynamics(f"{symbol}_{regime}", 12, (T,), 0.6, partial(crystal, symbol))


RECIPE = tuple(_row(symbol, regime) for symbol in MELTING for regime in REGIMES)
