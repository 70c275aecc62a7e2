"""A monotone submodular objective, as the search and the certificate see it.

A choice is known by one number per environment, its *level*: the mass, for coverage; the largest similarity,
for facility location. An objective says how the level grows, and what it is worth. Both the lazy search and

    F(C*) ≤ F(C) + max_v Σ_s v_s [F(C + s) − F(C)]    with 0 ≤ v ≤ 1 within the budget   [nemhauser:78]

need no more than that gains only fall as the choice grows. To add an objective, write a file like
`facility_location`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.compiled_programs import jit
from quests_jax.cover.bounds.relaxation import best_fill
from quests_jax.cover.budget import Budget
from quests_jax.cover.objectives.mass_functions import SATURATED, Measure
from quests_jax.cover.problem import COVERED, CoverProblem, mass

Level = jax.Array  # [n]
ROUNDING = 1e-9  # relative, more than any order of the terms of a sum changes it


def no_bounds(problem: CoverProblem, level: Level) -> jax.Array:
    """Infinity for every structure: no bound of its gain is known before the gain itself, [S]."""
    return jnp.full(problem.n_structures, jnp.inf)


class Objective(NamedTuple):
    """Functions of a problem and a level, per Σ u; every gain falls as the level grows.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> from quests_jax.cover import FACILITY_LOCATION
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> isinstance(FACILITY_LOCATION, Objective)
    True
    >>> qj.greedy_cover(problem, size=1, measure=FACILITY_LOCATION).selected.tolist()
    [1]
    """

    start: Callable[[CoverProblem], Level]  # before anything is chosen
    add: Callable[[CoverProblem, Level, jax.Array, jax.Array], Level]  # structure s, times 1 or 0
    gain: Callable[[CoverProblem, Level, jax.Array], jax.Array]  # of structure s, []
    value: Callable[[CoverProblem, Level], jax.Array]  # F, []
    most: Callable[[CoverProblem, Level], jax.Array] = no_bounds  # what no structure gains more than, [S]


@cache
def of_measure(measure: Measure) -> Objective:
    """F(C) = Σ_i u_i φ(m_i(C)) / Σ_i u_i, whose level is the mass."""
    return Objective(
        start=lambda problem: problem.reference_mass,
        add=lambda problem, mass, s, times: problem.masses.add(s, mass, times),
        gain=_saturated_gain if measure is SATURATED else _gain_of(measure),
        value=lambda problem, mass: _mean(problem, measure.value(mass)),
        most=_saturated_most if measure is SATURATED else no_bounds,
    )


def as_objective(measure: Measure | Objective) -> Objective:
    """The objective that is meant: a measure stands for the mean of φ over the environments."""
    return of_measure(measure) if isinstance(measure, Measure) else measure


@partial(jit, static_argnames="measure")
def mean_value(problem: CoverProblem, w: jax.Array, *, measure: Measure) -> jax.Array:
    """F(w) = Σ_i u_i φ(m_i(w)) / Σ_i u_i, also of fractional choices w, shape [S]."""
    return _mean(problem, measure.value(mass(problem, w)))


def submodular_bound(
    problem: CoverProblem, budget: Budget, objective: Objective, selected: np.ndarray
) -> tuple[float, float]:
    """F of a choice, and the smallest of the bounds of this module that its prefixes C give."""
    level, best = objective.start(problem), np.inf
    for s in [*selected.tolist(), None]:
        all_gains = _gains(problem, level, objective=objective)
        terms = len(problem.weights) + problem.n_structures
        bound = float(objective.value(problem, level)) + float(best_fill(all_gains, budget))
        best = min(best, bound + terms * np.finfo(float).eps * abs(bound))
        if s is not None:
            level = objective.add(problem, level, jnp.int32(s), jnp.ones(()))
    return float(objective.value(problem, level)), best


@partial(jit, static_argnames="objective")
def _gains(problem: CoverProblem, level: Level, *, objective: Objective) -> jax.Array:
    """What each structure would add, [S]."""
    numbers = jnp.arange(problem.n_structures, dtype=jnp.int32)
    return jax.lax.map(partial(objective.gain, problem, level), numbers)


def _saturated_gain(problem: CoverProblem, mass: Level, s: jax.Array) -> jax.Array:
    return problem.masses.gain(s, problem.weights, _room(mass)) / jnp.sum(problem.weights)


def _saturated_most(problem: CoverProblem, mass: Level) -> jax.Array:
    """All gains at once; what rounding may have taken from their sums is added."""
    gains = problem.masses.gains(problem.weights, _room(mass)) / jnp.sum(problem.weights)
    return gains * (1.0 + ROUNDING)


def _room(mass: Level) -> jax.Array:
    """What an environment may still count; what is covered up to rounding has no room."""
    room = 1.0 - mass
    return jnp.where(room > COVERED, room, 0.0)


def _gain_of(measure: Measure) -> Callable[[CoverProblem, Level, jax.Array], jax.Array]:
    def gain(problem: CoverProblem, mass: Level, s: jax.Array) -> jax.Array:
        after = problem.masses.add(s, mass, jnp.ones((), mass.dtype))
        return _mean(problem, measure.value(after) - measure.value(mass))

    return gain


def _mean(problem: CoverProblem, values: jax.Array) -> jax.Array:
    return jnp.sum(problem.weights * values) / jnp.sum(problem.weights)
