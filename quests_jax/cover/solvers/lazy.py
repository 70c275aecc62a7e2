"""The lazy search: the next structure is the one that adds most to an objective (per cost).

A gain only falls as the choice grows (submodularity), so a gain computed earlier bounds the gain now.
Only those with the largest bounds are recomputed, as many at a time as suits the platform; if one of them is
on top it is the plain greedy pick. The first bounds are all gains at once, where the objective knows a fast
way to them.
Where nothing adds anything any more, the farthest structure comes next: the one with the smallest

    a_s = Σ_i u_i M_si m_i / Σ_i u_i M_si,

the mean level m at what structure s covers. That only grows, so the same search finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from quests_jax.base.compiled_programs import jit
from quests_jax.base.step_sizes import here
from quests_jax.cover.group_quotas import Quota, completable, needs
from quests_jax.cover.objectives.objective import Objective
from quests_jax.cover.problem import COVERED, CoverProblem, is_covered, saturated


class Limits(NamedTuple):
    """When to stop, and what a gain is divided by."""

    price: jax.Array  # [S]
    budget: jax.Array  # [], for the sum of costs
    picks: jax.Array  # [] int32, at most
    target: jax.Array  # [], coverage at which to stop; above 1 means never
    min_gain: jax.Array  # [], gains of this or less are not worth a pick
    quota: Quota | None


class State(NamedTuple):
    """State of the search."""

    level: jax.Array  # [n], of the objective
    bound: jax.Array  # [S], upper bound of the score, which is the gain per price
    known: jax.Array  # [S] int32, number of picks for which the bound is the score itself
    open: jax.Array  # [S] bool, may still be chosen
    chosen: jax.Array  # [S] bool
    spent: jax.Array  # []
    selected: jax.Array  # [S] int32
    gains: jax.Array  # [S]
    count: jax.Array  # [] int32
    done: jax.Array  # [] bool, nothing is left that is worth a pick
    saturated: jax.Array  # [] bool, there are structures left, and none is worth a pick


LAST = -1e300  # score of a structure that is near to nothing that is to be covered

Score = Callable[[State, jax.Array], jax.Array]  # of a structure, [], never growing


@partial(jit, static_argnames="objective")
def start(
    problem: CoverProblem,
    objective: Objective,
    limits: Limits,
    first: jax.Array,
    n_first: jax.Array,
    closed: jax.Array,
) -> State:
    """Choose `n_first` of the structures `first` [S] in their order; those `closed` [S] never."""
    n_structures = problem.n_structures
    state = State(
        level=objective.start(problem),
        bound=jnp.full(n_structures, jnp.inf),
        known=jnp.full(n_structures, -1, jnp.int32),
        open=~closed,
        chosen=jnp.zeros(n_structures, bool),
        spent=jnp.zeros(()),
        selected=jnp.zeros(n_structures, jnp.int32),
        gains=jnp.zeros(n_structures),
        count=jnp.int32(0),
        done=jnp.array(False),
        saturated=jnp.array(False),
    )

    def take(k, state):
        gain = objective.gain(problem, state.level, first[k])
        return _take(problem, objective, state, first[k], gain, jnp.array(True))

    state = jax.lax.fori_loop(0, n_first, take, state)
    return state._replace(bound=objective.most(problem, state.level) / limits.price)


@partial(jit, static_argnames="objective", donate_argnames="state")
def choose(
    problem: CoverProblem, objective: Objective, limits: Limits, state: State, stop: jax.Array
) -> State:
    """Pick by gain until `stop` structures are chosen, or `done`: no gain is worth a pick."""

    def score(state, s):
        return objective.gain(problem, state.level, s) / limits.price[s]

    def step(state):
        enough = is_reached(problem, limits.target, state.level)
        state, best, value, final = _look(problem, limits, state, score, enough)
        gain = value * limits.price[best]
        worth = gain > limits.min_gain
        state = _take(problem, objective, state, best, gain, final & worth)
        nothing = final & ~worth
        return state._replace(done=nothing | (value == -jnp.inf), saturated=nothing)

    return jax.lax.while_loop(lambda state: (state.count < stop) & ~state.done, step, state)


@partial(jit, static_argnames="objective", donate_argnames="state")
def fill(
    problem: CoverProblem,
    objective: Objective,
    limits: Limits,
    state: State,
    stop: jax.Array,
    only_short: jax.Array,
) -> State:
    """Pick the farthest until `stop` structures are chosen; `only_short` ones of groups that are short."""
    reach = problem.masses.pull(problem.weights)
    unlimited = jnp.full_like(state.level, jnp.inf)

    def score(state, s):
        near = problem.masses.gain(s, problem.weights * jnp.maximum(state.level, 0.0), unlimited)
        return jnp.where(reach[s] > 0, -near / jnp.where(reach[s] > 0, reach[s], 1.0), LAST)

    def step(state):
        state, best, value, final = _look(problem, limits, state, score, only_short)
        state = _take(problem, objective, state, best, jnp.zeros(()), final)
        return state._replace(done=value == -jnp.inf)

    fresh = state._replace(
        bound=jnp.full_like(state.bound, jnp.inf), known=jnp.full_like(state.known, -1), done=jnp.array(False)
    )
    return jax.lax.while_loop(lambda state: (state.count < stop) & ~state.done, step, fresh)


@jit
def is_reached(problem: CoverProblem, target: jax.Array, mass: jax.Array) -> jax.Array:
    """Whether the coverage is at least the target; for target 1, whether every environment is covered."""
    everywhere = jnp.all(is_covered(mass) | (problem.weights == 0.0))
    return jnp.where(target == 1.0, everywhere, saturated(problem.weights, mass) >= target - COVERED)


def _look(
    problem: CoverProblem, limits: Limits, state: State, score: Score, only_short: jax.Array
) -> tuple[State, jax.Array, jax.Array, jax.Array]:
    """Score the structures with the largest bounds.

    Returns the state, the structure that is then best, its bound (-inf where none is open), and whether that
    is its score.
    """
    open_ = _candidates(problem, limits, state, only_short)
    candidates = min(here().candidates, len(state.bound))
    if candidates == 1:
        top = _first_largest(jnp.where(open_, state.bound, -jnp.inf))
        scores = score(state, top)
    else:
        _, top = jax.lax.top_k(jnp.where(open_, state.bound, -jnp.inf), candidates)
        scores = jax.vmap(partial(score, state))(top)
    bound = state.bound.at[top].set(scores)
    known = state.known.at[top].set(state.count)
    best = _first_largest(jnp.where(open_, bound, -jnp.inf))
    value = jnp.where(jnp.any(open_), bound[best], -jnp.inf)
    final = (known[best] == state.count) & jnp.any(open_)
    return state._replace(bound=bound, known=known), best, value, final


def _first_largest(x: jax.Array) -> jax.Array:
    """`argmax`, which CPUs form a number at a time."""
    number = jnp.arange(len(x), dtype=jnp.int32)
    return jnp.min(jnp.where(x == jnp.max(x), number, len(x) - 1))


def _candidates(problem: CoverProblem, limits: Limits, state: State, only_short: jax.Array) -> jax.Array:
    """Structures that may be chosen now, [S]."""
    left = limits.budget - state.spent
    open_ = state.open & (problem.cost <= left)
    if limits.quota is None:
        return open_ & ~only_short
    need = needs(limits.quota, problem.cost, state.chosen, open_)
    allowed = completable(need, problem.cost, left, limits.picks - state.count)
    return open_ & allowed & (need.short | ~only_short)


def _take(
    problem: CoverProblem, objective: Objective, state: State, s: jax.Array, gain: jax.Array, now: jax.Array
) -> State:
    """Choose structure s, if `now`; what is written behind the last pick is overwritten by the next."""
    return state._replace(
        level=objective.add(problem, state.level, s, now.astype(state.level.dtype)),
        open=state.open.at[s].set(state.open[s] & ~now),
        chosen=state.chosen.at[s].set(state.chosen[s] | now),
        spent=state.spent + jnp.where(now, problem.cost[s], 0.0),
        selected=state.selected.at[state.count].set(s.astype(jnp.int32)),
        gains=state.gains.at[state.count].set(gain),
        count=state.count + now.astype(jnp.int32),
    )
