"""Descriptors that tell elements apart, against the plain descriptor of one element's neighbors."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

from quests_jax.atoms.describe import environments, get_descriptors
from quests_jax.base.checks import InputError

K = 6


def salt() -> ase.Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(0.1, seed=0)
    return atoms


def blocks(x: np.ndarray) -> list[np.ndarray]:
    return np.split(x, x.shape[1] // (2 * K - 1), axis=1)


def test_the_first_block_knows_no_elements():
    resolved = get_descriptors([salt()], k=K, species=["Na", "Cl"])
    np.testing.assert_array_equal(blocks(resolved)[0], get_descriptors([salt()], k=K))
    assert resolved.shape == (8, 3 * (2 * K - 1))


@pytest.mark.parametrize("element", ["Na", "Cl"])
def test_a_block_is_the_descriptor_of_that_element_alone(element):
    """Around each atom, with all atoms of the other element taken away, except itself."""
    atoms, number = salt(), ["Na", "Cl"].index(element) + 1
    found = blocks(get_descriptors([atoms], k=K, species=["Na", "Cl"]))[number]
    for i, symbol in enumerate(atoms.symbols):
        if symbol != element:
            alone = atoms[[i, *np.flatnonzero(atoms.symbols == element)]]
            # its own images are of the other element: they are out of reach of k = 6 Na or Cl
            np.testing.assert_allclose(found[i], get_descriptors([alone], k=K)[0], rtol=1e-12)


def test_elements_on_the_same_sites_differ():
    copper = salt()
    copper.symbols[:] = "Cu"
    same = get_descriptors([salt(), copper], k=K)
    np.testing.assert_allclose(same[:8], same[8:], rtol=1e-12)
    apart = get_descriptors([salt(), copper], k=K, species=["Na", "Cl", "Cu"])
    assert np.abs(apart[:8] - apart[8:]).max(axis=1).min() > 0.05


def test_an_absent_element_has_a_block_of_zeros():
    found = blocks(get_descriptors([salt()], k=K, species=["Cu", "Na"]))
    assert not found[1].any()
    assert found[2].any()


@pytest.mark.parametrize("pbc", [(True, True, False), (False, False, False)])
def test_any_periodicity_will_do(pbc):
    slab = salt()
    slab.pbc = pbc
    assert np.isfinite(get_descriptors([slab, molecule("CH4")], k=K, species=["Na", "Cl", "H"])).all()


def test_one_element_is_told_twice():
    atoms = bulk("Cu", cubic=True)
    first, second = blocks(get_descriptors([atoms], k=K, species=["Cu"]))
    np.testing.assert_array_equal(first, second)


def test_symbols_must_exist():
    with pytest.raises(InputError, match="Xy"):
        get_descriptors([salt()], k=K, species=["Na", "Xy"])


def test_a_function_of_your_own_will_do():
    envs = environments([salt(), molecule("CH4")], descriptor=lambda atoms: atoms.positions[:, :2])
    assert np.shape(envs.x) == (13, 2)
    assert envs.counts.tolist() == [8, 5]


def test_a_function_must_give_a_row_for_each_atom():
    with pytest.raises(InputError, match="structure 1"):
        environments([molecule("H2"), molecule("CH4")], descriptor=lambda atoms: np.zeros((2, 3)))
