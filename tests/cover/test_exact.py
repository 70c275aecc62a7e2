from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_covers import affordable, known, loop_coverage, toy_problem, uneven

from quests_jax.base.checks import InputError
from quests_jax.cover import exact_cover, greedy_cover, minimum_cover_bound
from quests_jax.cover.solvers import exact

seeds = st.integers(0, 10_000)


def cheapest_by_force(problem, coverage: float) -> float:
    cost = np.asarray(problem.cost)
    reach = [c for c in affordable(problem, np.inf) if loop_coverage(problem, c) >= coverage - 1e-10]
    return min(cost[list(choice)].sum() for choice in reach)


@pytest.mark.slow
@given(seeds, st.integers(1, 4))
@settings(max_examples=15)
def test_the_fullest_choice_of_a_size_is_found_and_proven(seed, size):
    problem = toy_problem(seed, weights=uneven(seed)["weights"])
    best = max(loop_coverage(problem, choice) for choice in affordable(problem, size))
    answer = exact_cover(problem, size=size)
    assert answer.coverage == pytest.approx(best, rel=1e-9)
    assert best - 1e-12 <= known(answer.upper_bound) <= best * (1 + 1e-4)


@given(seeds, st.floats(0.6, 5.0))
@settings(max_examples=15)
def test_the_fullest_choice_of_a_cost_is_found_and_proven(seed, budget):
    problem = toy_problem(seed, **uneven(seed))
    best = max(loop_coverage(problem, choice) for choice in affordable(problem, budget))
    answer = exact_cover(problem, cost_budget=budget)
    assert answer.coverage == pytest.approx(best, rel=1e-6)
    assert best - 1e-12 <= known(answer.upper_bound) <= best * (1 + 1e-4) + 1e-4


@pytest.mark.slow
@given(seeds, st.sampled_from([0.5, 0.9, 1.0]), st.booleans())
@settings(max_examples=30)
def test_the_cheapest_cover_is_found_and_proven(seed, coverage, same_cost):
    problem = toy_problem(seed, **({} if same_cost else {"cost": uneven(seed)["cost"]}))
    best = cheapest_by_force(problem, coverage)
    answer = exact_cover(problem, coverage=coverage)
    assert float(problem.cost[answer.selected].sum()) == pytest.approx(best, rel=1e-6)
    assert answer.cost_bound == pytest.approx(best, rel=1e-4)
    assert known(answer.coverage) >= coverage - 1e-8


@given(seeds)
@settings(max_examples=15)
def test_no_cover_is_cheaper_than_its_bound_and_capping_tightens_it(seed):
    problem = toy_problem(seed, cost=uneven(seed)["cost"], reference=np.full((1, 2), 0.2))
    tight, loose = minimum_cover_bound(problem), minimum_cover_bound(problem, capped=False)
    assert loose <= tight + 1e-6
    assert tight <= cheapest_by_force(problem, 1.0) + 1e-9
    assert loose > 0


def test_programs_that_grow_prove_the_same(monkeypatch):
    problem = toy_problem(1)
    whole = minimum_cover_bound(problem), exact_cover(problem, coverage=1.0).cost_bound
    monkeypatch.setattr(exact, "FIRST", 2)
    monkeypatch.setattr(exact, "MORE", 1)
    grown = minimum_cover_bound(problem), exact_cover(problem, coverage=1.0).cost_bound
    assert grown == pytest.approx(whole, rel=1e-6)


def test_out_of_time_the_greedy_choice_and_valid_bounds_are_left():
    problem = toy_problem(2)
    late, greedy = exact_cover(problem, coverage=1.0, time_limit=1e-9), greedy_cover(problem, coverage=1.0)
    assert len(late.selected) <= len(greedy.selected)
    assert known(late.cost_bound) <= cheapest_by_force(problem, 1.0)


@pytest.mark.parametrize("limits", [{}, {"size": 2, "coverage": 0.5}, {"cost_budget": 1.0, "size": 2}])
def test_one_limit_is_needed(limits):
    with pytest.raises(InputError, match="give one of size, cost_budget and coverage"):
        exact_cover(toy_problem(0), **limits)


def test_a_time_limit_is_positive():
    with pytest.raises(InputError, match="time_limit must be a positive number"):
        exact_cover(toy_problem(0), size=2, time_limit=0)
