"""The pieces of a descriptor: sorting, shared places, shapes and types."""

from __future__ import annotations

from typing import Any

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import CRYSTALS, disturbed, zoo

from quests_jax.atoms import describe as dataset
from quests_jax.atoms import descriptor_batches
from quests_jax.atoms.describe import environments, get_descriptors
from quests_jax.atoms.descriptor_batches import plain_program, shared_program
from quests_jax.atoms.descriptors import descriptors, quests_descriptor, shared_descriptor, sort_descending
from quests_jax.atoms.neighbors import find_neighbors
from quests_jax.atoms.smooth import get_smooth_descriptors
from quests_jax.base.step_sizes import CPU

K, CUTOFF = 6, 3.6
PROGRAMS: list[Any] = [plain_program, shared_program]


def sorted_vectors(rng: np.random.Generator, count: int = K) -> jax.Array:
    vectors = rng.uniform(-2, 2, (count, 3))
    return jnp.asarray(vectors[np.argsort(np.linalg.norm(vectors, axis=1))])


in_order = jax.jit(sort_descending)  # a program for each size instead of one for each step
plain = jax.jit(lambda vectors: quests_descriptor(vectors, cutoff=CUTOFF))
shared = jax.jit(lambda vectors, occupation: shared_descriptor(vectors, occupation, k=K, cutoff=CUTOFF))


@pytest.mark.parametrize("size", range(1, 41))
def test_columns_are_sorted(size: int) -> None:
    values = np.random.default_rng(size).integers(-9, 10, (size, 3)).astype(float)
    expected = np.sort(values, axis=0)[::-1]
    np.testing.assert_array_equal(in_order(values), expected)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), min_size=32, max_size=32))
def test_any_numbers_are_sorted(values: list[float]) -> None:
    columns = np.outer(values, [1.0, -1.0, 2.0])
    np.testing.assert_array_equal(in_order(columns), np.sort(columns, axis=0)[::-1])


