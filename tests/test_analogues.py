"""Laws of the simulated carbon and metals: their potentials, and what their recipes hold."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, graphene
from ase.calculators.tersoff import Tersoff, TersoffParameters

from quests_jax import InputError
from quests_jax.datasets import SIMULATED, carbon, generate, metals, simulate
from quests_jax.datasets.simulation import Dynamics

PUBLISHED = {  # eV per atom, Tersoff (1988)
    "diamond": (bulk("C", "diamond", carbon.LATTICE), -7.37),
    "graphene": (graphene(a=carbon.BOND * np.sqrt(3), vacuum=6.0), -7.395),
}


def rattled(structure: Atoms, amount: float) -> Atoms:
    structure = structure.copy()
    structure.rattle(amount, seed=2)
    return structure


def stretched() -> Atoms:
    """Bonds of 1.8 to 2.1 Å, where they fade."""
    return rattled(carbon.diamond(scale=1.25), 0.05)


@pytest.mark.parametrize("name", PUBLISHED)
def test_carbon_has_the_published_cohesive_energy(name: str) -> None:
    structure, published = PUBLISHED[name]
    energy, forces = carbon.POTENTIAL.label(structure)
    assert energy / len(structure) == pytest.approx(published, abs=2e-3)
    np.testing.assert_allclose(forces, 0, atol=1e-3)


@pytest.mark.parametrize(
    "structure",
    [rattled(carbon.diamond(), 0.1), rattled(carbon.layer(), 0.1), carbon.tube(4, 4, 3), stretched()],
    ids=["diamond", "graphene", "tube", "fading bonds"],
)
def test_tersoff_is_that_of_ase(structure: Atoms) -> None:
    energy, forces = carbon.POTENTIAL.label(structure)
    numbers = (3, 1, 0, carbon.C, carbon.D, carbon.COS_0, carbon.N, carbon.BETA, carbon.LAMBDA_2)
    numbers += (carbon.B, carbon.R, carbon.WIDTH, carbon.LAMBDA_1, carbon.A)
    same = structure.copy()
    same.calc = Tersoff({("C", "C", "C"): TersoffParameters.from_list(list(numbers))})
    assert energy == pytest.approx(same.get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(forces, same.get_forces(), atol=1e-5)


def test_forces_where_bonds_fade_are_minus_the_slope_of_the_energy() -> None:
    structure, direction = stretched(), np.random.default_rng(0).normal(size=(64, 3))
    energies = []
    for step in (-1e-4, 1e-4):
        moved = structure.copy()
        moved.positions += step * direction
        energies.append(carbon.POTENTIAL.label(moved)[0])
    slope = (energies[1] - energies[0]) / 2e-4
    assert slope == pytest.approx(-np.vdot(carbon.POTENTIAL.label(structure)[1], direction), rel=1e-5)


def test_a_lone_pair_has_forces() -> None:
    assert np.isfinite(carbon.POTENTIAL.label(carbon.dimer(1.9))[1]).all()


@pytest.mark.parametrize("name", ["carbon", "metals"])
def test_recipes_start_from_structures_their_potential_knows(name: str) -> None:
    recipe, potential = SIMULATED[name]
    starts = [row.start() for row in recipe if isinstance(row, Dynamics)]
    for structure in starts[:: len(starts) // 4]:
        energy, forces = potential.label(structure)
        assert np.isfinite(energy)
        np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-6)


def test_metals_run_at_the_temperatures_of_the_protocol() -> None:
    rows = {row.config_type: row for row in metals.RECIPE}
    assert len(rows) == 3 * len(metals.MELTING)
    for symbol, melting in metals.MELTING.items():
        final = [rows[f"{symbol}_{regime}"].temperatures[-1] / melting for regime in metals.REGIMES]
        assert final == pytest.approx([0.25, 0.75, 1.25])


def test_dynamics_of_a_metal_repeat_for_a_seed_and_hold_their_temperature() -> None:
    start, kT = metals.crystal("Cu"), np.full(250, units.kB * 339.0)
    moved = metals.POTENTIAL.trajectory(start, jax.random.key(3), kT)
    again = metals.POTENTIAL.trajectory(start, jax.random.key(3), kT[:5])
    np.testing.assert_array_equal(moved[:5], again)
    energies = []
    for step in range(100, 250, 10):
        visited = start.copy()
        visited.positions += moved[step]
        energies.append(metals.emt(visited)[0] - metals.emt(start)[0])
    assert np.mean(energies) == pytest.approx(1.5 * 32 * units.kB * 339.0, rel=0.15)  # equipartition


def test_carbon_dynamics_give_labeled_structures() -> None:
    row = Dynamics("layer", 2, (600.0,), 0.02, carbon.layer)
    made = simulate((row,), carbon.POTENTIAL, seed=1)
    assert [atoms.info["config_type"] for atoms in made] == ["layer"] * 2
    assert made[0].get_potential_energy() != made[1].get_potential_energy()
    assert 0 < np.abs(made[1].positions - carbon.layer().positions).max() < 0.5


def test_unknown_recipes_are_named() -> None:
    with pytest.raises(InputError, match="no recipe for 'water'; choose one of silicon, carbon, metals"):
        generate("water")
