"""Simulation of data sets: rows of a recipe, a potential, and labels of the structures.

Units: Å, eV, eV/Å, K, ps. Molecular dynamics is chaotic: a seed repeats exactly on one machine, and only
statistically on another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

from quests_jax.base.precision import follows_dtype

VACUUM = 6.0  # Å, on each side along an open direction
DECIMALS = 6  # kept in every stored length, energy and force, so that files round-trip and stay small


class Potential(NamedTuple):
    """Functions and time step that a simulation needs from a potential.

    >>> free = Potential(
    ...     label=lambda atoms: (0.0, np.zeros((len(atoms), 3))),
    ...     trajectory=lambda atoms, key, kT: np.zeros((len(kT), len(atoms), 3)),
    ...     timestep=1.0,
    ... )
    >>> free.label(Atoms("He"))[0]
    0.0
    """

    label: Callable[[Atoms], tuple[float, np.ndarray]]  # energy in eV, and forces [atoms, 3] in eV/Å
    # Displacements from the start after each step, [steps, atoms, 3], for a key and kT [steps] in eV.
    trajectory: Callable[[Atoms, jax.Array, np.ndarray], np.ndarray]
    timestep: float  # in ASE's unit of time


class Dynamics(NamedTuple):
    """Structures sampled evenly from the second half of a Langevin run of `picoseconds`.

    The thermostat passes through `temperatures`, in K, at even intervals and linearly between them.

    >>> hot = Dynamics("hot", 5, (300.0, 600.0), 1.0, start=lambda: Atoms("He"))
    >>> hot.temperatures  # rises
    (300.0, 600.0)
    """

    config_type: str
    n_structures: int
    temperatures: tuple[float, ...]
    picoseconds: float
    start: Callable[[], Atoms]

    def structures(self, key: jax.Array, potential: Potential) -> Iterator[Atoms]:
        """The sampled structures, in order of time."""
        time = np.linspace(0, 1, round(self.picoseconds * 1000 * units.fs / potential.timestep))
        knots = np.linspace(0, 1, len(self.temperatures))
        start = self.start()
        moved = potential.trajectory(start, key, units.kB * np.interp(time, knots, self.temperatures))
        for step in np.linspace(len(time) // 2, len(time) - 1, self.n_structures).astype(int):
            structure = start.copy()
            structure.positions += moved[step]
            yield structure


class Sweep(NamedTuple):
    """One structure for each of `n_structures` values spaced evenly over `span`, without dynamics.

    >>> dimers = Sweep("dimer", 3, (2.0, 3.0), lambda r: Atoms("Ar2", [(0, 0, 0), (0, 0, r)]))
    >>> free = Potential(lambda atoms: (0.0, np.zeros((2, 3))), lambda *_: np.zeros(0), 1.0)
    >>> [float(atoms.get_distance(0, 1)) for atoms in dimers.structures(jax.random.key(0), free)]
    [2.0, 2.5, 3.0]
    """

    config_type: str
    n_structures: int
    span: tuple[float, float]
    build: Callable[[float], Atoms]

    def structures(self, key: jax.Array, potential: Potential) -> Iterator[Atoms]:
        """The structures, in order of their values."""
        del key, potential
        return map(self.build, np.linspace(*self.span, self.n_structures))


Recipe = Sequence[Dynamics | Sweep]
Progress = Callable[[str, int, int], None]


@follows_dtype
def simulate(
    recipe: Recipe, potential: Potential, *, seed: int = 0, progress: Progress | None = None
) -> list[Atoms]:
    """Simulate the rows of a recipe, with the energy and forces of each structure.

    Args:
        recipe: rows to simulate, in order.
        potential: that moves and labels them.
        seed: random seed of the dynamics.
        progress: called as `progress(config_type, done, total)`, in structures, whenever one is done.

    Returns:
        Structures with `info["config_type"]`, whose calculators hold the total energy in eV and forces in
        eV/Å, shape [atoms, 3]. Numbers are rounded to `DECIMALS`, so extxyz files keep them exactly.

    Raises:
        InputError: if the dynamics would start from a cell that the potential cannot handle.

    >>> dimers = Sweep("dimer", 3, (2.0, 3.0), lambda r: Atoms("Ar2", [(0, 0, 0), (0, 0, r)]))
    >>> free = Potential(lambda atoms: (0.0, np.zeros((2, 3))), lambda *_: np.zeros(0), 1.0)
    >>> [atoms.info["config_type"] for atoms in simulate([dimers], free)]
    ['dimer', 'dimer', 'dimer']
    """
    total = sum(row.n_structures for row in recipe)
    labeled: list[Atoms] = []
    for number, row in enumerate(recipe):
        for structure in row.structures(jax.random.fold_in(jax.random.key(seed), number), potential):
            labeled.append(_labeled(structure, row.config_type, potential))
            if progress is not None:
                progress(row.config_type, len(labeled), total)
    return labeled


def _labeled(structure: Atoms, config_type: str, potential: Potential) -> Atoms:
    structure.set_cell(structure.cell.array.round(DECIMALS))
    structure.positions = structure.positions.round(DECIMALS)
    energy, forces = potential.label(structure)
    labels = {"energy": round(energy, DECIMALS), "forces": forces.round(DECIMALS)}
    structure.calc = SinglePointCalculator(structure, **labels)
    structure.info["config_type"] = config_type
    return structure
