"""Any concave measure, and an objective in a file of its own, by the same search and certificate."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_covers import affordable, known, toy_problem, uneven

from quests_jax.base.checks import InputError
from quests_jax.cover import FACILITY_LOCATION, LOG_MASS, SATURATED, Measure, certify, greedy_cover
from quests_jax.cover.objectives.mass_functions import try_measure

seeds = st.integers(0, 10_000)
ROUNDING = 1e-12


def loop_facility(problem, chosen) -> float:
    u, level = np.asarray(problem.weights), np.minimum(np.asarray(problem.reference_mass), 1)
    for s in chosen:
        level = np.maximum(level, np.minimum(np.asarray(problem.masses.values)[s], 1))
    return float(u @ level / u.sum())


def loop_root(problem, chosen) -> float:
    u, mass = np.asarray(problem.weights), np.asarray(problem.reference_mass)
    return float(
        u @ np.sqrt(0.01 + mass + np.asarray(problem.masses.values)[list(chosen)].sum(axis=0)) / u.sum()
    )


ROOT = Measure(  # √(m + 0.01) = min_θ [θ (m + 0.01) + 1/4θ]; any positive θ will do for a step
    value=lambda m: jnp.sqrt(m + 0.01),
    offset=lambda theta: 0.25 / theta + 0.01 * theta,
    step=lambda theta, sigma, m: 0.5 / jnp.sqrt(jnp.maximum(m, 0.0) + 0.01),
)
MEASURES = {"facility": (FACILITY_LOCATION, loop_facility), "root": (ROOT, loop_root)}


@pytest.mark.parametrize("name", MEASURES)
@given(seeds, st.booleans())
@settings(max_examples=15)
def test_greedy_and_its_certificate_hold_for_it(name, seed, conditional):
    measure, value = MEASURES[name]
    reference = {"reference": np.full((1, 2), 0.2)} if conditional else {}
    problem = toy_problem(seed, **uneven(seed), **reference)
    answer = greedy_cover(problem, size=3, measure=measure)
    assert answer.coverage == pytest.approx(value(problem, answer.selected), rel=1e-9)
    start = value(problem, [])
    assert answer.gains.sum() == pytest.approx(known(answer.coverage) - start, rel=1e-6, abs=1e-9)
    best = max(value(problem, choice) for choice in affordable(problem, np.inf) if len(choice) == 3)
    assert known(answer.coverage) - start >= (1 - 1 / np.e) * (best - start) - ROUNDING
    certified = certify(problem, answer, measure=measure)
    cost = float(np.asarray(problem.cost)[answer.selected].sum())
    within = max(value(problem, choice) for choice in affordable(problem, cost * (1 + 1e-9)))
    assert certified.coverage == pytest.approx(value(problem, answer.selected), rel=1e-9)
    assert within <= known(certified.upper_bound) + ROUNDING
    assert 0 < known(certified.certified_ratio) <= 1


def test_the_measures_of_the_package_pass_their_own_check():
    try_measure(SATURATED)
    try_measure(LOG_MASS)


WRONG = {
    "offset": (SATURATED._replace(offset=lambda theta: 0.5 - 0.5 * theta), r"is above θ m \+ ψ\(θ\)"),
    "step": (SATURATED._replace(step=lambda theta, sigma, m: theta - sigma * (m - 1.0)), "is above θ m"),
    "falling": (SATURATED._replace(value=lambda m: -m), "falls with the mass"),
    "steep": (SATURATED._replace(value=jnp.sqrt), "slope of φ is not finite at m = 0"),
    "convex": (SATURATED._replace(value=lambda m: m**2), "a cover needs a concave one"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_measure_whose_bound_would_not_hold_is_refused(name):
    measure, message = WRONG[name]
    problem = toy_problem(0)
    answer = greedy_cover(problem, size=2)
    for refused in (
        lambda: greedy_cover(problem, size=2, measure=measure),
        lambda: certify(problem, answer, measure=measure),
    ):
        with pytest.raises(InputError, match=message):
            refused()


def test_a_ratio_of_negative_numbers_says_nothing():
    problem = toy_problem(1)
    answer = certify(problem, greedy_cover(problem, size=2, measure=LOG_MASS), measure=LOG_MASS)
    assert known(answer.coverage) <= known(answer.upper_bound)
    assert known(answer.coverage) > 0 or answer.certified_ratio is None


def test_coverage_is_a_limit_of_coverage():
    with pytest.raises(InputError, match="coverage is a limit of the saturated coverage only"):
        greedy_cover(toy_problem(0), coverage=0.5, measure=LOG_MASS)


def test_selections_of_structures_that_do_not_exist_are_not_certified():
    problem = toy_problem(0)
    answer = greedy_cover(problem, size=2)
    for selected, message in (
        (np.array([0, 99]), "structure 99 does not exist"),
        (np.array([1, 1]), "named twice"),
        (np.array([0.5, 1]), "whole numbers"),
    ):
        with pytest.raises(InputError, match=message):
            certify(problem, answer._replace(selected=selected))
