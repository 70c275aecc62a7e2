"""Lazy greedy covers: the next structure is the one that adds most coverage (per cost).

A gain only falls as the cover grows (submodularity), so a gain computed earlier bounds the gain now.
Only the structure with the largest bound is recomputed; if it stays on top it is the plain greedy pick.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.checks import InputError, check_positive
from quests_jax.base.progress import advance
from quests_jax.base.sizes import check_size
from quests_jax.cover.budget import COST_ROUNDING
from quests_jax.cover.problem import CoverProblem, saturated
from quests_jax.cover.selection import Selection

SEGMENT = 64  # picks between two reports of progress
COVERED = 1e-9  # an environment whose mass is this close to 1 is covered


class Rules(NamedTuple):
    """When to stop, and what a gain is divided by."""

    price: jax.Array  # [S]
    budget: jax.Array  # [], for the sum of costs
    target: jax.Array  # [], coverage at which to stop; above 1 means never
    min_gain: jax.Array  # [], gains of this or less are not worth a pick


class State(NamedTuple):
    """Where the search is."""

    mass: jax.Array  # [n]
    bound: jax.Array  # [S], upper bound of the gain in coverage per price
    known: jax.Array  # [S] int32, number of picks for which the bound is the gain itself
    open: jax.Array  # [S] bool, may still be chosen
    spent: jax.Array  # []
    selected: jax.Array  # [S] int32
    gains: jax.Array  # [S]
    count: jax.Array  # [] int32
    done: jax.Array  # [] bool


def greedy_cover(
    problem: CoverProblem,
    *,
    size: float | None = None,
    coverage: float | None = None,
    cost_budget: float | None = None,
    min_gain: float | None = None,
    include: Sequence[int] = (),
    exclude: Sequence[int] = (),
) -> Selection:
    """Choose structures by their gain in saturated coverage, until the first of the limits is met.

    s_{t+1} = argmax_s [f(C_t + s) − f(C_t)] / c_s, where c = 1 unless a coverage or a cost budget is asked
    for. Within 1 − 1/e of the best coverage for its size, and for coverage 1 within a logarithmic factor of
    the smallest cost [nemhauser:78, wolsey:82]. Picks are in order, so every prefix is an answer; ties go
    to the lowest number.

    Args:
      problem: from `cover_problem`.
      size: fraction or number of structures; exactly as many are returned, unless another limit is met.
      coverage: fraction of the weighted environments; 1 means that every environment has mass 1.
      cost_budget: largest sum of costs.
      min_gain: coverage below which (or at which) a structure is not worth choosing.
      include: structures that are chosen first, in this order.
      exclude: structures that are never chosen.

    Returns:
      `Selection` whose gains are what each structure added to the coverage.

    Raises:
      InputError: no limit given, limits out of range, structures that do not exist or do not fit, or a
        coverage that the structures left cannot reach (the message names environments).
    """
    first, never = _numbers("include", include, problem), _numbers("exclude", exclude, problem)
    both = np.intersect1d(first, never)
    if len(both):
        raise InputError(f"structure {both[0]} is both in include and in exclude; leave it out of one.")
    stop = _picks(problem, size, first, never)
    rules = _rules(problem, first, size=size, coverage=coverage, cost_budget=cost_budget, min_gain=min_gain)
    state = _start(problem, rules, *_padded(problem, first, never))
    while not bool(state.done) and int(state.count) < stop:
        state = _advance(problem, rules, state, jnp.int32(min(int(state.count) + SEGMENT, stop)))
        advance("selection", int(state.count), stop)
    if coverage is not None and size is None and cost_budget is None:
        _check_reached(problem, coverage, state)
    selected, gains = (np.asarray(found[: int(state.count)]) for found in (state.selected, state.gains))
    return Selection(selected.astype(int), gains, "cover", float(saturated(problem.weights, state.mass)))


# --- on the host: limits ---------------------------------------------------------------------------------


def _numbers(name: str, structures: Sequence[int], problem: CoverProblem) -> np.ndarray:
    numbers = np.asarray(structures, int).reshape(-1)
    wrong = numbers[(numbers < 0) | (numbers >= problem.n_structures)]
    if len(wrong):
        raise InputError(
            f"{name}: structure {wrong[0]} does not exist; numbers go from 0 to {problem.n_structures - 1}."
        )
    if len(np.unique(numbers)) < len(numbers):
        raise InputError(f"{name}: a structure is named twice; name each once.")
    return numbers


def _picks(problem: CoverProblem, size: float | None, first: np.ndarray, never: np.ndarray) -> int:
    """How many structures to choose at most."""
    available = problem.n_structures - len(never)
    if size is None:
        return available
    count = check_size(size, problem.n_structures)
    if count > available:
        raise InputError(f"size {count} is more than the {available} structures not excluded; lower it.")
    if count < len(first):
        raise InputError(f"size {count} is less than the {len(first)} structures to include; raise it.")
    return count


def _rules(
    problem: CoverProblem,
    first: np.ndarray,
    *,
    size: float | None,
    coverage: float | None,
    cost_budget: float | None,
    min_gain: float | None,
) -> Rules:
    if size is coverage is cost_budget is min_gain is None:
        raise InputError("say when to stop: give size, coverage, cost_budget or min_gain.")
    if coverage is not None and not 0 < check_positive("coverage", coverage) <= 1:
        raise InputError(f"coverage must be in (0, 1], got {coverage}.")
    budget = np.inf if cost_budget is None else check_positive("cost_budget", cost_budget)
    if (needed := float(problem.cost[first].sum())) > budget * (1 + COST_ROUNDING):
        raise InputError(f"include costs {needed:g}, more than cost_budget {budget:g}; raise the budget.")
    only_size = coverage is cost_budget is min_gain is None
    least = 0.0 if min_gain is None else check_positive("min_gain", min_gain)
    by_cost = coverage is not None or cost_budget is not None
    return Rules(
        price=problem.cost if by_cost else jnp.ones_like(problem.cost),
        budget=jnp.asarray(budget * (1 + COST_ROUNDING)),
        target=jnp.asarray(2.0 if coverage is None else float(coverage)),
        min_gain=jnp.asarray(-1.0 if only_size else least),
    )


def _padded(
    problem: CoverProblem, first: np.ndarray, never: np.ndarray
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Structures to begin with [S], how many they are, and which may not be chosen [S]."""
    order = np.zeros(problem.n_structures, np.int32)
    order[: len(first)] = first
    closed = np.isin(np.arange(problem.n_structures), never)
    return jnp.asarray(order), jnp.int32(len(first)), jnp.asarray(closed)


