from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from toy_covers import COUNTS, affordable, known, loop_coverage, toy_problem, uneven

from quests_jax.base.checks import InputError
from quests_jax.cover import certify, coverage, greedy_cover, make_budget, relax, relaxed_cover
from quests_jax.cover.bounds import relaxation
from quests_jax.cover.bounds.certificate import cap
from quests_jax.cover.budget import Budget
from quests_jax.cover.objectives.mass_functions import LOG_MASS, SATURATED
from quests_jax.cover.problem import indicator
from quests_jax.cover.solvers.rounding import pipage_round, swap, threshold_round

N, S = sum(COUNTS), len(COUNTS)
seeds = st.integers(0, 10_000)
ROUNDING = 1e-12


def best_by_force(problem, limit: float) -> float:
    return max(loop_coverage(problem, choice) for choice in affordable(problem, limit))


def known_part(seed: int) -> dict[str, np.ndarray]:
    return {"reference": np.asarray(np.random.default_rng(seed + 1).uniform(0, 0.5, (2, 2)))}


@given(seeds, st.floats(0.6, 6.0))
@settings(max_examples=40)
def test_any_multipliers_bound_every_choice(seed, limit):
    problem = toy_problem(seed, **uneven(seed), **known_part(seed))
    theta = jnp.asarray(np.random.default_rng(seed).uniform(0, 1, N))
    u = problem.weights / jnp.sum(problem.weights)
    data = relaxation.Data(cap(problem), u, problem.reference_mass, Budget(problem.cost, jnp.asarray(limit)))
    assert best_by_force(problem, limit) <= relaxation.upper_bound(data, theta, SATURATED) + ROUNDING


@given(seeds, st.floats(0.6, 6.0))
@settings(max_examples=40)
def test_certificates_hold_however_early_the_solver_stops(seed, limit):
    problem = toy_problem(seed, **uneven(seed), **known_part(seed))
    budget, best = make_budget(problem, cost_budget=limit), best_by_force(problem, limit)
    for steps in (0, 50):
        assert best <= relax(problem, budget, max_steps=steps).upper_bound + ROUNDING


@given(seeds, st.integers(1, S))
@settings(max_examples=25)
def test_relaxed_cover_lies_between_greedy_and_its_bound(seed, size):
    problem = toy_problem(seed, weights=uneven(seed)["weights"])
    answer, greedy = relaxed_cover(problem, size=size), greedy_cover(problem, size=size)
    best = best_by_force(problem, size)
    assert known(greedy.coverage) - ROUNDING <= known(answer.coverage) <= best + ROUNDING
    assert best <= known(answer.upper_bound) + ROUNDING
    assert answer.coverage == pytest.approx(loop_coverage(problem, answer.selected), rel=1e-12)
    assert len(set(answer.selected)) == size
    assert 0.8 < known(answer.certified_ratio) <= 1


@given(seeds, st.floats(1.0, 6.0))
@settings(max_examples=20)
def test_relaxed_cover_keeps_its_cost_budget(seed, limit):
    problem = toy_problem(seed, **uneven(seed))
    answer = relaxed_cover(problem, cost_budget=limit)
    assert float(problem.cost[answer.selected].sum()) <= limit * (1 + 1e-8)
    greedy = greedy_cover(problem, cost_budget=limit)
    assert known(greedy.coverage) <= known(answer.coverage) + ROUNDING
    assert best_by_force(problem, limit) <= known(answer.upper_bound) + ROUNDING


@given(seeds, st.sets(st.integers(0, S - 1), min_size=1))
@settings(max_examples=25)
def test_any_selection_can_be_certified(seed, chosen):
    problem = toy_problem(seed, **uneven(seed))
    chosen = np.array(sorted(chosen))
    answer = certify(problem, greedy_cover(problem, size=1)._replace(selected=chosen))
    assert answer.coverage == pytest.approx(loop_coverage(problem, chosen), rel=1e-12)
    assert (
        best_by_force(problem, float(problem.cost[chosen].sum()) + 1e-9)
        <= known(answer.upper_bound) + ROUNDING
    )


