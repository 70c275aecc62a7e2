"""A small data set of silicon, simulated with jax-md: a redundant bulk with rare outliers.

Energies and forces are those of the Stillinger-Weber potential [Phys. Rev. B 31, 5262 (1985)], by jax-md.
Units: Å, eV, eV/Å, K, ps. `cell` holds lattice vectors as rows; jax-md's `box` is its transpose.
Molecular dynamics is chaotic: a seed repeats exactly on one machine, and only statistically on another.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from quests_jax.checks import InputError

LATTICE = 5.431  # Å, at the minimum of the energy
CUTOFF = 3.77118  # Å, of the potential
VACUUM = 6.0  # Å, on each side along an open direction
TIMESTEP = 1.0 * units.fs
FRICTION = 0.01 / units.fs  # of the Langevin thermostat
DECIMALS = 6  # kept in every stored length, energy and force, so that files round-trip and stay small


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


class Dynamics(NamedTuple):
    """Structures sampled evenly from the second half of a Langevin run of `picoseconds`.

    The thermostat passes through `temperatures`, in K, at even intervals and linearly between them.
    """

    config_type: str
    n_structures: int
    temperatures: tuple[float, ...]
    picoseconds: float
    start: Callable[[], Atoms]

    def structures(self, key: jax.Array) -> Iterator[Atoms]:
        """The sampled structures, in order of time."""
        time = np.linspace(0, 1, round(self.picoseconds * 1000 * units.fs / TIMESTEP))
        knots = np.linspace(0, 1, len(self.temperatures))
        start = self.start()
        moved = _trajectory(start, key, units.kB * np.interp(time, knots, self.temperatures))
        for step in np.linspace(len(time) // 2, len(time) - 1, self.n_structures).astype(int):
            structure = start.copy()
            structure.positions += moved[step]
            yield structure


class Sweep(NamedTuple):
    """One structure for each of `n_structures` values spaced evenly over `span`, without dynamics."""

    config_type: str
    n_structures: int
    span: tuple[float, float]
    build: Callable[[float], Atoms]

    def structures(self, key: jax.Array) -> Iterator[Atoms]:
        """The structures, in order of their values."""
        del key
        return map(self.build, np.linspace(*self.span, self.n_structures))


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


def generate(
    *,
    seed: int = 0,
    recipe: Sequence[Dynamics | Sweep] = RECIPE,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Atoms]:
    """Simulate the silicon data set, with the energy and forces of each structure.

    Args:
        seed: of the random numbers of the dynamics.
        recipe: rows to simulate, in order; the whole set takes about a minute on two cores.
        progress: called as `progress(config_type, done, total)`, in structures, whenever one is done.

    Returns:
        Structures with `info["config_type"]`, whose calculators hold the total energy in eV and forces in
        eV/Å, shape [atoms, 3]. Numbers are rounded to `DECIMALS`, so extxyz files keep them exactly.

    Raises:
        InputError: if the dynamics would start from a cell thinner than twice the cutoff.
    """
    total = sum(row.n_structures for row in recipe)
    labeled: list[Atoms] = []
    for number, row in enumerate(recipe):
        for structure in row.structures(jax.random.fold_in(jax.random.key(seed), number)):
            labeled.append(_labeled(structure, row.config_type))
            if progress is not None:
                progress(row.config_type, len(labeled), total)
    return labeled


def bundled() -> Path:
    """Path of the gzipped extxyz file that ships with the package: `generate(seed=0)`."""
    return Path(str(files("quests_jax") / "data" / "silicon.xyz.gz"))


def _labeled(structure: Atoms, config_type: str) -> Atoms:
    structure.set_cell(structure.cell.array.round(DECIMALS))
    structure.positions = structure.positions.round(DECIMALS)
    energy, forces = stillinger_weber(structure)
    labels = {"energy": round(energy, DECIMALS), "forces": forces.round(DECIMALS)}
    structure.calc = SinglePointCalculator(structure, **labels)
    structure.info["config_type"] = config_type
    return structure


# ---- The border with jax-md, which is imported on first use because that takes seconds ----


@contextmanager
def _jax_md_habits() -> Iterator[None]:
    """Allow what jax-md does, whatever the caller's settings: it mixes dtypes and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@_jax_md_habits()
def stillinger_weber(structure: Atoms) -> tuple[float, np.ndarray]:
    """Energy E in eV and forces -dE/dx in eV/Å, shape [atoms, 3], of silicon in any cell and periodicity.

    jax-md knows only the nearest image, so the energy is that of a supercell no thinner than twice the
    cutoff, shared among its copies of the cell.

    Raises:
        InputError: if an atom is not silicon.
    """
    if set(structure.symbols) != {"Si"}:
        raise InputError(f"{structure.symbols} is not silicon; the Stillinger-Weber potential needs Si only.")
    embedded, repeats = _embedded(structure)
    supercell = embedded.repeat(repeats)
    energy, gradient = _energy_and_gradient(supercell.get_scaled_positions(), supercell.cell.array.T)
    return float(energy) / int(repeats.prod()), -np.asarray(gradient[: len(structure)])


@jax.jit
def _energy_and_gradient(fractional: jax.Array, box: jax.Array) -> tuple[jax.Array, jax.Array]:
    from jax_md import energy, space

    displacement, _ = space.periodic_general(box)
    # jax-md gives derivatives along Cartesian axes although the positions are fractional.
    return jax.value_and_grad(energy.stillinger_weber(displacement))(fractional)


@_jax_md_habits()
def _trajectory(start: Atoms, key: jax.Array, kT: np.ndarray) -> np.ndarray:
    """Displacements from `start` after each step, shape [steps, atoms, 3], for `kT` of shape [steps]."""
    import jax_md

    md: Any = jax_md  # its annotations lag behind its code
    embedded, repeats = _embedded(start)
    if (repeats > 1).any():
        raise InputError(f"the cell of {start.symbols} is thinner than {2 * CUTOFF:.2f} Å; use a supercell.")
    fractional, box = jnp.asarray(embedded.get_scaled_positions()), jnp.asarray(embedded.cell.array.T)
    displacement, shift = md.space.periodic_general(box, wrapped=False)
    neighbor_fn, energy_fn = md.energy.stillinger_weber_neighbor_list(
        displacement, box, fractional_coordinates=True, disable_cell_list=True
    )
    init, step = md.simulate.nvt_langevin(energy_fn, shift, TIMESTEP, kT[0], FRICTION)

    def advance(carry, kT):
        state, neighbors = carry
        state = step(state, neighbor=neighbors, kT=kT)
        return (state, neighbors.update(state.position)), state.position

    neighbors = neighbor_fn.allocate(fractional, extra_capacity=8)
    state = init(key, fractional, mass=start.get_masses()[0], neighbor=neighbors)
    (_, neighbors), visited = jax.lax.scan(advance, (state, neighbors), jnp.asarray(kT))
    if neighbors.did_buffer_overflow:
        raise RuntimeError("the neighbor list overflowed during the dynamics; start from a denser structure.")
    return np.asarray(visited - fractional) @ embedded.cell.array


def _embedded(structure: Atoms) -> tuple[Atoms, np.ndarray]:
    """The same atoms, periodic with vacuum along open directions, and how often jax-md must repeat them."""
    embedded = structure.copy()
    if not structure.pbc.all():
        embedded.center(vacuum=VACUUM, axis=tuple(np.flatnonzero(~structure.pbc)))
    embedded.pbc = True
    inverse_thickness = np.linalg.norm(embedded.cell.reciprocal(), axis=1)
    return embedded, np.ceil(2 * CUTOFF * inverse_thickness).astype(int)