def _check_reached(problem: CoverProblem, coverage: float, state: State) -> None:
    if bool(_reached(problem, jnp.asarray(float(coverage)), state.mass)):
        return
    short = np.flatnonzero(np.asarray((state.mass < 1 - COVERED) & (problem.weights > 0)))
    shown = ", ".join(map(str, short[:10])) + (", ..." if len(short) > 10 else "")
    reached = float(saturated(problem.weights, state.mass))
    raise InputError(
        f"coverage {coverage:g} cannot be reached, only {reached:.6g}: {len(short)} environments ({shown}) "
        "are not covered by all structures together; exclude fewer structures or ask for less."
    )


# --- on the device: the search ---------------------------------------------------------------------------


@jax.jit
def _start(
    problem: CoverProblem, rules: Rules, first: jax.Array, n_first: jax.Array, closed: jax.Array
) -> State:
    n_structures = problem.n_structures
    state = State(
        mass=problem.reference_mass,
        bound=jnp.full(n_structures, jnp.inf),
        known=jnp.full(n_structures, -1, jnp.int32),
        open=~closed,
        spent=jnp.zeros(()),
        selected=jnp.zeros(n_structures, jnp.int32),
        gains=jnp.zeros(n_structures),
        count=jnp.int32(0),
        done=jnp.array(False),
    )

    def take(k, state):
        return _take(problem, state, first[k], _gain(problem, state.mass, first[k]), jnp.array(True))

    state = jax.lax.fori_loop(0, n_first, take, state)
    return state._replace(done=_reached(problem, rules.target, state.mass))


@partial(jax.jit, donate_argnames="state")
def _advance(problem: CoverProblem, rules: Rules, state: State, stop: jax.Array) -> State:
    """Look at the structure with the largest bound, and take the best one if its bound is its gain."""

    def step(state):
        open_ = state.open & (problem.cost <= rules.budget - state.spent)
        top = jnp.argmax(jnp.where(open_, state.bound, -jnp.inf))
        bound = state.bound.at[top].set(_gain(problem, state.mass, top) / rules.price[top])
        known = state.known.at[top].set(state.count)
        best = jnp.argmax(jnp.where(open_, bound, -jnp.inf))
        gain = bound[best] * rules.price[best]
        final = (known[best] == state.count) & jnp.any(open_)
        worth = gain > rules.min_gain
        state = _take(
            problem, state._replace(bound=bound, known=known, open=open_), best, gain, final & worth
        )
        nothing = (final & ~worth) | ~jnp.any(open_)
        return state._replace(done=nothing | _reached(problem, rules.target, state.mass))

    return jax.lax.while_loop(lambda state: (state.count < stop) & ~state.done, step, state)


def _gain(problem: CoverProblem, mass: jax.Array, s: jax.Array) -> jax.Array:
    """f(C + s) − f(C)."""
    room = jnp.maximum(1.0 - mass, 0.0)
    return problem.masses.gain(s, problem.weights, room) / jnp.sum(problem.weights)


def _take(problem: CoverProblem, state: State, s: jax.Array, gain: jax.Array, now: jax.Array) -> State:
    """Choose structure s, if `now`; what is written behind the last pick is overwritten by the next."""
    return state._replace(
        mass=problem.masses.add(s, state.mass, now.astype(state.mass.dtype)),
        open=state.open.at[s].set(state.open[s] & ~now),
        spent=state.spent + jnp.where(now, problem.cost[s], 0.0),
        selected=state.selected.at[state.count].set(s.astype(jnp.int32)),
        gains=state.gains.at[state.count].set(gain),
        count=state.count + now.astype(jnp.int32),
    )


def _reached(problem: CoverProblem, target: jax.Array, mass: jax.Array) -> jax.Array:
    """Whether the coverage is at least the target; for target 1, whether every environment is covered."""
    everywhere = jnp.all((mass >= 1.0 - COVERED) | (problem.weights == 0.0))
    return jnp.where(target == 1.0, everywhere, saturated(problem.weights, mass) >= target - COVERED)
