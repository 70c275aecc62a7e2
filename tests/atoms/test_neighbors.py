"""Pairs, nearest neighbors and ties."""

from __future__ import annotations

import ase
import descriptor_oracle as oracle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo import CRYSTALS, disturbed, few, zoo

from quests_jax.atoms import neighbors
from quests_jax.atoms.neighbors import TIE_TOLERANCE, displacements, find_neighbors, find_pairs, nearest
from quests_jax.base.checks import InputError


@few
@given(seed=st.integers(0, 2**32 - 1))
def test_pairs_equal_brute_force_over_images(seed: int) -> None:
    for name, atoms in zoo(seed).items():
        pairs = find_pairs([atoms], cutoff=4.1)
        for i in range(len(atoms)):
            found = pairs.vector[pairs.center == i]
            expected = np.reshape(oracle.neighbor_vectors(atoms, i, 4.1), (-1, 3))
            assert len(found) == len(expected), name
            order, other = np.lexsort(found.round(6).T), np.lexsort(expected.round(6).T)
            np.testing.assert_allclose(found[order], expected[other], rtol=0, atol=1e-10, err_msg=name)


def test_pairs_of_a_run_are_numbered_through() -> None:
    structures = list(zoo(1).values())
    together = find_pairs(structures, cutoff=3.0)
    start = 0
    for atoms in structures:
        alone = find_pairs([atoms], cutoff=3.0)
        mine = (together.center >= start) & (together.center < start + len(atoms))
        np.testing.assert_array_equal(together.center[mine] - start, alone.center)
        np.testing.assert_array_equal(together.neighbor[mine] - start, alone.neighbor)
        start += len(atoms)
    assert together.n_atoms == start


@pytest.mark.parametrize("name", ["left-handed", "skewed", "slab", "wire"])
def test_displacements_from_integers_equal_the_vectors_of_the_loops(name: str) -> None:
    atoms = zoo(2)[name]
    neighbors = find_neighbors(atoms, k=12, cutoff=4.1)
    vectors = np.asarray(displacements(atoms.positions, atoms.cell.array, neighbors))
    for i, there in enumerate(np.asarray(neighbors.occupation) > 0):
        found = np.linalg.norm(vectors[i][there], axis=1)
        expected = [np.linalg.norm(v) for v in oracle.neighbor_vectors(atoms, i, 4.1)]
        np.testing.assert_allclose(found, expected[: len(found)], rtol=0, atol=1e-10)
        assert np.all(vectors[i][~there] == 0)


@pytest.mark.parametrize(
    ("name", "shells"), [("fcc", [12, 6, 24]), ("bcc", [8, 6, 12]), ("diamond", [4, 12, 12])]
)
def test_a_shell_is_shared_in_equal_parts_unless_it_fits(name: str, shells: list[int]) -> None:
    pairs = find_pairs([CRYSTALS[name]], cutoff=5.0)
    for k in range(2, sum(shells) + 1):
        expected, left = [], k
        for shell in shells:
            expected += [min(1.0, left / shell)] * shell
            left = max(0, left - shell)
        plain, shared = nearest(pairs, k=k)
        table, other = (plain, shared) if set(expected) <= {0.0, 1.0} else (shared, plain)
        assert len(other.atoms) == 0
        for occupation in table.occupation:
            there = np.trim_zeros(occupation, "b")
            np.testing.assert_allclose(there, np.trim_zeros(expected, "b"), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("gap", "tied"), [(0.0, True), (0.5, True), (0.99, True), (1.01, False), (5.0, False)]
)
def test_a_tie_is_a_gap_up_to_the_tolerance(gap: float, tied: bool) -> None:
    positions = [[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 2 + gap * TIE_TOLERANCE]]
    atoms = ase.Atoms("C4", positions)
    occupation = np.asarray(find_neighbors(atoms, k=2).occupation[0])
    expected = [1, 0.5, 0.5] if tied else [1, 1]
    np.testing.assert_array_equal(occupation[: len(expected)], expected)


