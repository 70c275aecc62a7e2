"""Descriptors against loops over plain numbers."""

from __future__ import annotations

import ase
import descriptor_oracle as oracle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo import CRYSTALS, PARAMETERS, few, split_rows, zoo

from quests_jax.atoms.describe import get_descriptors
from quests_jax.atoms.descriptors import descriptors
from quests_jax.atoms.neighbors import find_neighbors


@pytest.mark.parametrize(("k", "cutoff"), PARAMETERS)
@few
@given(seed=st.integers(0, 2**32 - 1))
def test_every_kind_of_structure_equals_the_loops(k: int, cutoff: float, seed: int) -> None:
    structures = zoo(seed)
    x = get_descriptors(list(structures.values()), k=k, cutoff=cutoff)
    for (name, atoms), found in zip(structures.items(), split_rows(x, [*structures.values()]), strict=True):
        np.testing.assert_allclose(found, oracle.rows(atoms, k, cutoff), rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(("k", "cutoff"), PARAMETERS)
@pytest.mark.parametrize("name", CRYSTALS)
def test_shared_shells_of_perfect_crystals_equal_the_loops(name: str, k: int, cutoff: float) -> None:
    x = get_descriptors([CRYSTALS[name]], k=k, cutoff=cutoff)
    np.testing.assert_allclose(x[0], oracle.row(CRYSTALS[name], 0, k, cutoff), rtol=0, atol=1e-10)


@pytest.mark.parametrize("atoms", [zoo(0)["skewed"], zoo(0)["wire"], CRYSTALS["diamond"]])
def test_one_structure_alone_is_described_like_a_data_set(atoms: ase.Atoms) -> None:
    neighbors = find_neighbors(atoms, k=32)
    x = descriptors(atoms.positions, atoms.cell.array, neighbors)
    np.testing.assert_allclose(x, get_descriptors([atoms]), rtol=0, atol=1e-12)


def test_the_order_of_structures_is_kept() -> None:
    structures = list(zoo(1).values())
    forward = split_rows(get_descriptors(structures), structures)
    backward = split_rows(get_descriptors(structures[::-1]), structures[::-1])
    for one, other in zip(forward, backward[::-1], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
