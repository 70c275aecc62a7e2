"""A bound from targets holds for all environments; a problem too large for dense masses is posed at them."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_covers import BANDWIDTH, known, loop_masses, toy

from quests_jax.cover import certify, greedy_cover, posing
from quests_jax.cover.bounds import sampling
from quests_jax.cover.bounds.sampling import bound_of_all, draw_targets, sample_sizes
from quests_jax.cover.masses import dense_or_sparse
from quests_jax.cover.masses.sparse import SparseMasses


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 300), st.integers(0, 99))
@settings(max_examples=60)
def test_targets_stand_for_all_environments(counts, number, seed):
    sizes = np.array(counts)
    targets = draw_targets(sizes, number, seed=seed)
    structure = np.repeat(np.arange(len(sizes)), sizes)
    np.testing.assert_array_equal(
        np.bincount(structure[targets.rows], minlength=len(sizes)), targets.of_structure
    )
    assert np.all((targets.of_structure >= 1) == (sizes >= 1))
    assert np.all(np.diff(targets.rows) > 0)
    assert targets.weights.sum() == pytest.approx(sizes.sum())
    assert targets.weights.max(initial=1) <= max(1.0, sizes.sum() / number) + 1e-12


def test_a_sample_of_everything_proves_what_everything_proves():
    counts = np.array([3, 0, 5])
    assert bound_of_all(0.7, counts, counts) == 0.7


@given(st.floats(0.0, 1.0), st.integers(0, 1000))
@settings(max_examples=60)
def test_bounds_of_all_grow_with_the_bound_and_lie_above_it(bound, seed):
    counts = np.random.default_rng(seed).integers(1, 200, 50)
    sizes = sample_sizes(counts, 1000)
    raised = bound_of_all(bound, counts, sizes)
    assert bound - 1e-12 <= raised <= 1.0
    assert raised <= bound_of_all(min(1.0, bound + 0.01), counts, sizes) + 1e-12


@pytest.mark.parametrize("missing", [0.01, 0.1, 0.5])
def test_the_bound_fails_as_rarely_as_it_says(missing, monkeypatch):
    """For one choice of known coverage, many draws: δ is 5 %, the share of failures is below it."""
    monkeypatch.setattr(sampling, "FAILURE", 0.05)
    rng, counts = np.random.default_rng(0), np.full(40, 25)
    uncovered = (rng.random(counts.sum()) < missing).astype(float)
    truth, failures, draws = 1 - uncovered.mean(), 0, 400
    for seed in range(draws):
        targets = draw_targets(counts, 200, seed=seed)
        seen = 1 - targets.weights @ uncovered[targets.rows] / counts.sum()
        failures += bound_of_all(seen, counts, targets.of_structure) < truth
    assert failures <= 0.05 * draws


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(max_examples=12)
def test_bounds_at_targets_with_dropped_masses_hold_for_every_choice(seed, size):
    """Every choice by force against the certificate of a sampled problem whose small masses are dropped."""
    envs, patch = toy(seed), pytest.MonkeyPatch()
    with patch.context() as small:
        small.setattr(dense_or_sparse, "DENSE", 0)
        small.setattr(dense_or_sparse, "DROPPED", 0.05)
        small.setattr(posing, "ALL", 0)
        small.setattr(posing, "TARGETS", len(envs) // 2)
        posed = posing.pose(envs, bandwidth=BANDWIDTH, seed=seed)
    assert posed.targets is not None
    assert isinstance(posed.problem.masses, SparseMasses)
    certified = certify(posed.problem, greedy_cover(posed.problem, size=size))
    masses, u = loop_masses(envs), np.asarray(posed.problem.weights)
    choices = map(list, itertools.combinations(range(envs.n_structures), size))
    covered = [np.minimum(masses[choice].sum(axis=0), 1) for choice in choices]
    assert max(u @ c[posed.targets.rows] / u.sum() for c in covered) <= known(certified.upper_bound) + 1e-12
    assert max(c.mean() for c in covered) <= known(posed.of_all(certified).upper_bound) + 1e-12
    assert posed.of_all(certified).coverage is None


def test_masses_at_targets_are_those_of_a_loop_up_to_1(monkeypatch):
    envs = toy(3)
    monkeypatch.setattr(dense_or_sparse, "DENSE", 0)
    monkeypatch.setattr(posing, "ALL", 0)
    monkeypatch.setattr(posing, "TARGETS", len(envs) // 2)
    posed = posing.pose(envs, bandwidth=BANDWIDTH)
    rows = posed.targets.rows
    found = posed.problem.masses.columns(jnp.arange(len(rows)))
    expected = np.minimum(loop_masses(envs)[:, rows], 1)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=dense_or_sparse.DROPPED)
