"""A tighter bound for 0/1 selections: a second structure adds nothing where one already covers.

For w in {0, 1} and any multipliers 0 ≤ θ_i ≤ 1, with o(i) the structure that environment i is of,

    min(1, m_i(w)) ≤ 1 − θ_i + θ_i [r_i + w_o (1 − r_i) + (1 − w_o) Σ_{s≠o} w_s M_si]

because for w_o = 1 the right side is 1, and for w_o = 0 it is the linear bound of `relaxation`. It is tighter
where o covers i alone, M_oi ≥ 1 − r_i, as a rule; elsewhere the linear one is taken. Weighted by u and
summed, the right side is a constant plus a·w − wᵀQw, where Q pairs structures that share environments.
Relaxed, that is not concave, but w_s² = w_s for whole choices, so a diagonal D may be added to both terms,

    a·w − wᵀQw = (a + D)·w − wᵀ(Q + D)w,

which is concave for Q + D positive semidefinite [hammer:70]: D = −λ s, with the lowest eigenvalue λ of Q
scaled by any s. From round to round s grows where the lowest eigenvectors live, so that it may fall
elsewhere. A concave function is below its tangents, so every step of Frank and Wolfe's ascent [frank:56]
bounds the maximum, and with it what any choice can cover. All this holds for any θ and s; trying some finds
better ones.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.compiled_programs import jit
from quests_jax.base.numerics import dot
from quests_jax.base.progress import advance
from quests_jax.cover.bounds.relaxation import Data, Relaxation, best_weights

MOST_STRUCTURES = 1500  # structures: eigenvalues take time with the third power, a minute or so on two cores
ROUNDS = 20  # multipliers tried
RATE = 0.15  # of their change
NEAR, POWER = 0.9, 0.3  # which eigenvalues count as lowest, and how fast scales follow their vectors
PATIENCE = 3  # rounds that may bring nothing
SMALLEST_GAIN = 1e-4  # smallest relative improvement of the bound that counts
ASCENT = 100  # steps of Frank and Wolfe
WIDTH = 0.02  # of the mass over which a multiplier falls from 1 to 0
ALONE = 1e-9  # of the room: what may be missing where a structure covers alone


class Trial(NamedTuple):
    """What a bound is made of; any values prove one."""

    w: jax.Array  # [S], where the ascent begins
    theta: jax.Array  # [n] in [0, 1], multipliers
    scale: jax.Array  # [S] > 0, of the diagonal


def pair_bound(data: Data, owner: jax.Array, relaxation: Relaxation, *, until: float = math.inf) -> float:
    """An upper bound of Σ_i u_i min(1, m_i(w)) for all w in {0, 1} within the budget, per Σ u.

    Args:
      data: of the saturated cover, with capped masses and at most `MOST_STRUCTURES` structures.
      owner: o, the structure that each environment is of, shape [n].
      relaxation: whose multipliers and weights are tried first.
      until: time of `time.monotonic` after which no further multipliers are tried.
    """
    ones = jax.device_put(np.ones(relaxation.weights.shape))
    now = Trial(relaxation.weights, relaxation.multipliers, ones)
    best = math.inf
    idle = 0
    for number in range(ROUNDS):
        if time.monotonic() > until:
            break
        bound, now = _bound(data, owner, now)
        idle = 0 if float(bound) < best * (1 - SMALLEST_GAIN) else idle + 1
        best = min(best, float(bound))
        advance("bound by pairs", number + 1, ROUNDS)
        if idle == PATIENCE:
            break
    return best


@jit
def _bound(data: Data, owner: jax.Array, now: Trial) -> tuple[jax.Array, Trial]:
    """The bound by these multipliers and scales, and what to try next."""
    w, theta, scale = now
    masses = data.masses
    room = jnp.maximum(1.0 - data.reference, 0.0)
    mass = masses.of(owner)
    owned = mass >= (1.0 - ALONE) * room
    v = data.u * theta
    pairs = masses.pairs(jnp.where(owned, v, 0.0), owner, len(w))
    pairs = jnp.fill_diagonal(pairs, 0.0, inplace=False)  # Σ_{i of o} v_i M_si, for s ≠ o
    alone = jnp.zeros_like(w).at[owner].add(jnp.where(owned, v * (room - mass), 0.0))  # 0 but for ALONE
    a, Q = masses.pull(v) + alone, 0.5 * (pairs + pairs.T)
    D, scale = _diagonal(Q, scale)
    value, w = _ascend(a + D, Q + jnp.diag(D), data, w)
    others = jnp.where(owned, w[owner] * mass, 0.0)
    mass = masses.total(w)
    m = data.reference + jnp.where(owned, others + (1.0 - w[owner]) * (mass - others), mass)
    fixed = jnp.sum(data.u * (1.0 - theta * room))
    terms = 4 * (len(data.u) + len(w))  # of the longest sums, with their errors and those of the ascent
    rounding = terms * jnp.finfo(v.dtype).eps * (fixed + jnp.sum(a) + 2.0 * jnp.sum(D))
    theta = theta + RATE * (jax.nn.sigmoid((1.0 - m) / WIDTH) - theta)
    return fixed + value + rounding, Trial(w, theta, scale)


def _diagonal(Q: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """D with Q + D positive semidefinite, in proportion to scaled row sums, and a better scale."""
    s = scale * jnp.sum(Q, axis=1)
    root = jnp.where(s > 0, 1.0 / jnp.sqrt(jnp.where(s > 0, s, 1.0)), 0.0)
    values, vectors = jnp.linalg.eigh(Q * root[:, None] * root[None])
    margin = 10 * len(Q) * jnp.finfo(Q.dtype).eps * jnp.max(jnp.abs(values))  # error of eigenvalues
    low = (values <= NEAR * values[0]).astype(Q.dtype)
    lives = len(Q) * dot(vectors**2, low) / jnp.sum(low)  # 1 on average
    return (jnp.maximum(-values[0], 0.0) + margin) * s, scale * jnp.clip(lives, 0.25, 4.0) ** POWER


def _ascend(b: jax.Array, A: jax.Array, data: Data, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The lowest tangent seen on the way to max_w b·w − wᵀAw within the budget, and where the way ends."""

    def step(_, carry):
        w, best = carry
        Aw = dot(A, w)
        slope = b - 2.0 * Aw
        move = best_weights(slope, data.budget) - w
        gap, bend = dot(slope, move), dot(move, dot(A, move))
        best = jnp.minimum(best, dot(b, w) - dot(w, Aw) + gap)
        length = jnp.where(2.0 * bend > gap, gap / jnp.where(bend > 0, 2.0 * bend, 1.0), 1.0)
        return w + jnp.where(gap > 0, length, 0.0) * move, best  # at the top, the gap is 0 or its rounding

    w, best = jax.lax.fori_loop(0, ASCENT, step, (w, jnp.asarray(jnp.inf, b.dtype)))
    return best, w
