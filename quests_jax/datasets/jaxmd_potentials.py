"""Interface to jax-md, which is imported on first use because that takes seconds.

`cell` holds lattice vectors as rows; jax-md's `box` is its transpose.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from quests_jax.base.checks import InputError
from quests_jax.datasets.simulation import VACUUM, Potential


class Field(NamedTuple):
    """A potential of jax-md for one element."""

    name: str
    symbol: str
    cutoff: float  # Å
    timestep: float  # of the dynamics, in ASE's unit of time
    friction: float  # of the thermostat, in ASE's unit of time
    energy: Callable[..., Any]  # energy function of (jax_md, displacement)
    spare: int  # neighbors that an atom may gain during the dynamics
    listed: Callable[..., Any]  # neighbor and energy functions of (jax_md, displacement, box, **options)


def potential(field: Field) -> Potential:
    """Settings and functions that simulations need from a jax-md potential."""
    return Potential(partial(energy_and_forces, field), partial(_trajectory, field), timestep=field.timestep)


@contextmanager
def _jax_md_habits() -> Iterator[None]:
    """Allow mixed dtypes and ranks, which jax-md needs, whatever the caller's settings."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@_jax_md_habits()
def energy_and_forces(field: Field, structure: Atoms) -> tuple[float, np.ndarray]:
    """Energy E in eV and forces -dE/dx in eV/Å, shape [atoms, 3], in any cell and periodicity.

    jax-md knows only the nearest image, so the energy is that of a supercell no thinner than twice the
    cutoff, shared among its copies of the cell.

    Raises:
        InputError: if an atom is of another element.
    """
    if set(structure.symbols) != {field.symbol}:
        raise InputError(f"{structure.symbols}: the {field.name} potential needs {field.symbol} only.")
    embedded, repeats = _embedded(field, structure)
    supercell = embedded.repeat(repeats)
    energy, gradient = _energy_and_gradient(field, supercell.get_scaled_positions(), supercell.cell.array.T)
    return float(energy) / int(repeats.prod()), -np.asarray(gradient[: len(structure)])


@partial(jax.jit, static_argnums=0)
def _energy_and_gradient(field: Field, fractional: jax.Array, box: jax.Array) -> tuple[jax.Array, jax.Array]:
    import jax_md

    displacement, _ = jax_md.space.periodic_general(box)
    # jax-md gives derivatives along Cartesian axes although the positions are fractional.
    return jax.value_and_grad(field.energy(jax_md, displacement))(fractional)


@_jax_md_habits()
def _trajectory(field: Field, start: Atoms, key: jax.Array, kT: np.ndarray) -> np.ndarray:
    """Displacements from `start` after each step, shape [steps, atoms, 3], for `kT` of shape [steps]."""
    import jax_md

    md: Any = jax_md  # its annotations lag behind its code
    embedded, repeats = _embedded(field, start)
    if (repeats > 1).any():
        raise InputError(
            f"the cell of {start.symbols} is thinner than {2 * field.cutoff:.2f} Å; use a supercell."
        )
    fractional, box = jnp.asarray(embedded.get_scaled_positions()), jnp.asarray(embedded.cell.array.T)
    displacement, shift = md.space.periodic_general(box, wrapped=False)
    options = {"fractional_coordinates": True, "disable_cell_list": True}
    neighbor_fn, energy_fn = field.listed(md, displacement, box, **options)
    init, step = md.simulate.nvt_langevin(energy_fn, shift, field.timestep, kT[0], field.friction)

    def advance(carry, kT):
        state, neighbors = carry
        state = step(state, neighbor=neighbors, kT=kT)
        return (state, neighbors.update(state.position)), state.position

    neighbors = neighbor_fn.allocate(fractional, extra_capacity=field.spare)
    state = init(key, fractional, mass=start.get_masses()[0], neighbor=neighbors)
    (_, neighbors), visited = jax.lax.scan(advance, (state, neighbors), jnp.asarray(kT))
    if neighbors.did_buffer_overflow:
        raise RuntimeError("the neighbor list overflowed during the dynamics; start from a denser structure.")
    return np.asarray(visited - fractional) @ embedded.cell.array


def _embedded(field: Field, structure: Atoms) -> tuple[Atoms, np.ndarray]:
    """The same atoms, periodic with vacuum along open directions, and how often jax-md must repeat them."""
    embedded = structure.copy()
    if not structure.pbc.all():
        embedded.center(vacuum=VACUUM, axis=tuple(np.flatnonzero(~structure.pbc)))
    embedded.pbc = True
    inverse_thickness = np.linalg.norm(embedded.cell.reciprocal(), axis=1)
    return embedded, np.ceil(2 * field.cutoff * inverse_thickness).astype(int)