@given(seeds)
@settings(max_examples=10)
def test_the_relaxation_is_the_linear_programme(seed):
    problem = toy_problem(seed, **uneven(seed))
    u, masses = np.asarray(problem.weights), np.minimum(problem.masses.values, 1)
    rows = np.block([[-masses.T, np.eye(N)], [np.asarray(problem.cost)[None], np.zeros((1, N))]])
    limits = np.append(np.zeros(N), 3.0)
    optimum = -linprog(-np.append(np.zeros(S), u), rows, limits, bounds=(0, 1)).fun / u.sum()
    found = relax(problem, make_budget(problem, cost_budget=3.0))
    assert float(found.value) <= optimum + ROUNDING
    assert optimum <= float(found.upper_bound) + ROUNDING
    assert float(found.upper_bound) == pytest.approx(optimum, rel=1e-3)


@pytest.mark.slow
def test_the_relaxation_agrees_with_an_independent_first_order_solver():
    mpax = pytest.importorskip("mpax")
    problem = toy_problem(3)
    masses = np.minimum(problem.masses.values, 1)
    rows = np.block([[masses.T, -np.eye(N)], [-np.ones((1, S)), np.zeros((1, N))]])
    program = mpax.create_lp(
        jnp.append(jnp.zeros(S), -jnp.ones(N) / N), jnp.zeros((1, S + N)), jnp.zeros(1), jnp.asarray(rows),
        jnp.append(jnp.zeros(N), -3.0), jnp.zeros(S + N), jnp.ones(S + N), use_sparse_matrix=False,
    )  # fmt: skip
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        theirs = -float(mpax.r2HPDHG(eps_abs=1e-7, eps_rel=1e-7).optimize(program).primal_objective)
    ours = relax(problem, make_budget(problem, size=3))
    assert float(ours.value) - 1e-5 <= theirs <= float(ours.upper_bound) + 1e-5


@given(seeds)
@settings(max_examples=10)
def test_the_mean_log_mass_is_maximized(seed):
    problem = toy_problem(seed, **uneven(seed))
    u, masses = np.asarray(problem.weights / problem.weights.sum()), np.asarray(problem.masses.values)
    found = relax(problem, make_budget(problem, size=4), measure=LOG_MASS)
    even = minimize(
        lambda w: -u @ np.log(w @ masses), np.full(S, 0.5), jac=lambda w: -masses @ (u / (w @ masses)),
        bounds=[(1e-9, 1)] * S, constraints={"type": "eq", "fun": lambda w: w.sum() - 4, "jac": np.ones_like},
    )  # fmt: skip
    assert -even.fun <= float(found.upper_bound) + 1e-9
    assert float(found.value) == pytest.approx(-even.fun, abs=2e-3)


def test_a_supergradient_gives_the_frank_wolfe_gap():
    problem = toy_problem(5)
    budget, w = make_budget(problem, size=3), jnp.linspace(0.1, 0.6, S)
    u = problem.weights / jnp.sum(problem.weights)
    data = relaxation.Data(problem.masses, u, problem.reference_mass, budget)
    slope = jax.grad(lambda w: jnp.sum(u * jnp.log(problem.masses.total(w))))(w)
    value = jnp.sum(u * jnp.log(problem.masses.total(w)))
    gap = jnp.sum(jnp.sort(slope)[-3:]) - jnp.sum(slope * w)
    bound = relaxation.upper_bound(data, 1 / problem.masses.total(w), LOG_MASS)
    assert float(bound) == pytest.approx(float(value + gap), rel=1e-12)


@pytest.mark.slow
@given(seeds, st.floats(0.1, 6.0))
@settings(max_examples=30)
def test_projection_is_the_nearest_point_of_the_budget(seed, limit):
    rng = np.random.default_rng(seed)
    z, tau, price = rng.normal(0.5, 1, S), rng.uniform(0.1, 3, S), rng.uniform(0.2, 2, S)
    w = np.asarray(
        relaxation.project(jnp.asarray(z), jnp.asarray(tau), Budget(jnp.asarray(price), jnp.asarray(limit)))
    )
    assert w.min() >= 0
    assert w.max() <= 1
    assert price @ w <= limit * (1 + 1e-12)
    for other in rng.uniform(0, 1, (50, S)):
        other *= min(1, limit / (price @ other))
        assert np.sum((w - z) * (other - w) / tau) >= -1e-9  # no feasible direction brings w closer to z


