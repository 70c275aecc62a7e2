"""The bound by pairs holds for every choice, and is tight where all structures are alike."""

from __future__ import annotations

from itertools import combinations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_covers import BANDWIDTH, COUNTS, affordable, known, loop_coverage, toy_problem, uneven

from quests_jax.base.environments import make_environments
from quests_jax.cover import certify, cover_problem, greedy_cover, relaxed_cover
from quests_jax.cover.bounds import certificate
from quests_jax.cover.bounds import pairwise as pairs
from quests_jax.cover.bounds.certificate import cap
from quests_jax.cover.bounds.relaxation import Data, Relaxation
from quests_jax.cover.budget import Budget
from quests_jax.cover.masses.dense_or_sparse import DenseMasses

N, S = sum(COUNTS), len(COUNTS)
OWNER = jnp.asarray(np.repeat(np.arange(S), COUNTS), jnp.int32)
seeds = st.integers(0, 10_000)
ROUNDING = 1e-12


def data_of(problem, limit: float) -> Data:
    u = problem.weights / jnp.sum(problem.weights)
    return Data(cap(problem), u, problem.reference_mass, Budget(problem.cost, jnp.asarray(limit)))


@given(seeds, st.floats(0.6, 6.0), st.booleans())
@settings(max_examples=40)
def test_any_multipliers_and_scales_bound_every_choice(seed, limit, owned):
    rng = np.random.default_rng(seed)
    problem = toy_problem(seed, **uneven(seed), reference=rng.uniform(0, 0.5, (2, 2)))
    owner = OWNER if owned else jnp.asarray(rng.integers(0, S, N), jnp.int32)  # not all cover alone then
    w, theta, scale = rng.uniform(0, 0.1, S), rng.uniform(0, 1, N), rng.uniform(0.1, 2, S)
    trial = pairs.Trial(*map(jnp.asarray, (w, theta, scale)))
    best = max(loop_coverage(problem, choice) for choice in affordable(problem, limit))
    for _ in range(3):
        bound, trial = pairs._bound(data_of(problem, limit), owner, trial)
        assert best <= bound + ROUNDING
        assert np.all(np.asarray(trial.scale) > 0)
        assert np.all((np.asarray(trial.theta) >= 0) & (np.asarray(trial.theta) <= 1))


@pytest.mark.parametrize("mass", [0.02, 0.1])
def test_structures_that_are_all_alike_are_bounded_by_what_any_choice_covers(mass):
    S, chosen = 40, 12
    masses = np.full((S, S), mass)
    np.fill_diagonal(masses, 1.0)
    covered = (chosen + (S - chosen) * min(1.0, mass * chosen)) / S  # of any choice
    budget = Budget(jnp.ones(S), jnp.asarray(float(chosen)))
    data = Data(DenseMasses(jnp.asarray(masses)), jnp.full(S, 1 / S), jnp.zeros(S), budget)
    even = jnp.full(S, chosen / S)
    start = Relaxation(even, jnp.asarray(0.0), jnp.ones(S), jnp.asarray(1.0))
    bound = pairs.pair_bound(data, jnp.arange(S, dtype=jnp.int32), start)
    linear = min(1.0, (chosen + (S - 1) * mass * chosen) / S)
    if mass * chosen < 1:
        assert bound == pytest.approx(covered, rel=1e-6)
        assert bound < 0.97 * linear
    assert bound >= covered - ROUNDING


def test_the_diagonal_makes_the_form_concave():
    rng = np.random.default_rng(0)
    Q = rng.uniform(0, 1, (30, 30)) * (rng.uniform(0, 1, (30, 30)) < 0.1)
    Q = np.triu(Q, 1) + np.triu(Q, 1).T
    Q[7] = Q[:, 7] = 0  # a structure that meets no other
    scale = jnp.asarray(rng.uniform(0.1, 2, 30))
    for _ in range(5):
        D, scale = pairs._diagonal(jnp.asarray(Q), scale)
        assert np.linalg.eigvalsh(Q + np.diag(D))[0] >= -1e-14
        assert D[7] == 0


def alike(S: int, mass: float):
    """Structures of one environment, every two as far apart as any two others."""
    x = np.eye(S) * BANDWIDTH * np.sqrt(-np.log(mass))
    return cover_problem(make_environments(x, np.arange(S), S), bandwidth=BANDWIDTH)


@pytest.mark.slow
def test_certificates_take_the_better_bound(monkeypatch):
    problem = alike(40, 0.05)
    choice = greedy_cover(problem, size=12)
    by_pairs = certify(problem, choice)
    for bound in (by_pairs.upper_bound, relaxed_cover(problem, size=12).upper_bound):
        assert 1 - 1e-12 <= known(bound) / known(by_pairs.coverage) <= 1 + certificate.TOLERANCE
    monkeypatch.setattr(certificate, "MOST_STRUCTURES", 39)
    assert known(certify(problem, choice).upper_bound) > 1.1 * known(by_pairs.upper_bound)


@pytest.mark.parametrize("seed", range(4))
def test_structures_that_share_nothing_leave_every_number_finite(seed):
    rng = np.random.default_rng(seed)
    masses = np.eye(12)
    masses[rng.integers(0, 12, 3), rng.integers(0, 12, 3)] = 0.5
    data = Data(DenseMasses(jnp.asarray(np.minimum(masses, 1))), jnp.full(12, 1 / 12), jnp.zeros(12),
                Budget(jnp.ones(12), jnp.asarray(5.0)))  # fmt: skip
    trial = pairs.Trial(jnp.full(12, 5 / 12), jnp.ones(12), jnp.ones(12))
    best = max(np.minimum(masses[list(c)].sum(axis=0), 1).sum() / 12 for c in combinations(range(12), 5))
    for _ in range(pairs.ROUNDS):
        bound, trial = pairs._bound(data, jnp.arange(12, dtype=jnp.int32), trial)
        assert best - ROUNDING <= bound < 1
        assert np.all((np.asarray(trial.w) >= 0) & (np.asarray(trial.w) <= 1 + ROUNDING))
        assert np.all(np.isfinite(np.asarray(trial.theta)))
