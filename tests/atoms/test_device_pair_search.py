"""Neighbors found by all distances of a batch are those that vesin finds, and so are their shifts."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
import pytest
from ase.build import make_supercell
from zoo import zoo

from quests_jax.atoms import environments
from quests_jax.atoms.device_pair_search import pairs_on_device
from quests_jax.atoms.host_pair_search import Search
from quests_jax.base.step_sizes import CPU, computing_as

pytestmark = pytest.mark.slow

FEW = CPU._replace(distances=2**20)


def both_ways(pairs: Sequence[np.ndarray]) -> set[tuple[int, ...]]:
    """Pairs from both of their ends, as whole numbers."""
    index, shift = np.asarray(pairs[0], int).reshape(-1, 2), np.asarray(pairs[1], int).reshape(-1, 3)
    there = np.concatenate([index, shift], axis=1)
    back = np.concatenate([index[:, ::-1], -shift], axis=1)
    return set(map(tuple, np.concatenate([there, back]).tolist()))


def random_structure(rng: np.random.Generator) -> ase.Atoms:
    """1 to 4 atoms or 12, also outside of a cell of any shape that is periodic along any vectors.

    Those are filled up to 4 and 16; some of the zoo are filled up to 8.
    """
    n = int(rng.choice([1, 2, 3, 4, 12]))
    side = (12.0 * n) ** (1 / 3)
    cell = np.diag(side * rng.uniform(0.6, 1.6, 3)) + side * rng.uniform(-0.5, 0.5, (3, 3))
    cell = cell[rng.permutation(3)] * rng.choice([-1, 1], size=(3, 1))
    fraction = rng.uniform(-1.5, 1.5, (n, 3))
    return ase.Atoms(f"C{n}", fraction @ cell, cell=cell, pbc=rng.integers(0, 2, 3) > 0)


def check(structures: list[ase.Atoms], radii: np.ndarray) -> None:
    with computing_as(FEW):
        found = pairs_on_device(structures, radii)
    search = Search()
    for atoms, radius, pairs in zip(structures, radii, found, strict=True):
        assert both_ways(pairs) == both_ways(search.pairs(atoms, radius))
        i, j = np.asarray(pairs[0], int).reshape(-1, 2).T
        expected = atoms.positions[j] - atoms.positions[i] + pairs[1] @ atoms.cell.array
        np.testing.assert_allclose(pairs[2], expected, atol=1e-12)
        np.testing.assert_allclose(pairs[3], np.linalg.norm(pairs[2], axis=1))


def test_the_zoo_and_random_cells() -> None:
    rng = np.random.default_rng(0)
    structures = [
        *zoo(0).values(),
        *zoo(1).values(),
        *(random_structure(rng) for _ in range(60)),
        ase.Atoms(),
    ]
    check(structures, rng.choice([3.0, 4.0], size=len(structures)))


def test_structures_that_are_too_large_are_left_to_vesin() -> None:
    atoms = make_supercell(zoo(0)["fcc"], 5 * np.eye(3))
    check([atoms, zoo(0)["skewed"]], np.array([4.0, 4.0]))


def test_descriptors_are_those_of_vesin() -> None:
    structures = list(zoo(2).values())
    with computing_as(FEW):
        found = environments(structures, k=5, cutoff=3.2).x
    np.testing.assert_allclose(found, environments(structures, k=5, cutoff=3.2).x, atol=1e-12)
