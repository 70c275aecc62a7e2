"""Facility location of environments: each is served by the one chosen structure that is nearest to it.

    F(C) = Σ_i u_i max_{s in C} min(1, M_si) / Σ_i u_i

Unlike the coverage, where the masses of many structures add up, half a mass from two structures is half. It
is monotone and submodular: what a structure adds, Σ_i u_i [min(1, M_si) − a_i]⁺, falls as the level
a_i = max_{s in C} min(1, M_si) grows. This file is all there is to it; copy it for an objective of your own.

    greedy_cover(problem, size=10, measure=FACILITY_LOCATION)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from quests_jax.cover.objectives.objective import Level, Objective
from quests_jax.cover.problem import CoverProblem


def _start(problem: CoverProblem) -> Level:
    return jnp.minimum(problem.reference_mass, 1.0)


def _similarity(problem: CoverProblem, s: jax.Array, times: jax.Array) -> Level:
    """min(1, M_si) of one structure, or 0."""
    return jnp.minimum(problem.masses.add(s, jnp.zeros_like(problem.weights), times), 1.0)


def _add(problem: CoverProblem, level: Level, s: jax.Array, times: jax.Array) -> Level:
    return jnp.maximum(level, _similarity(problem, s, times))


def _gain(problem: CoverProblem, level: Level, s: jax.Array) -> jax.Array:
    more = jnp.maximum(_similarity(problem, s, jnp.ones((), level.dtype)) - level, 0.0)
    return jnp.sum(problem.weights * more) / jnp.sum(problem.weights)


def _value(problem: CoverProblem, level: Level) -> jax.Array:
    return jnp.sum(problem.weights * level) / jnp.sum(problem.weights)


FACILITY_LOCATION = Objective(_start, _add, _gain, _value)
