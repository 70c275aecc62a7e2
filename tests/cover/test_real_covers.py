"""Known optima and certificates on real data, where it is at hand."""

from __future__ import annotations

import pytest
from toy_covers import known

from quests_jax.atoms import environments, read
from quests_jax.cover import (
    CoverProblem,
    certify,
    cover_problem,
    exact_cover,
    greedy_cover,
    minimum_cover_bound,
    msc,
    relaxed_cover,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def silicon(shared_data):
    return environments(read(shared_data / "mlearn" / "Si_train.xyz.gz"))


@pytest.fixture(scope="module")
def problem(silicon) -> CoverProblem:
    return cover_problem(silicon)


def test_the_smallest_full_cover_of_silicon(problem):
    best = exact_cover(problem, coverage=1.0)
    assert len(best.selected) == best.cost_bound == 108
    assert len(greedy_cover(problem, coverage=1.0).selected) <= 110


def test_linear_bounds_of_the_full_cover_of_silicon(problem):
    assert minimum_cover_bound(problem, capped=False) == pytest.approx(92.3, abs=0.1)
    assert 98.2 < minimum_cover_bound(problem) <= 108


@pytest.mark.parametrize("size", [0.05, 0.25])
def test_covers_of_silicon_are_certified(size, problem):
    greedy, relaxed = greedy_cover(problem, size=size), relaxed_cover(problem, size=size)
    assert known(certify(problem, greedy).certified_ratio) > 0.96
    assert known(relaxed.certified_ratio) > 0.97
    assert known(greedy.coverage) <= known(relaxed.coverage) <= known(relaxed.upper_bound)


def test_the_rule_of_the_paper_can_be_certified_too(silicon, problem):
    answer = certify(problem, msc(silicon, size=0.1))
    assert known(answer.coverage) < known(greedy_cover(problem, size=0.1).coverage)
    assert 0.5 < known(answer.certified_ratio) < 0.9
