"""Weights of the stacked rows of `balanced`, learned by the validation loss of the linear model.

    u_i(ω) = share_k p_i^−a_k / Σ_{j of kind k} p_j^−a_k,    share = softmax(ω),  k fine, coarse or mean
    w(u)   = argmax_w Σ_i u_i φ_T(m_i(w)) + (T/B) Σ_s c_s H(w_s)    s.t.  Σ_s c_s w_s = B
    (Σ_s w_s A_s + λ) θ = Σ_s w_s b_s
    J      = ½ ln mean (E_s − E_s(θ))²/n_s² + ½ ln mean |F_a − F_a(θ)|²   on structures held out

with φ_T, m and H of `quests_jax.cover.solvers.soft`, and A, b, E and F of `ridge`. The rule `balanced` has
shares ¼, ¼, ½, a = 1 for environments and 0 for means. A change of u changes w by the conditions of the
maximum: with D = w (1 − w) and M the masses,

    dw = D^½ y,     Σ_s D_s^½ c_s y_s = 0,
    [D^½ M diag(−u φ_T'') Mᵀ D^½ + (T/B) c] y + D^½ c dμ = D^½ M (φ_T' du),

a symmetric system, so the derivative of J by u is one more solution of it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ridge import Equations, Rows

import quests_jax as qj
from quests_jax.cover.objectives.mass_functions import SATURATED
from quests_jax.cover.problem import CoverProblem
from quests_jax.cover.rules.balanced import MEAN, SHARES, balanced_problem, stacked
from quests_jax.cover.solvers.soft_newton import Inputs, bends_of, newton, root_of, slopes_of, solve_step

PENALTY = 1.0  # λ
COLD = 0.003  # T, close to the relaxed cover
MOST = 800  # environments of each kind that stand for all while weights are learned


class Weights(NamedTuple):
    """What is learned."""

    logits: jax.Array  # [3], ω
    rarity: jax.Array  # [2], a of environments and of means


class Cover(NamedTuple):
    """Stacked rows of a pool that are to be covered."""

    masses: jax.Array  # M [S, n]
    total: jax.Array  # p [n]
    kind: jax.Array  # [n]
    cost: jax.Array  # c [S], atoms
    limit: jax.Array  # B
    temperature: jax.Array  # T


class Lesson(NamedTuple):
    """A pool to choose from, and structures held out to judge the choice."""

    cover: Cover
    grams: jax.Array  # A_s [S, D, D]
    moments: jax.Array  # b_s [S, D]
    energies: tuple[jax.Array, jax.Array]  # rows [H, D] and targets [H], per atom
    forces: tuple[jax.Array, jax.Array]  # rows [m, D] and targets [m]


def of_balanced() -> Weights:
    """The weights of `balanced`."""
    return Weights(jnp.log(jnp.array([SHARES[k] for k in sorted(SHARES)])), jnp.array([1.0, 0.0]))


def row_weights(weights: Weights, total: jax.Array, kind: jax.Array) -> jax.Array:
    """u [n], which sum to 1."""
    power = jnp.where(kind == MEAN, weights.rarity[1], weights.rarity[0])
    each = jnp.exp(-power * jnp.log(total))
    sums = jax.ops.segment_sum(each, kind, len(SHARES))
    return jax.nn.softmax(weights.logits)[kind] * each / sums[kind]


@jax.custom_vjp
def soft_choice(u: jax.Array, cover: Cover) -> jax.Array:
    """w(u) [S]; a constant of `cover`."""
    return jax.nn.sigmoid(_point(u, cover)[1])


def _point(u: jax.Array, cover: Cover) -> tuple[Inputs, jax.Array]:
    none = jnp.zeros(())
    there = jnp.zeros_like(u)
    inputs = Inputs(none, none, none, u, there, cover.cost, cover.limit, cover.temperature)
    return inputs, newton(cover.masses, inputs, measure=SATURATED).eta


def _forward(u: jax.Array, cover: Cover) -> tuple[jax.Array, tuple[Cover, Inputs, jax.Array]]:
    inputs, eta = _point(u, cover)
    return jax.nn.sigmoid(eta), (cover, inputs, eta)


def _backward(kept: tuple[Cover, Inputs, jax.Array], pull: jax.Array) -> tuple[jax.Array, Cover]:
    cover, inputs, eta = kept
    mass, root = jax.nn.sigmoid(eta) @ cover.masses, root_of(eta)
    bend = inputs.u * bends_of(SATURATED, inputs, mass)
    tension = inputs.temperature / inputs.limit * inputs.cost
    y, _ = solve_step(cover.masses, bend, root, tension, inputs.cost, root * pull, jnp.zeros(()))
    slopes = slopes_of(SATURATED, inputs, mass)
    return slopes * ((root * y) @ cover.masses), jax.tree.map(_nothing, cover)


def _nothing(array: jax.Array) -> Any:
    """The derivative by what is constant."""
    if jnp.issubdtype(array.dtype, jnp.integer):
        return np.zeros(array.shape, jax.dtypes.float0)
    return jnp.zeros_like(array)


soft_choice.defvjp(_forward, _backward)


def loss(weights: Weights, lesson: Lesson) -> jax.Array:
    """J of one data set."""
    cover = lesson.cover
    return validation(soft_choice(row_weights(weights, cover.total, cover.kind), cover), lesson)


def validation(w: jax.Array, lesson: Lesson) -> jax.Array:
    """J of weighted structures."""
    gram = jnp.tensordot(w, lesson.grams, 1) + PENALTY * jnp.eye(lesson.moments.shape[1])
    theta = jax.scipy.linalg.solve(gram, w @ lesson.moments, assume_a="pos")
    wrong = [jnp.mean((rows @ theta - aims) ** 2) for rows, aims in (lesson.energies, lesson.forces)]
    return 0.5 * (jnp.log(wrong[0]) + jnp.log(wrong[1]))


def posed(envs: qj.Environments) -> tuple[CoverProblem, np.ndarray]:
    """The problem of `balanced` with the cost in atoms, and the kinds of its rows."""
    problem = balanced_problem(envs, cost=envs.counts)
    return problem, stacked(envs, qj.DEFAULT_BANDWIDTH).kind


def chosen(problem: CoverProblem, kind: np.ndarray, weights: Weights, size: float) -> np.ndarray:
    """The greedy choice within a share of the atoms."""
    total = problem.masses.total(jnp.ones(problem.n_structures))
    weighed = dataclasses.replace(problem, weights=row_weights(weights, total, jnp.asarray(kind)))
    limit = size * float(problem.cost.sum())
    return np.asarray(qj.greedy_cover(weighed, cost_budget=limit).selected)


def make_lesson(
    problem: CoverProblem, kind: np.ndarray, known: Equations, held_out: Rows, size: float
) -> Lesson:
    """A lesson at T = `COLD` with at most `MOST` rows of each kind, evenly spaced."""
    rows = np.concatenate([_spread(np.flatnonzero(kind == k)) for k in SHARES])
    total = problem.masses.total(jnp.ones(problem.n_structures))[rows]
    cover = Cover(
        problem.masses.columns(jnp.asarray(rows)),
        total,
        jnp.asarray(kind[rows]),
        problem.cost,
        size * problem.cost.sum(),
        jnp.asarray(COLD),
    )
    atoms = held_out.atoms[:, None]
    energies = jnp.asarray(held_out.energy / atoms), jnp.asarray(held_out.targets.energies / held_out.atoms)
    forces = jnp.asarray(held_out.force), jnp.asarray(held_out.targets.forces.reshape(-1))
    return Lesson(cover, jnp.asarray(known.grams), jnp.asarray(known.moments), energies, forces)


def _spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(MOST, len(rows))).astype(int)]


def at(lesson: Lesson, temperature: float) -> Lesson:
    """The lesson at another T."""
    return lesson._replace(cover=lesson.cover._replace(temperature=jnp.asarray(temperature)))


def learn(lessons: list[Lesson], *, steps: int, rate: float) -> tuple[Weights, list[float]]:
    """Weights that descend the mean of J by Adam, and the mean before every step and after the last."""
    slope = jax.jit(jax.value_and_grad(loss))
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))
    weights = of_balanced()
    moments, values = optimizer.init(weights), []
    for _ in range(steps):
        found = [slope(weights, lesson) for lesson in lessons]
        values.append(float(np.mean([value for value, _ in found])))
        mean = jax.tree.map(lambda *parts: sum(parts) / len(parts), *(part for _, part in found))
        updates, moments = optimizer.update(mean, moments)
        weights = optax.apply_updates(weights, updates)
    values.append(float(np.mean([slope(weights, lesson)[0] for lesson in lessons])))
    return weights, values
