"""A saddle-point solver for concave covers, and the bound that its multipliers prove.

    max_w  F(w) = Σ_i u_i φ(m_i(w))      s.t.  0 ≤ w ≤ 1,  Σ_s c_s w_s ≤ B

for a concave φ: min(1, m), the saturated coverage, or ln m, the mean log mass (minus the mean δH of the
data under a weighted reference). With φ(m) = min_θ [θ m + ψ(θ)] this is a saddle problem, and *any*
multipliers θ bound every choice from above, fractional or not:

    F(w) ≤ UB(θ) = Σ_i u_i [ψ(θ_i) + θ_i r_i] + max_{v feasible} Σ_s v_s Σ_i M_si u_i θ_i

The last maximum is a fractional knapsack, solved exactly by sorting. So the bound is a proof whatever
found θ; with θ_i = φ'(m_i(w)) it is F(w) plus the Frank-Wolfe gap at w.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from quests_jax.base.compiled_programs import jit
from quests_jax.base.numerics import dot
from quests_jax.base.step_sizes import here
from quests_jax.cover.budget import Budget
from quests_jax.cover.masses.sharded import Masses
from quests_jax.cover.objectives.mass_functions import Measure

STEPS = 50  # steps between two looks at the bound, after which the method restarts
HALVINGS = 60  # of the price of the budget: to rounding
BALANCE = 2.0  # ratio of primal to dual step; insensitive between 1 and 3 on all data tried


class Data(NamedTuple):
    """Arrays of the relaxed problem."""

    masses: Masses  # [S, n], capped if the measure allows it
    u: jax.Array  # [n], summing to 1
    reference: jax.Array  # [n], r
    budget: Budget


class Relaxation(NamedTuple):
    """The best relaxed choice and the best bound found so far, both per Σ u.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> relaxed = qj.cover.relax(problem, qj.cover.make_budget(problem, size=2))
    >>> bool(relaxed.value <= relaxed.upper_bound + 1e-9)
    True
    """

    weights: jax.Array  # [S] in [0, 1], w
    value: jax.Array  # [], F(w)
    multipliers: jax.Array  # [n], θ
    upper_bound: jax.Array  # [], UB(θ)


class Iterate(NamedTuple):
    """State of the primal-dual method."""

    w: jax.Array  # [S]
    theta: jax.Array  # [n]
    mass: jax.Array  # [n], M w


@partial(jit, static_argnames="measure")
def begin(data: Data, w: jax.Array, *, measure: Measure) -> tuple[Relaxation, Iterate]:
    """Value, multipliers φ'(m) and bound at the first w."""
    mass = data.masses.total(w)
    theta = jax.vmap(jax.grad(measure.value))(data.reference + mass)
    best = Relaxation(w, _value(data, mass, measure), theta, upper_bound(data, theta, measure))
    return best, Iterate(w, theta, mass)


@partial(jit, static_argnames="measure")
def improve(data: Data, best: Relaxation, start: Iterate, *, measure: Measure) -> tuple[Relaxation, Iterate]:
    """STEPS steps T of the primal-dual method, reflected and drawn back to the start [lu:24]; then bounds.

        z_{k+1} = (k+1)/(k+2) [2 T(z_k) − z_k] + z_0/(k+2)

    The next call starts from the last z, a restart.
    """
    tau = BALANCE / jnp.maximum(data.masses.pull(data.u), jnp.finfo(data.u.dtype).tiny)
    each = data.masses.total(jnp.ones_like(tau))
    sigma = 1.0 / (BALANCE * jnp.maximum(each, jnp.finfo(data.u.dtype).eps))

    def moved(now: Iterate) -> Iterate:
        w = project(now.w + tau * data.masses.pull(data.u * now.theta), tau, data.budget)
        mass = data.masses.total(w)
        theta = measure.step(now.theta, sigma, data.reference + 2.0 * mass - now.mass)
        return Iterate(w, theta, mass)

    def step(k, carry):
        now, _ = carry
        done = k.astype(tau.dtype)
        there = moved(now)
        share = (done + 1.0) / (done + 2.0)
        onward = [
            share * (2.0 * new - old) + (1.0 - share) * first
            for new, old, first in zip(there, now, start, strict=True)
        ]
        return Iterate(*onward), there

    onward, p = jax.lax.fori_loop(0, STEPS, step, (start, start))
    seen = Relaxation(p.w, _value(data, p.mass, measure), p.theta, upper_bound(data, p.theta, measure))
    return _better(best, seen), onward


def _better(a: Relaxation, b: Relaxation) -> Relaxation:
    """The larger value with its weights, the smaller bound with its multipliers."""
    up, down = b.value > a.value, b.upper_bound < a.upper_bound
    return Relaxation(
        jnp.where(up, b.weights, a.weights),
        jnp.where(up, b.value, a.value),
        jnp.where(down, b.multipliers, a.multipliers),
        jnp.where(down, b.upper_bound, a.upper_bound),
    )


def _value(data: Data, mass: jax.Array, measure: Measure) -> jax.Array:
    """F(w), for the mass M w."""
    return jnp.sum(data.u * measure.value(data.reference + mass))


def upper_bound(data: Data, theta: jax.Array, measure: Measure) -> jax.Array:
    """UB(θ), at least F(w) for every feasible w and any θ in the domain of ψ."""
    fixed = jnp.sum(data.u * (measure.offset(theta) + theta * data.reference))
    return fixed + best_fill(data.masses.pull(data.u * theta), data.budget)


def best_fill(value: jax.Array, budget: Budget) -> jax.Array:
    """max Σ_s value_s w_s within the budget; values ≥ 0."""
    return dot(value, best_weights(value, budget))


def best_weights(value: jax.Array, budget: Budget) -> jax.Array:
    """The w of the largest Σ_s value_s w_s within the budget: by value per cost, the last one in part."""
    order = jnp.argsort(-value / budget.cost)
    cost = budget.cost[order]
    before = jnp.concatenate([jnp.zeros(1, cost.dtype), jnp.cumsum(cost)[:-1]])  # no difference of large sums
    left = budget.limit - before
    filled = jnp.where(value[order] > 0, jnp.clip(left / cost, 0.0, 1.0), 0.0)
    return jnp.zeros_like(value).at[order].set(filled)


def project(z: jax.Array, tau: jax.Array, budget: Budget) -> jax.Array:
    """Nearest point to z of {0 ≤ w ≤ 1, Σ cost·w ≤ limit} in the metric 1/τ.

    w = clip(z − μ τ cost, 0, 1) with the smallest μ ≥ 0 that fits, found by cutting an interval into pieces,
    as many at a time as the platform does in one step.
    """
    pieces = here().pieces
    rounds = math.ceil(HALVINGS / math.log2(pieces))

    def cut(mu):
        return jnp.clip(z - mu * tau * budget.cost, 0.0, 1.0)

    def over(mu):
        return jnp.sum(budget.cost * cut(mu)) > budget.limit

    def narrow(_, bracket):  # the cost is over the limit at `low` and not at `high`
        low, high = bracket
        piece = (high - low) / pieces
        inside = low + piece * jnp.arange(1, pieces, dtype=z.dtype)
        passed = jnp.sum(jax.vmap(over)(inside), dtype=jnp.int32)
        ends = jnp.concatenate([low[None], inside, high[None]])
        return ends[passed], ends[passed + 1]

    highest = jnp.maximum(jnp.max(z / (tau * budget.cost)), 0.0)
    _, mu = jax.lax.fori_loop(0, rounds, narrow, (jnp.zeros_like(highest), highest))
    return jnp.where(over(0.0), cut(mu), cut(0.0))
