"""The descriptor without jumps: its equation, its continuity, and that all ways to it agree."""

from __future__ import annotations

import math

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk
from descriptor_oracle import neighbor_vectors, plain_row
from test_continuity import CUTOFF, SMALL, at_distances
from zoo import ZOO, zoo

from quests_jax.atoms.describe import get_descriptors
from quests_jax.atoms.neighbors import find_neighbors
from quests_jax.atoms.smooth import get_smooth_descriptors, smooth_descriptors
from quests_jax.base.checks import InputError

K = 6


def oracle(atoms: ase.Atoms, k: int, cutoff: float) -> np.ndarray:
    """QUESTS rows of the k nearest with the cutoff of each at its neighbor k + 1."""
    rows = []
    for i in range(len(atoms)):
        vectors = neighbor_vectors(atoms, i, cutoff)
        radius = math.hypot(*vectors[k]) if len(vectors) > k else cutoff
        rows.append(plain_row(vectors[:k], k, radius))
    return np.array(rows)


@pytest.mark.parametrize("name", sorted(ZOO))
def test_a_data_set_equals_the_equation(name: str) -> None:
    atoms = zoo(3)[name]
    found = get_smooth_descriptors([atoms], k=K, cutoff=CUTOFF)
    np.testing.assert_allclose(found, oracle(atoms, K, CUTOFF), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["fcc", "one-atom cell", "slab", "molecule"])
@pytest.mark.parametrize("skin", [0.0, 0.7])
def test_one_structure_equals_the_data_set(name: str, skin: float) -> None:
    """Candidates may be more than needed, and found within a larger cutoff."""
    atoms = zoo(4)[name]
    candidates = find_neighbors(atoms, k=K + 1 + round(10 * skin), cutoff=CUTOFF + skin)
    found = smooth_descriptors(atoms.positions, atoms.cell.array, candidates, k=K, cutoff=CUTOFF)
    expected = get_smooth_descriptors([atoms], k=K, cutoff=CUTOFF)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def swap(side: float, describe) -> np.ndarray:
    """One row: k = 2, a neighbor at 1.2 Å, and two at 2 ± side Å, beside it and opposite."""
    return describe([at_distances(1.2, 2 + side, 2 - side)], k=2, cutoff=CUTOFF)[0]


def test_continuous_at_the_swap_where_the_descriptor_of_quests_jumps() -> None:
    smooth, usual = (
        np.abs(swap(SMALL, describe) - swap(-SMALL, describe)).max()
        for describe in (get_smooth_descriptors, get_descriptors)
    )
    assert usual > 0.05
    assert smooth < 4 * SMALL  # √w falls as 2 (R − r)/R, over 1.2 Å and more


@pytest.mark.parametrize("side", [-SMALL, SMALL])
def test_continuous_where_neighbor_k_plus_1_crosses_the_cutoff(side: float) -> None:
    rows = [
        get_smooth_descriptors([at_distances(1.5, 2.0, CUTOFF + s)], k=2, cutoff=CUTOFF)[0] for s in (side, 0)
    ]
    np.testing.assert_allclose(*rows, rtol=0, atol=4 * SMALL)


def test_equivalent_atoms_are_equal_where_k_splits_a_shell() -> None:
    x = get_smooth_descriptors([bulk("Cu", cubic=True) * 2], k=32, cutoff=5.0)
    np.testing.assert_allclose(x, np.broadcast_to(x[:1], x.shape), rtol=0, atol=1e-12)


def test_gradients_equal_finite_differences() -> None:
    atoms, step = zoo(6)["fcc"], 1e-6
    neighbors = find_neighbors(atoms, k=K + 1, cutoff=CUTOFF)
    coefficients = np.random.default_rng(0).normal(size=2 * K - 1)

    def value(positions):
        x = smooth_descriptors(positions, jnp.asarray(atoms.cell.array), neighbors, k=K, cutoff=CUTOFF)
        return jnp.sum(jnp.cos(x @ coefficients))

    gradient = jax.grad(value)(jnp.asarray(atoms.positions))
    for entry in np.ndindex(gradient.shape):
        move = np.zeros_like(atoms.positions)
        move[entry] = step
        difference = (value(atoms.positions + move) - value(atoms.positions - move)) / (2 * step)
        np.testing.assert_allclose(gradient[entry], difference, rtol=1e-6, atol=1e-7)


def test_too_few_candidates_are_refused() -> None:
    atoms = zoo(0)["fcc"]
    neighbors = find_neighbors(atoms, k=K, cutoff=CUTOFF)
    with pytest.raises(InputError, match="find 7 or more"):
        smooth_descriptors(atoms.positions, atoms.cell.array, neighbors, k=K, cutoff=CUTOFF)


def test_an_atom_whose_position_is_no_number_is_no_number_to_its_neighbors_alone() -> None:
    atoms = bulk("Si", cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=0)
    near = find_neighbors(atoms, k=20, cutoff=4.0)  # more candidates than are described
    describe = lambda R: smooth_descriptors(R, atoms.cell.array, near, k=8, cutoff=4.0)  # noqa: E731
    positions = np.array(atoms.positions)
    clean = np.asarray(describe(positions))
    positions[7, 1] = np.nan
    found = np.asarray(describe(positions))
    is_near = np.any((np.asarray(near.index) == 7) & (np.asarray(near.occupation) > 0), axis=1)
    is_near[7] = True
    assert np.all(np.isnan(found[is_near]))
    np.testing.assert_array_equal(found[~is_near], clean[~is_near])
    assert 0 < is_near.sum() < len(atoms)
