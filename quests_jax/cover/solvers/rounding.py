"""Rounding of a relaxed choice: rounding keeps the budget, and swaps only improve."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.compiled_programs import jit
from quests_jax.cover.budget import Budget
from quests_jax.cover.group_quotas import Quota, may_replace
from quests_jax.cover.problem import CoverProblem, indicator, mass

WHOLE = 1e-9  # weights this close to 0 or 1 are whole
SMALLEST_GAIN = 1e-9  # relative gain below which a swap is rounding noise


def threshold_round(w: np.ndarray, budget: Budget) -> list[int]:
    """The structures of largest weight, as many as the budget pays for; none of weight 0."""
    cost = np.asarray(budget.cost)
    left = float(budget.limit)
    chosen = []
    for s in np.argsort(-w, kind="stable"):
        if w[s] > WHOLE and cost[s] <= left:
            chosen.append(int(s))
            left -= cost[s]
    return chosen


def pipage_round(w: np.ndarray, budget: Budget, *, key: jax.Array) -> list[int]:
    """Random rounding in which each structure is chosen with probability w_s and the budget is kept.

    Two fractional weights at a time trade along cost_a δw_a = −cost_b δw_b until one is whole, in the
    direction that keeps both expectations [ageev:04]. A last fractional weight is rounded down.
    """
    cost, w = np.asarray(budget.cost), np.array(w, np.float64)
    draws = np.asarray(jax.random.uniform(key, (len(w),)))
    open_ = [int(s) for s in np.flatnonzero((w > WHOLE) & (w < 1 - WHOLE))]
    while len(open_) > 1:
        a, b = open_.pop(), open_.pop()
        up = min((1 - w[a]) * cost[a], w[b] * cost[b])  # money that could move from b to a
        down = min(w[a] * cost[a], (1 - w[b]) * cost[b])
        moved = up if draws[len(open_)] < down / (up + down) else -down
        w[a], w[b] = w[a] + moved / cost[a], w[b] - moved / cost[b]
        open_ += [s for s in (b, a) if WHOLE < w[s] < 1 - WHOLE]
    return [int(s) for s in np.flatnonzero(w >= 1 - WHOLE)]


def swap(
    problem: CoverProblem, budget: Budget, selected: np.ndarray, quota: Quota | None = None
) -> np.ndarray:
    """Offer every chosen structure once for its best affordable replacement; take those that gain coverage.

    Coverage never falls, and quotas that are met stay met. One product with all masses per chosen structure.
    """
    order = np.zeros(problem.n_structures, np.int32)
    order[: len(selected)] = selected
    w = indicator(problem, selected)
    count = jnp.int32(len(selected))
    return np.asarray(_swap(problem, budget, quota, w, jnp.asarray(order), count))[: len(selected)]


@jit
def _swap(
    problem: CoverProblem,
    budget: Budget,
    quota: Quota | None,
    w: jax.Array,
    order: jax.Array,
    count: jax.Array,
) -> jax.Array:
    def visit(k, state):
        order, w, m = state
        leaving = order[k]
        without = problem.masses.add(leaving, m, jnp.array(-1.0))
        gains = problem.masses.gains(problem.weights, jnp.maximum(1.0 - without, 0.0))
        left = budget.limit - jnp.sum(budget.cost * w) + budget.cost[leaving]
        open_ = (w == 0) & (budget.cost <= left)
        if quota is not None:
            open_ &= may_replace(quota, w > 0, leaving)
        offered = jnp.where(open_, gains, -jnp.inf)
        best = jnp.argmax(offered).astype(order.dtype)
        better = offered[best] > gains[leaving] + SMALLEST_GAIN * jnp.sum(problem.weights)
        entering = jnp.where(better, best, leaving)
        return (
            order.at[k].set(entering),
            w.at[leaving].set(0.0).at[entering].set(1.0),
            problem.masses.add(entering, without, jnp.array(1.0)),
        )

    return jax.lax.fori_loop(0, count, visit, (order, w, mass(problem, w)))[0]
