"""Elements of centers and neighbors: their descriptors obey the laws of the plain one."""

from __future__ import annotations

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation

import quests_jax as qj
from quests_jax.atoms.descriptors import descriptors
from quests_jax.atoms.element_channels import N_CHANNELS, channel_weights, period_and_group
from quests_jax.atoms.neighbors import find_neighbors
from quests_jax.base.checks import InputError

K, CUTOFF = 6, 4.5
WIDTH = 2 * K - 1


def salt(rattle: float = 0.1) -> ase.Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(rattle, seed=0)
    return atoms


def described(*structures: ase.Atoms, elements: str = "neighbors") -> np.ndarray:
    return qj.get_descriptors(structures, k=K, cutoff=CUTOFF, elements=elements)


def weighted_by_loops(atoms: ase.Atoms, p: np.ndarray) -> np.ndarray:
    """The equations of `quests_descriptor` with w(r_j) → p_j w(r_j), term by term."""
    tiles = atoms.repeat(3)
    tiles.positions -= np.ones(3) @ atoms.cell.array
    weights, x = np.tile(p, 27), np.zeros((len(atoms), WIDTH))
    for i, center in enumerate(atoms.positions):
        vectors = tiles.positions - center
        near = np.argsort(np.linalg.norm(vectors, axis=1))[1 : K + 1]
        r = np.linalg.norm(vectors[near], axis=1)
        w = weights[near] * np.where(r <= CUTOFF, (1 - (r / CUTOFF) ** 2) ** 2, 0)
        rows = []
        for j in range(K):
            apart = np.linalg.norm(vectors[near] - vectors[near[j]], axis=1)
            terms = [np.sqrt(w[j] * w[other]) / apart[other] for other in range(K) if other != j]
            rows.append(sorted(terms, reverse=True))
        x[i] = [*sorted(w / r, reverse=True), *np.mean(rows, axis=0)]
    return x


def test_each_block_is_the_descriptor_weighed_by_a_property():
    atoms = salt()
    blocks = np.split(described(atoms), 1 + N_CHANNELS, axis=1)
    np.testing.assert_array_equal(blocks[0], described(atoms, elements="ignore"))
    for block, p in zip(blocks[1:], channel_weights(atoms.numbers).T, strict=True):
        np.testing.assert_allclose(block, weighted_by_loops(atoms, p), atol=1e-12)


def test_motions_and_the_order_of_atoms_change_nothing():
    atoms, order = salt(), np.random.default_rng(0).permutation(8)
    moved = atoms[order]
    turn = Rotation.random(random_state=0).as_matrix()
    moved.set_cell(atoms.cell.array @ turn.T)
    moved.positions = moved.positions @ turn.T + [0.3, -2.0, 1.0]
    np.testing.assert_allclose(described(moved), described(atoms)[order], atol=1e-10)
    np.testing.assert_allclose(described(atoms.repeat((2, 1, 1)))[:8], described(atoms), atol=1e-10)


def test_equivalent_atoms_of_a_perfect_crystal_are_one_environment():
    x = described(salt(0.0), bulk("CsCl", "cesiumchloride", a=4.1).repeat(2))
    for rows in (x[0:8:2], x[1:8:2], x[8::2], x[9::2]):
        np.testing.assert_allclose(rows, rows[:1].repeat(len(rows), axis=0), atol=1e-10)


@pytest.mark.parametrize("rattle", [0.0, 0.1])
def test_the_differentiable_path_is_the_same(rattle):
    atoms = salt(rattle)
    neighbors = find_neighbors(atoms, k=K, cutoff=CUTOFF)
    p = channel_weights(atoms.numbers)
    x = descriptors(atoms.positions, atoms.cell.array, neighbors, cutoff=CUTOFF, weights=p)
    np.testing.assert_allclose(x, described(atoms), atol=1e-10)


@pytest.mark.slow
def test_gradients_are_those_of_finite_differences():
    atoms = salt()
    neighbors, p = find_neighbors(atoms, k=K, cutoff=CUTOFF), channel_weights(atoms.numbers)
    along = np.random.default_rng(1).normal(size=(8, 3))
    target = np.random.default_rng(2).normal(size=(8, (1 + N_CHANNELS) * WIDTH))

    def value(positions):
        x = descriptors(positions, atoms.cell.array, neighbors, cutoff=CUTOFF, weights=p)
        return jnp.sum(target * x)

    both, step = jax.jit(jax.value_and_grad(value)), 1e-5
    ahead, behind = (float(both(atoms.positions + sign * step * along)[0]) for sign in (1, -1))
    slope = float(np.vdot(both(atoms.positions)[1], along))
    assert slope == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)


def test_similar_elements_are_near():
    def with_neighbors(symbol: str) -> np.ndarray:
        atoms = salt()
        atoms.symbols[atoms.numbers == 11] = symbol
        return described(atoms)[1]  # around Cl

    apart = {symbol: np.linalg.norm(with_neighbors(symbol) - with_neighbors("Na")) for symbol in "KIO"}
    assert 0 < apart["K"] < apart["I"]
    assert apart["K"] < apart["O"]


def test_places_in_the_periodic_table():
    assert [period_and_group(Z)[0] for Z in (1, 3, 11, 19, 37, 55, 87)] == [1, 2, 3, 4, 5, 6, 7]
    assert [period_and_group(Z)[1] for Z in (5, 13, 31, 49, 81)] == [13] * 5
    assert [period_and_group(Z)[1] for Z in (21, 22, 40, 72, 104, 80)] == [3, 4, 4, 4, 4, 12]
    p = channel_weights(np.arange(1, 119))
    assert (p.min(), p.max()) == (0, 2)
    assert len(np.unique(p, axis=0)) == 118
    with pytest.raises(InputError, match="no element"):
        channel_weights(np.array([0]))


def dimer(symbols: str) -> ase.Atoms:
    return ase.Atoms(symbols, [[0, 0, 0], [0, 0, 0.92]])


@pytest.mark.parametrize("elements", ["center", "neighbors"])
def test_fluorine_is_not_hydrogen_fluoride(elements):
    fluorine, fluoride = (qj.environments([dimer(name)] * 2, elements=elements) for name in ("F2", "HF"))
    assert float(qj.overlap(fluorine, fluoride)) == (1.0 if elements == "center" else 0.0)
    assert float(qj.overlap(fluoride, fluorine)) == (0.5 if elements == "center" else 0.0)


def test_species_tell_the_center_apart_too():
    fluorine, fluoride = (qj.environments([dimer(name)], species=["H", "F"]) for name in ("F2", "HF"))
    assert float(qj.overlap(fluorine, fluoride)) == 0


def test_labels_are_those_of_the_atoms():
    structures = [salt(), molecule("CH4")]
    envs = qj.environments(structures, k=K, elements="center")
    assert envs.elements.tolist() == [*structures[0].numbers, *structures[1].numbers]
    assert np.shape(envs.x) == (13, WIDTH)
    assert qj.environments(structures, k=K).elements is None
    with pytest.raises(InputError, match="elements must be"):
        qj.environments(structures, elements="all")
    with pytest.raises(InputError, match="not both"):
        qj.environments(structures, elements="neighbors", species=["Na"])


def test_columns_do_not_grow_with_the_number_of_elements():
    atoms = bulk("Cu", cubic=True).repeat(3)[:89]
    atoms.numbers = np.arange(1, 90)
    assert described(atoms).shape == (89, (1 + N_CHANNELS) * WIDTH)