@pytest.mark.parametrize("seed", range(3))
def test_with_whole_occupations_the_shared_descriptor_is_the_plain_one(seed: int) -> None:
    vectors = sorted_vectors(np.random.default_rng(seed), K + 3)
    occupation = jnp.asarray([1.0] * K + [0.0] * 3)
    found = shared(jnp.where(occupation[:, None] > 0, vectors, 0.0), occupation)
    np.testing.assert_allclose(found, plain(vectors[:K]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found, shared(vectors, occupation), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_neighbors_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = sorted_vectors(rng, K + 3)
    occupation = jnp.asarray([1.0] * (K - 2) + [0.4] * 5)
    order = rng.permutation(K + 3)
    expected = shared(vectors, occupation)
    np.testing.assert_allclose(shared(vectors[order], occupation[order]), expected, rtol=0, atol=1e-12)
    cross = plain(vectors[rng.permutation(K)])[K:]
    np.testing.assert_allclose(cross, plain(vectors[:K])[K:], rtol=0, atol=1e-12)


def test_neighbors_at_and_beyond_the_cutoff_count_for_nothing() -> None:
    vectors = sorted_vectors(np.random.default_rng(4))
    away = jnp.asarray([[0, 0, CUTOFF], [0, 5.0, 0], [9.0, 0, 0]])
    expected = plain(vectors.at[-3:].set(0))
    np.testing.assert_allclose(plain(vectors.at[-3:].set(away)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [2, 5, 32])
def test_occupations_sum_to_k_or_to_the_number_of_neighbors(k: int) -> None:
    for atoms in [*zoo(0).values(), *CRYSTALS.values()]:
        within = np.asarray(find_neighbors(atoms, k=200).occupation).sum(axis=1)
        occupation = np.asarray(find_neighbors(atoms, k=k).occupation)
        assert occupation.min(initial=0) >= 0
        assert occupation.max(initial=0) <= 1
        np.testing.assert_allclose(occupation.sum(axis=1), np.minimum(within, k), rtol=0, atol=1e-12)


@pytest.mark.parametrize("atoms", [zoo(1)["fcc"], CRYSTALS["fcc"]])
def test_single_precision_is_kept(atoms: ase.Atoms) -> None:
    neighbors = find_neighbors(atoms, k=K, cutoff=CUTOFF)
    positions, cell = atoms.positions.astype("float32"), atoms.cell.array.astype("float32")
    x = descriptors(positions, cell, neighbors, cutoff=CUTOFF)
    assert x.dtype == np.float32
    assert x.shape == (len(atoms), 2 * K - 1)
    tolerance = 50 * float(np.finfo("float32").eps)  # entries are below 0.5 Å⁻¹, sums have 6 terms
    np.testing.assert_allclose(x, get_descriptors([atoms], k=K, cutoff=CUTOFF), rtol=0, atol=tolerance)


def test_environments_say_where_they_come_from() -> None:
    structures = list(zoo(2).values())
    envs = environments(structures, k=8, cutoff=4.1)
    x, structure_id = np.asarray(envs.x), np.asarray(envs.structure_id)
    counts = [len(atoms) for atoms in structures]
    assert x.dtype == np.float64
    assert x.shape == (sum(counts), 15)
    assert envs.n_structures == len(structures)
    assert envs.counts.tolist() == counts
    assert structure_id.tolist() == [s for s, count in enumerate(counts) for _ in range(count)]


def test_data_sets_of_other_sizes_compile_nothing_new() -> None:
    rng = np.random.default_rng(3)
    crystal = CRYSTALS["fcc"]
    get_descriptors([crystal, disturbed(crystal, rng)], k=5, cutoff=3.2)
    compiled = [program._cache_size() for program in PROGRAMS]
    sizes = [(1, 1, 1), (2, 2, 3), (4, 4, 5), (1, 2, 1)]
    get_descriptors([disturbed(crystal.repeat(size), rng) for size in sizes], k=5, cutoff=3.2)
    get_descriptors([crystal.repeat(size) for size in sizes], k=5, cutoff=3.2)
    assert [program._cache_size() for program in PROGRAMS] == compiled


@pytest.mark.slow
def test_calls_of_one_shape_equal_one_environment_at_a_time() -> None:
    """More rows than a call takes, and none, with and without shared shells."""
    rng = np.random.default_rng(7)
    vectors = rng.uniform(-2, 2, (CPU.environments + 37, K + 2, 3))
    vectors = np.take_along_axis(vectors, np.argsort((vectors**2).sum(axis=2))[..., None], axis=1)
    occupation = np.tile([1.0] * (K - 1) + [1 / 3] * 3, (len(vectors), 1))
    for count in (len(vectors), 33, 1, 0):
        found = descriptor_batches.describe_rows(plain_program, K, CUTOFF, vectors[:count, :K])
        np.testing.assert_allclose(found, jax.vmap(plain)(vectors[:count, :K]), rtol=1e-13, atol=1e-15)
        found = descriptor_batches.describe_rows(
            shared_program, K, CUTOFF, vectors[:count], occupation[:count]
        )
        expected = jax.vmap(shared)(vectors[:count], occupation[:count])
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("describe", [get_descriptors, get_smooth_descriptors])
def test_several_runs_equal_one_structure_at_a_time(describe, monkeypatch: pytest.MonkeyPatch) -> None:
    structures = [*zoo(1).values(), ase.Atoms(), *zoo(2).values()]
    alone = np.concatenate([describe([atoms], k=K, cutoff=CUTOFF) for atoms in structures])
    monkeypatch.setattr(dataset, "ALONE", 20)
    monkeypatch.setattr(dataset, "RUN", 20)
    np.testing.assert_allclose(describe(structures, k=K, cutoff=CUTOFF), alone, rtol=1e-13, atol=1e-15)
