"""Covers in two stages against plain greedy and every possible choice; and covers of other targets."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from toy_covers import BANDWIDTH, COUNTS, known, loop_coverage, toy, toy_problem

from quests_jax.base.checks import InputError
from quests_jax.base.environments import make_environments
from quests_jax.cover import cover_problem, greedy_cover, staged_cover

pytestmark = pytest.mark.slow

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_part_is_plain_greedy(seed):
    staged = staged_cover(toy(seed), size=4, parts=1, bandwidth=BANDWIDTH)
    plain = greedy_cover(toy_problem(seed), size=4)
    assert staged.selected.tolist() == plain.selected.tolist()
    assert staged.coverage == pytest.approx(plain.coverage, rel=1e-12)


@pytest.mark.parametrize("parts", [2, 3, len(COUNTS)])
@pytest.mark.parametrize("seed", SEEDS)
def test_coverage_is_that_of_the_whole_and_no_worse_than_promised(seed, parts):
    size, problem = 3, toy_problem(seed)
    staged = staged_cover(toy(seed), size=size, parts=parts, bandwidth=BANDWIDTH)
    assert len(set(staged.selected.tolist())) == size
    assert staged.coverage == pytest.approx(loop_coverage(problem, staged.selected), rel=1e-10)
    best = max(loop_coverage(problem, c) for c in itertools.combinations(range(len(COUNTS)), size))
    assert known(staged.coverage) >= (1 - 1 / np.e) / min(parts, size) * best


def test_empty_structures_do_not_matter():
    x = np.random.default_rng(0).uniform(0, 1, (4, 2))
    envs = make_environments(x, np.array([1, 1, 3, 3]), 6)
    staged = staged_cover(envs, size=2, parts=6, bandwidth=BANDWIDTH)
    assert sorted(staged.selected.tolist()) == [1, 3]


@pytest.mark.parametrize(("size", "parts"), [(0, 2), (2, 0), (2, len(COUNTS) + 1)])
def test_what_makes_no_sense_is_refused(size, parts):
    with pytest.raises(InputError):
        staged_cover(toy(0), size=size, parts=parts, bandwidth=BANDWIDTH)


def test_targets_are_what_is_covered():
    envs, targets = toy(0), np.random.default_rng(1).uniform(0, 5 * BANDWIDTH, (7, 2))
    problem = cover_problem(envs, bandwidth=BANDWIDTH, targets=targets)
    distance = np.linalg.norm(np.asarray(envs.x)[None] - targets[:, None], axis=-1)
    kernel = np.exp(-(distance**2) / (2 * BANDWIDTH**2))
    for s in range(len(COUNTS)):
        own = kernel[:, np.asarray(envs.structure_id) == s].sum(axis=1)
        np.testing.assert_allclose(problem.masses.columns(jnp.arange(7))[s], own, rtol=1e-12)


def test_targets_of_another_width_are_refused():
    with pytest.raises(InputError, match="targets"):
        cover_problem(toy(0), bandwidth=BANDWIDTH, targets=np.zeros((3, 5)))
