from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_covers import BANDWIDTH, COUNTS, loop_coverage, toy, toy_problem, uneven

from quests_jax.base.checks import InputError
from quests_jax.base.environments import make_environments
from quests_jax.cover import atom_costs, cover_problem, coverage, distinct_weights, msc
from quests_jax.cover.problem import indicator
from quests_jax.information import diversity

seeds = st.integers(0, 10_000)
choices = st.sets(st.integers(0, len(COUNTS) - 1))


def covered(problem, chosen) -> float:
    return float(coverage(problem, indicator(problem, sorted(chosen))))


@given(seeds, choices)
@settings(max_examples=30)
def test_coverage_is_that_of_a_loop(seed, chosen):
    problem = toy_problem(seed, **uneven(seed))
    assert covered(problem, chosen) == pytest.approx(loop_coverage(problem, chosen), rel=1e-12)


@given(seeds, choices, choices, st.integers(0, len(COUNTS) - 1))
@settings(max_examples=60)
def test_coverage_is_monotone_and_submodular(seed, few, more, s):
    problem = toy_problem(seed)
    many = few | more
    gain_few = covered(problem, few | {s}) - covered(problem, few)
    gain_many = covered(problem, many | {s}) - covered(problem, many)
    assert gain_many >= -1e-15
    assert gain_few >= gain_many - 1e-15


def test_counting_covered_environments_is_not_submodular():
    h = BANDWIDTH * np.sqrt(2 * np.log(2))  # K = 1/2 at this distance
    envs = make_environments(np.array([[-h], [0.0], [h]]), np.array([0, 1, 2]))
    problem = cover_problem(envs, bandwidth=BANDWIDTH)
    halves = [float(problem.masses.total(indicator(problem, chosen))[1]) for chosen in ([0], [0, 2])]
    assert halves == pytest.approx([0.5, 1.0])  # alone neither covers the middle, together they do
    assert covered(problem, {0}) > 1 / 3  # the saturated coverage sees the first half too


def test_a_reference_is_mass_that_is_there():
    envs = toy(1)
    known = np.asarray(envs.x)[:3]  # the environments of structure 0
    with_reference = cover_problem(envs, bandwidth=BANDWIDTH, reference=known)
    assert covered(with_reference, {4}) == pytest.approx(covered(toy_problem(1), {0, 4}), rel=1e-12)


def test_distinct_weights_sum_to_the_exponential_of_diversity():
    weights = distinct_weights(toy(2), bandwidth=BANDWIDTH)
    assert np.log(weights.sum()) == pytest.approx(float(diversity(toy(2).x, bandwidth=BANDWIDTH)), rel=1e-12)


def test_atoms_as_costs_are_positive_even_without_atoms():
    assert atom_costs(make_environments(np.zeros((3, 1)), np.array([1, 1, 1]), 3)).tolist() == [1, 3, 1]


BAD = {
    "zero cost": ({"cost": [1, 0, 1, 1, 1, 1, 1, 1]}, "cost of structure 1 is 0.0; costs must be positive"),
    "negative cost": ({"cost": [-1.0] * 8}, "cost of structure 0 is -1.0"),
    "no number": ({"cost": [np.nan] * 8}, "cost of structure 0 is nan"),
    "costs of others": ({"cost": [1.0]}, r"cost: expected 8 numbers, one per structure, got shape \(1,\)"),
    "negative weight": ({"weights": -np.ones(20)}, "weights: number 0 is -1.0"),
    "no weight": ({"weights": np.zeros(20)}, "all are 0"),
    "weights of others": ({"weights": np.ones(3)}, "expected 20 numbers, one per environment"),
    "weight is no number": ({"weights": np.full(20, np.nan)}, "weights: number 0 is nan"),
    "target is no number": (
        {"targets": [[0.0, 0.0], [0.0, np.inf]]},
        "targets: environment 1 holds a value that is not finite",
    ),
    "other features": ({"reference": np.ones((4, 3))}, "reference: expected 2 features"),
    "bandwidth": ({"bandwidth": 0.0}, "bandwidth must be a positive number"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name):
    options, message = BAD[name]
    with pytest.raises(InputError, match=message) as error:
        cover_problem(toy(0), **({"bandwidth": BANDWIDTH} | options))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("as_environments", [False, True])
def test_a_reference_that_is_not_finite_is_refused_by_name(value, as_environments):
    reference = np.asarray(toy(1).x)[:5].copy()
    if as_environments:  # what the constructor refuses may come out of a traced function
        reference = jax.tree.map(lambda x: x, make_environments(reference, np.zeros(5, int)))
        reference.x[3, 1] = value
    else:
        reference[3, 1] = value
    message = "reference: environment 3 holds a value that is not finite"
    for rule in (cover_problem, lambda envs, **options: msc(envs, size=2, **options)):
        with pytest.raises(InputError, match=message):
            rule(toy(0), bandwidth=BANDWIDTH, reference=reference)


def test_nothing_to_cover_is_refused():
    empty = make_environments(np.zeros((0, 2)), np.zeros(0, int), 3)
    with pytest.raises(InputError, match="no environments to cover"):
        cover_problem(empty, bandwidth=BANDWIDTH)


def test_float32_environments_give_float64_coverages():
    envs = make_environments(np.asarray(toy(3).x, np.float32), toy(3).structure_id)
    assert coverage(cover_problem(envs, bandwidth=BANDWIDTH), jnp.ones(8)).dtype == jnp.float64
