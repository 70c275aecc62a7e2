"""Where descriptors are continuous in the positions and where they jump: neighbors that come and go."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from zoo import zoo

from quests_jax.atoms.describe import get_descriptors

CUTOFF = 4.1
SMALL = 1e-5  # Å, above the tolerance within which two distances are one


def weight(r: float) -> float:
    return (1 - (r / CUTOFF) ** 2) ** 2


def at_distances(*distances: float) -> ase.Atoms:
    """An atom at the origin and others along +x, +y, −x, ... at these distances."""
    directions = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0]])[: len(distances)]
    return ase.Atoms(
        f"C{len(distances) + 1}", np.vstack([np.zeros(3), directions * np.array(distances)[:, None]])
    )


def test_continuous_where_a_neighbor_crosses_the_cutoff() -> None:
    rows = [
        get_descriptors([at_distances(1.5, 2.0, CUTOFF + side)], k=8, cutoff=CUTOFF)[0]
        for side in (-SMALL, 0, SMALL)
    ]
    # √w falls as 2 (r_c − r) / r_c, and enters X2 as √w / (r_jl k), twice in a place at most.
    for row in rows:
        np.testing.assert_allclose(row, rows[2], rtol=0, atol=2 * SMALL / CUTOFF)
    assert np.any(rows[0] != rows[2])


@pytest.mark.parametrize("seed", range(3))
def test_continuous_where_no_neighbor_changes_rank(seed: int) -> None:
    atoms = zoo(seed)["molecule"]
    moved = atoms.copy()
    moved.positions += np.random.default_rng(seed).uniform(-SMALL, SMALL, moved.positions.shape)
    x = get_descriptors([atoms, moved], k=8, cutoff=CUTOFF)  # k exceeds the number of neighbors
    difference = np.abs(x[:6] - x[6:])
    assert 0 < difference.max() < 10 * SMALL


def swap(side: float) -> np.ndarray:
    """Row of k = 2 neighbors: one at 1.2 Å, and the nearer of two at 2 ± side Å, beside it and opposite."""
    return get_descriptors([at_distances(1.2, 2 + side, 2 - side)], k=2, cutoff=CUTOFF)[0]


def test_at_the_swap_of_neighbors_k_and_k_plus_1_the_radial_part_is_continuous() -> None:
    slope = 1.0  # |d(w/r)/dr| < 1 Å⁻² at 2 Å
    np.testing.assert_allclose(swap(SMALL)[:2], swap(-SMALL)[:2], rtol=0, atol=2 * slope * SMALL)


def test_at_the_swap_of_neighbors_k_and_k_plus_1_the_cross_part_jumps() -> None:
    """√(w w) / r_jl of the pair that is kept: at a right angle on one side, opposite on the other."""
    near, far = np.hypot(1.2, 2.0), 1.2 + 2.0
    jump = np.sqrt(weight(1.2) * weight(2.0)) * (1 / near - 1 / far)
    assert jump > 0.05
    np.testing.assert_allclose(swap(-SMALL)[2] - swap(SMALL)[2], jump, rtol=0, atol=10 * SMALL)


def test_at_a_tie_the_cross_part_lies_half_way() -> None:
    np.testing.assert_allclose(swap(0.0), (swap(-SMALL) + swap(SMALL)) / 2, rtol=0, atol=10 * SMALL)