@given(seeds, st.floats(0.1, 6.0))
@settings(max_examples=30)
def test_the_best_fill_is_the_linear_optimum(seed, limit):
    rng = np.random.default_rng(seed)
    value, price = rng.uniform(0, 2, S), rng.uniform(0.2, 2, S)
    optimum = -linprog(-value, price[None], [limit], bounds=(0, 1)).fun
    found = relaxation.best_fill(jnp.asarray(value), Budget(jnp.asarray(price), jnp.asarray(limit)))
    assert float(found) == pytest.approx(optimum, rel=1e-9)


@pytest.mark.slow
@given(seeds)
@settings(max_examples=25)
def test_roundings_keep_the_budget(seed):
    problem = toy_problem(seed, **uneven(seed))
    budget = make_budget(problem, cost_budget=4.0)
    w = np.asarray(
        relaxation.project(jnp.asarray(np.random.default_rng(seed).uniform(0, 1, S)), problem.cost, budget)
    )
    for chosen in (threshold_round(w, budget), pipage_round(w, budget, key=jax.random.key(seed))):
        assert float(problem.cost[np.array(chosen, int)].sum()) <= 4.0 * (1 + 1e-8)


def test_random_rounding_chooses_with_the_probability_of_the_weight():
    w, budget = np.array([0.25, 0.5, 1.0, 0.75, 0.1, 0.4]), Budget(jnp.ones(6), jnp.asarray(3.0))
    draws = [pipage_round(w, budget, key=key) for key in jax.random.split(jax.random.key(0), 600)]
    assert {len(chosen) for chosen in draws} == {3}
    share = np.mean([np.isin(np.arange(6), chosen) for chosen in draws], axis=0)
    np.testing.assert_allclose(share, w, atol=4 * 0.5 / np.sqrt(600))  # four standard deviations


@given(seeds)
@settings(max_examples=20)
def test_swaps_never_lose_coverage(seed):
    problem = toy_problem(seed, **uneven(seed))
    budget, start = make_budget(problem, size=3), np.random.default_rng(seed).choice(S, 3, replace=False)
    end = swap(problem, budget, start)
    assert len(set(end)) == 3
    assert loop_coverage(problem, end) >= loop_coverage(problem, start) - ROUNDING


def test_a_budget_for_nothing_buys_nothing_and_that_is_optimal():
    problem = toy_problem(4, **known_part(4))
    for answer in (
        relaxed_cover(problem, cost_budget=0.5),
        certify(problem, relaxed_cover(problem, cost_budget=0.5)),
    ):
        assert len(answer.selected) == 0
        assert answer.coverage == pytest.approx(loop_coverage(problem, []), rel=1e-12)
    assert relaxed_cover(toy_problem(4), cost_budget=0.5).coverage == 0


def test_on_whole_weights_relaxed_coverage_is_coverage():
    problem = toy_problem(2)
    w = indicator(problem, [1, 4, 6])
    capped = jnp.mean(jnp.minimum(cap(problem).total(w), 1))
    assert float(capped) == pytest.approx(float(coverage(problem, w)), rel=1e-12)


def test_the_same_key_gives_the_same_answer():
    answers = [relaxed_cover(toy_problem(8), size=3, key=jax.random.key(5)) for _ in range(2)]
    assert answers[0].selected.tolist() == answers[1].selected.tolist()


@pytest.mark.parametrize("limits", [{}, {"size": 2, "cost_budget": 2.0}])
def test_one_limit_is_needed(limits):
    with pytest.raises(InputError, match="give either size or cost_budget"):
        relaxed_cover(toy_problem(0), **limits)
