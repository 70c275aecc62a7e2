"""Masses that are capped when they are made: the same covers and certificates, and no other objective."""

from __future__ import annotations

import numpy as np
import pytest
from toy_covers import BANDWIDTH, loop_masses, toy

from quests_jax.base.checks import InputError
from quests_jax.base.environments import make_environments
from quests_jax.cover import LOG_MASS, certify, cover_problem, greedy_cover, relaxed_cover
from quests_jax.cover.masses import dense_or_sparse
from quests_jax.cover.posing import pose


def posed(seed: int, *, capped: bool):
    return cover_problem(toy(seed), bandwidth=BANDWIDTH, reference=toy(seed + 100).x[:3], capped=capped)


def test_capped_masses_are_the_smaller_of_mass_and_room():
    whole, small = posed(3, capped=False), posed(3, capped=True)
    room = np.maximum(1 - np.asarray(whole.reference_mass), 0)
    every = np.arange(len(room))
    expected = np.minimum(np.asarray(whole.masses.columns(every)), room)
    np.testing.assert_allclose(
        np.asarray(small.masses.columns(every)), expected, atol=2 * dense_or_sparse.DROPPED
    )
    loop = np.minimum(loop_masses(toy(3)), room)
    np.testing.assert_allclose(
        np.asarray(small.masses.columns(every)), loop, atol=2 * dense_or_sparse.DROPPED
    )


@pytest.mark.parametrize("dense", [50_000, 0])
@pytest.mark.parametrize("seed", range(4))
def test_choices_and_certificates_are_the_same(monkeypatch, dense, seed):
    monkeypatch.setattr(dense_or_sparse, "DENSE", dense)
    whole, small = posed(seed, capped=False), posed(seed, capped=True)
    for choose in (greedy_cover, relaxed_cover):
        first, second = choose(whole, size=3), choose(small, size=3)
        adding = first.gains > 1e-6  # what fills up a choice that covers everything may differ
        assert first.selected[adding].tolist() == second.selected[adding].tolist()
        assert first.coverage == pytest.approx(second.coverage, abs=2 * dense_or_sparse.DROPPED)
        bounds = [certify(problem, first).upper_bound for problem in (whole, small)]
        assert bounds[0] == pytest.approx(bounds[1], abs=4e-3)
        assert bounds[1] >= second.coverage - 1e-9


@pytest.mark.parametrize("solve", [greedy_cover, relaxed_cover])
def test_other_objectives_refuse_capped_masses(solve):
    with pytest.raises(InputError, match="capped"):
        greedy_cover(posed(0, capped=True), size=2, measure=LOG_MASS)
    with pytest.raises(InputError, match="capped"):
        certify(posed(0, capped=True), solve(posed(0, capped=True), size=2), measure=LOG_MASS)


def test_masses_that_do_not_fit_are_those_of_fewer_targets(monkeypatch):
    rng = np.random.default_rng(0)
    envs = make_environments(rng.normal(size=(800, 2)) * 0.1, np.repeat(np.arange(40), 20))
    monkeypatch.setattr(dense_or_sparse, "DENSE", 0)
    everything = pose(envs, bandwidth=0.1)
    assert everything.targets is None
    values = int(np.count_nonzero(everything.problem.masses.values))
    monkeypatch.setattr(dense_or_sparse, "MOST", values // 2)
    fewer = pose(envs, bandwidth=0.1)
    assert np.all(fewer.targets.of_structure >= 1)
    assert np.count_nonzero(fewer.problem.masses.values) <= values // 2
    choice = greedy_cover(fewer.problem, size=4)
    bound = fewer.of_all(certify(fewer.problem, choice)).upper_bound
    assert bound >= certify(everything.problem, choice).coverage
    monkeypatch.setattr(
        dense_or_sparse, "MOST", 1
    )  # one target of each structure, however many masses it has
    assert len(pose(envs, bandwidth=0.1).targets.rows) == 40