def test_no_tie_where_all_neighbors_have_a_place() -> None:
    square = ase.Atoms("C4", [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    occupation = np.asarray(find_neighbors(square, k=3).occupation)
    np.testing.assert_array_equal(occupation, np.ones((4, 3)))


def test_blocks_of_atoms_give_the_same_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dense cluster beside a dilute gas and a crystal with ties: rows of every length."""
    dense = ase.Atoms("C30", np.random.default_rng(0).uniform(0, 3, (30, 3)))
    dilute = ase.Atoms("C7", np.random.default_rng(1).uniform(0, 30, (7, 3)))
    pairs = find_pairs([dilute, dense, CRYSTALS["fcc"], ase.Atoms(), dilute], cutoff=5.0)
    whole = nearest(pairs, k=14)
    assert len(whole[0].atoms) > 0
    assert len(whole[1].atoms) > 0
    monkeypatch.setattr(neighbors, "BLOCK", 3)
    for table, expected in zip(nearest(pairs, k=14), whole, strict=True):
        for column, other in zip(table, expected, strict=True):
            np.testing.assert_array_equal(column, other)


@pytest.mark.parametrize("k", [2, 6, 20])
def test_pairs_that_k_nearest_need(k: int) -> None:
    """Whatever is left out, nearest neighbors and ties are those of all pairs."""
    rng = np.random.default_rng(k)
    structures = [*CRYSTALS.values(), *(disturbed(atoms, rng) for atoms in CRYSTALS.values()), lone_atom()]
    structures += zoo(k).values()
    every, needed = find_pairs(structures, cutoff=6.0), find_pairs(structures, cutoff=6.0, k=k)
    for table, expected in zip(nearest(needed, k=k), nearest(every, k=k), strict=True):
        np.testing.assert_array_equal(table.atoms, expected.atoms)
        np.testing.assert_array_equal(table.occupation, expected.occupation)
        found, of_all = (
            np.append(pairs.distance, 0.0)[rows.pair] * (rows.occupation > 0)
            for pairs, rows in ((needed, table), (every, expected))
        )
        rounding = 0 if jax.default_backend() == "cpu" else 1e-15  # programs of other sizes round differently
        np.testing.assert_allclose(found, of_all, rtol=rounding)


@pytest.mark.parametrize("k", [2, 6])
def test_a_first_search_that_is_hardly_far_enough(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "SPARE", 1.0)
    test_pairs_that_k_nearest_need(k)


def test_a_first_search_that_ends_within_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Atoms of one shell differ by less than the tolerance: those just outside the reach tie as well."""
    fcc = CRYSTALS["fcc"].repeat(2)
    fcc.positions += np.random.default_rng(0).uniform(-1e-6, 1e-6, fcc.positions.shape)
    shell = CRYSTALS["fcc"].cell.array[0, 0] / np.sqrt(2)
    monkeypatch.setattr(neighbors, "_reach", lambda structures, k, cutoff: np.full(len(structures), shell))
    tied = nearest(find_pairs([fcc], cutoff=4.0, k=2), k=2)[1]
    np.testing.assert_allclose(tied.occupation[:, :12], 2 / 12)


def test_fewer_pairs_where_neighbors_are_near_and_all_where_one_atom_is_alone() -> None:
    dense = CRYSTALS["diamond"]
    every, needed = (len(find_pairs([dense], cutoff=9.0, k=k).distance) for k in (None, 20))
    assert needed < every / 2
    every, needed = (len(find_pairs([lone_atom()], cutoff=9.0, k=k).distance) for k in (None, 20))
    assert needed == every


def lone_atom() -> ase.Atoms:
    """A crystal with a void, and one atom in the void."""
    atoms = CRYSTALS["diamond"].repeat((2, 2, 1))
    length = atoms.cell.array[2, 2]
    atoms.set_cell(atoms.cell.array * [[1], [1], [3]])
    return atoms + ase.Atoms("Si", [[0, 0, 1.9 * length]])


@pytest.mark.parametrize("count", [0, 1])
def test_without_neighbors(count: int) -> None:
    atoms = ase.Atoms("C" * count, np.zeros((count, 3)))
    neighbors = find_neighbors(atoms, k=4)
    assert neighbors.index.shape == (count, 4)
    assert jnp.all(neighbors.occupation == 0)
    assert displacements(atoms.positions, atoms.cell.array, neighbors).shape == (count, 4, 3)


@pytest.mark.parametrize("offset", [[0, 0, 0], [3, 0, 0], [-3, 6, 3]])
def test_coincident_atoms_are_refused(offset: list[float]) -> None:
    positions = [[0.0, 0, 0], [1.5, 1.5, 1.5], np.array([1.5, 1.5, 1.5 + 5e-4]) + offset]
    bad = ase.Atoms("C3", positions, cell=[3, 3, 3], pbc=True)
    good = ase.Atoms("C")
    with pytest.raises(InputError, match=r"structure 8, atoms 1 and 2.*coincide") as refusal:
        find_pairs([good, bad], cutoff=2.0, first=7)
    assert "\n" not in str(refusal.value)


def test_the_first_structure_with_coincident_atoms_is_named() -> None:
    bad, worse = (ase.Atoms("C3", [[0, 0, 0], [0, 0, 2], [0, 0, 2 + gap]]) for gap in (9e-4, 1e-5))
    with pytest.raises(InputError, match=r"structure 1, atoms 1 and 2: 0.0009"):
        find_pairs([ase.Atoms("C"), bad, worse], cutoff=2.0)


@pytest.mark.parametrize(
    "parameters", [{"k": 1}, {"k": 2.5}, {"k": "many"}, {"cutoff": 0.0}, {"cutoff": np.nan}]
)
def test_parameters_without_meaning_are_refused(parameters: dict) -> None:
    with pytest.raises(InputError, match=next(iter(parameters))) as refusal:
        find_neighbors(ase.Atoms("C"), **parameters)
    assert "\n" not in str(refusal.value)
