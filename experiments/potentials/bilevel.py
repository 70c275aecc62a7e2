"""Weights of selection that are learned: a validation loss descends through the linear model in closed form.

    min_w  ln L_val(θ(w)) + (γ/B) Σ_s w_s (1 − w_s)    s.t.  0 ≤ w ≤ 1,  Σ_s w_s = B
    (Σ_s w_s A_s + λ) θ(w) = Σ_s w_s b_s,        L_val(θ) = θᵀ A θ − 2 bᵀ θ + c

with A, b and c those of the structures held out (see `ridge`). The inner problem is a linear system, so its
derivative is implicit and exact, one more solve with the same matrix:

    ∂L/∂w_s = uᵀ (b_s − A_s θ),    (Σ_s w_s A_s + λ) u = ∇L_val(θ)

which is what reverse mode makes of the solution of a linear system. The descent is Adam's, projected after
every step. γ rises from 0, so that in the end the weights are 0 or 1 and rounding them changes little:
without it many small weights do better than any choice, and rounded they do worse than chance.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from quests_jax.base.progress import advance
from quests_jax.cover.bounds.relaxation import project
from quests_jax.cover.budget import Budget

RATE = 0.05  # of Adam
SHARPEN = 10.0  # γ at the end
REPORT = 50  # steps between two reports of progress


class Quadratic(NamedTuple):
    """Normal equations of S structures that may be chosen, and the loss that is to fall."""

    grams: jax.Array  # [S, D, D], A_s
    moments: jax.Array  # [S, D], b_s
    penalty: float  # λ
    gram: jax.Array  # [D, D], A of the loss
    moment: jax.Array  # [D], b of the loss
    constant: float  # c of the loss


def solution(problem: Quadratic, w: jax.Array) -> jax.Array:
    """θ(w) [D] for weights w [S]."""
    gram = jnp.tensordot(w, problem.grams, 1) + problem.penalty * jnp.eye(len(problem.moment))
    return jax.scipy.linalg.solve(gram, w @ problem.moments, assume_a="pos")


def outer_loss(problem: Quadratic, w: jax.Array) -> jax.Array:
    """L_val(θ(w))."""
    theta = solution(problem, w)
    return theta @ problem.gram @ theta - 2.0 * problem.moment @ theta + problem.constant


def onto_budget(z: jax.Array, size: int) -> jax.Array:
    """Nearest point of {0 ≤ w ≤ 1, Σ w = size}: that of {0 ≤ w ≤ 1, Σ w ≤ size} to z + c, with c large.

    A constant moves z along the normal of Σ w = size, so it changes nothing but which side it is on.
    """
    ones = jnp.ones_like(z)
    return project(z + (1.0 - jnp.min(z)), ones, Budget(ones, jnp.asarray(float(size))))


def learn(problem: Quadratic, size: int, *, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights w [S] from the even choice on, and L_val before every step [steps]."""
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))
    w = jnp.full(len(problem.grams), size / len(problem.grams))
    moments, values = optimizer.init(w), []
    for number in range(steps):
        w, moments, value = _descend(problem, w, moments, SHARPEN * number / steps, size=size, steps=steps)
        values.append(float(value))
        if number % REPORT == 0:
            advance("weights of selection", number, steps)
    return np.asarray(w), np.array(values)


@partial(jax.jit, static_argnames=("size", "steps"))
def _descend(
    problem: Quadratic, w: jax.Array, moments: Any, sharpen: float, *, size: int, steps: int
) -> tuple[jax.Array, Any, jax.Array]:
    """One projected step of Adam; its moments, and the loss before it."""

    def objective(w: jax.Array) -> tuple[jax.Array, jax.Array]:
        value = outer_loss(problem, w)
        return jnp.log(value) + sharpen / size * jnp.sum(w * (1.0 - w)), value

    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))
    (_, value), slope = jax.value_and_grad(objective, has_aux=True)(w)
    updates, moments = optimizer.update(slope, moments)
    return onto_budget(w + updates, size), moments, value
