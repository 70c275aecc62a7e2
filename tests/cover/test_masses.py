from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from toy_covers import BANDWIDTH, COUNTS, loop_masses, toy

from quests_jax.base.environments import make_environments
from quests_jax.cover.masses import dense_or_sparse as storage
from quests_jax.cover.masses import sparse as blocks

N, S = sum(COUNTS), len(COUNTS)
U, ROOM, W = jnp.linspace(0, 2, N), jnp.linspace(0, 1.5, N), jnp.linspace(0, 1, S)
OWNER = jnp.asarray(np.repeat(np.arange(S), COUNTS), jnp.int32)
OPERATIONS = {
    "total": lambda m: m.total(W),
    "pull": lambda m: m.pull(U),
    "gain": lambda m: m.gain(2, U, ROOM),
    "gains": lambda m: m.gains(U, ROOM),
    "add": lambda m: m.add(3, ROOM, jnp.array(1.0)),
    "take away": lambda m: m.add(3, ROOM, jnp.array(-1.0)),
    "leave alone": lambda m: m.add(3, ROOM, jnp.array(0.0)),
    "of": lambda m: m.of(OWNER),
    "pairs": lambda m: m.pairs(U, OWNER, S),
    "capped": lambda m: m.capped(ROOM).total(W),
    "columns": lambda m: m.columns(jnp.array([5, 0, 7])),
}


@pytest.fixture
def sparse(monkeypatch: pytest.MonkeyPatch):
    """Masses of the toy stored sparsely, in chunks much smaller than a structure."""
    monkeypatch.setattr(storage, "DENSE", 3 * N)
    monkeypatch.setattr(blocks, "CHUNK", 4)
    masses, dropped = storage.all_masses(toy(0), np.asarray(toy(0).x), bandwidth=BANDWIDTH)
    assert isinstance(masses, blocks.SparseMasses)
    return masses, dropped


def test_dense_masses_are_those_of_a_loop():
    masses, dropped = storage.all_masses(toy(0), np.asarray(toy(0).x), bandwidth=BANDWIDTH)
    np.testing.assert_allclose(masses.columns(jnp.arange(N)), loop_masses(toy(0)), rtol=1e-12)
    assert dropped == 0


def test_masses_of_pairs_are_those_of_a_loop():
    masses = storage.DenseMasses(jnp.asarray(loop_masses(toy(0))))
    expected = np.zeros((S, S))
    for i, o in enumerate(np.asarray(OWNER)):
        expected[o] += float(U[i]) * np.asarray(masses.values)[:, i]
    np.testing.assert_allclose(masses.pairs(U, OWNER, S), expected, rtol=1e-12)
    own = [float(masses.values[o, i]) for i, o in enumerate(np.asarray(OWNER))]
    np.testing.assert_array_equal(masses.of(OWNER), own)


@pytest.mark.parametrize("name", OPERATIONS)
def test_sparse_does_what_dense_does(name, sparse):
    dense = storage.DenseMasses(jnp.asarray(loop_masses(toy(0))))
    np.testing.assert_allclose(OPERATIONS[name](sparse[0]), OPERATIONS[name](dense), atol=1e-5)


def test_what_is_dropped_is_stated(monkeypatch):
    monkeypatch.setattr(storage, "DENSE", 0)
    monkeypatch.setattr(storage, "DROPPED", 0.5)
    masses, dropped = storage.all_masses(toy(0), np.asarray(toy(0).x), bandwidth=BANDWIDTH)
    missing = loop_masses(toy(0)) - masses.columns(jnp.arange(N))
    assert missing.min() >= -storage.ROUNDED / 2  # kernels are formed in float32
    lost = float(missing.sum(axis=0).max())
    assert lost <= dropped <= lost + storage.SKIPPED + storage.ROUNDED
    assert 0 < lost <= 0.5


@pytest.mark.slow
def test_structures_without_environments_have_no_mass(monkeypatch):
    envs = make_environments(np.zeros((2, 1)), np.array([1, 3]), 5)
    for dense in (storage.DENSE, 0):
        monkeypatch.setattr(storage, "DENSE", dense)
        masses, _ = storage.all_masses(envs, np.asarray(envs.x), bandwidth=BANDWIDTH)
        np.testing.assert_allclose(masses.pull(jnp.ones(2)), [0, 2, 0, 2, 0], rtol=1e-12)
