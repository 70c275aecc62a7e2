"""Energies, forces and stresses are found under the names that people give them."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from quests_jax.atoms.labels import find_labels
from quests_jax.base.checks import InputError

FORCES = np.arange(12.0).reshape(4, 3)


def copper(**info) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.info |= info
    return atoms


@pytest.mark.parametrize(
    "name", ["energy", "REF_energy", "dft_energy", "DFT-energy", "QM_Energy", "total_energy"]
)
def test_energies_by_any_name(name):
    labels = find_labels([copper(**{name: -3.5}), copper()])
    assert labels.energy == (-3.5, None)
    assert labels.names["energy"] == {name: 1}


@pytest.mark.parametrize("name", ["forces", "force", "REF_forces", "dft_force", "DFT_forces"])
def test_forces_by_any_name(name):
    atoms = copper()
    atoms.arrays[name] = FORCES
    np.testing.assert_array_equal(find_labels([atoms]).forces[0], FORCES)


def test_results_of_a_calculator_count():
    atoms = copper()
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=FORCES, stress=[1, 2, 3, 4, 5, 6])
    labels = find_labels([atoms])
    assert labels.energy == (-1.0,)
    np.testing.assert_array_equal(labels.stress[0], [[1, 6, 5], [6, 2, 4], [5, 4, 3]])
    assert labels.complete("forces")


@pytest.mark.parametrize("name", ["virial", "REF_virials"])
def test_a_virial_is_a_stress_times_minus_the_volume(name):
    atoms = copper(**{name: np.eye(3).ravel()})
    np.testing.assert_allclose(find_labels([atoms]).stress[0], -np.eye(3) / atoms.cell.volume)
    assert find_labels([Atoms("H", info={name: np.eye(3)})]).stress == (None,)


def test_the_name_that_most_structures_have_comes_first_and_others_fill_gaps():
    sets = [
        copper(energy=1.0, REF_energy=2.0),
        copper(REF_energy=3.0),
        copper(energy=4.0),
        copper(REF_energy=5.0),
    ]
    labels = find_labels(sets)
    assert labels.energy == (2.0, 3.0, 4.0, 5.0)
    assert labels.names["energy"] == {"REF_energy": 3, "energy": 2}
    assert find_labels(sets[:1]).energy == (1.0,)


def test_names_can_be_given():
    atoms = copper(energy=1.0, mace=2.0)
    atoms.arrays["mace_forces"] = FORCES
    labels = find_labels([atoms], energy_key="mace", forces_key="mace_forces")
    assert labels.energy == (2.0,)
    np.testing.assert_array_equal(labels.forces[0], FORCES)
    with pytest.raises(InputError, match="mac: no structure has a label of this name; found energy, mace"):
        find_labels([atoms], energy_key="mac")
    with pytest.raises(InputError, match="mace: its values are no such label"):
        find_labels([atoms], forces_key="mace")


@pytest.mark.parametrize("value", ["none", None, [1.0, 2.0], {"a": 1}])
def test_what_is_no_number_is_no_energy(value):
    assert find_labels([copper(energy=value)]).energy == (None,)


def test_a_value_that_is_not_finite_is_a_label():
    assert np.isnan(find_labels([copper(energy=np.nan)]).energy[0])
