"""Newton's method for soft covers, on stored masses; see `soft` for the equations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from quests_jax.cover.objectives.mass_functions import Measure

MAX_STEPS = 400  # of Newton's method, at all temperatures together
HOT, COOLING = 0.3, 0.3  # temperature of the first steps, and the ratio of one to the next
NEAR = 1e-2  # a step this small ends the steps at one temperature
SUFFICIENT = 1e-4  # share of the predicted gain that a step must bring
HALVINGS = 60  # of a step, at most


class Inputs(NamedTuple):
    """What the weights can be differentiated by."""

    x: jax.Array  # [m, d], Å⁻¹, environments of the structures
    targets: jax.Array  # [n, d], Å⁻¹, environments to cover
    bandwidth: jax.Array  # [], Å⁻¹
    u: jax.Array  # [n], summing to 1
    reference: jax.Array  # [n], r
    cost: jax.Array  # [S], c
    limit: jax.Array  # [], B
    temperature: jax.Array  # [], T


class Point(NamedTuple):
    """State of the solver."""

    eta: jax.Array  # [S]
    mu: jax.Array  # []
    error: jax.Array  # []


class _State(NamedTuple):
    eta: jax.Array
    mu: jax.Array
    temperature: jax.Array
    error: jax.Array
    steps: jax.Array


@partial(jax.jit, static_argnames="measure")
def newton(masses: jax.Array, inputs: Inputs, *, measure: Measure) -> Point:
    """Damped Newton steps from the even choice, at falling temperatures.

    η and η + constant differ in the budget only: a step is along the curve on which a constant restores it.
    """
    small = jnp.finfo(masses.dtype).eps ** 0.75
    total = jnp.sum(inputs.cost)

    def at(T: jax.Array) -> Inputs:
        return inputs._replace(temperature=T)

    def objective(eta: jax.Array, T: jax.Array) -> jax.Array:
        w = jax.nn.sigmoid(eta)
        mass = inputs.reference + jnp.dot(w, masses, precision="highest")
        entropy = jax.nn.softplus(eta) - w * eta
        gained = jnp.sum(inputs.u * smoothed(measure, at(T))(mass))
        return gained + T / inputs.limit * jnp.sum(inputs.cost * entropy)

    def restored(eta: jax.Array) -> jax.Array:
        return eta + _shift(eta, inputs.cost, inputs.limit)

    def direction(eta: jax.Array, mu: jax.Array, T: jax.Array):
        w, root = jax.nn.sigmoid(eta), root_of(eta)
        mass = inputs.reference + jnp.dot(w, masses, precision="highest")
        tension = T / inputs.limit * inputs.cost
        pull = jnp.dot(masses, inputs.u * slopes_of(measure, at(T), mass), precision="highest")
        rest = pull - tension * eta - mu * inputs.cost
        bend = inputs.u * bends_of(measure, at(T), mass)
        short = inputs.limit - jnp.sum(inputs.cost * w)
        y, dmu = solve_step(masses, bend, root, tension, inputs.cost, root * rest, short)
        curve = jnp.dot(masses, bend * jnp.dot(root * y, masses, precision="highest"), precision="highest")
        return (rest - inputs.cost * dmu - curve) / tension, dmu, root * y, rest

    def step(state: _State) -> _State:
        T = state.temperature
        move, dmu, dw, rest = direction(state.eta, state.mu, T)
        now, predicted = objective(state.eta, T), jnp.sum(rest * dw)
        rounding = 8 * jnp.finfo(masses.dtype).eps * (1.0 + jnp.abs(now))

        def too_long(carry):
            length, count = carry
            after = objective(restored(state.eta + length * move), T)
            return (after < now + SUFFICIENT * length * predicted - rounding) & (count < HALVINGS)

        length, _ = jax.lax.while_loop(
            too_long, lambda c: (0.5 * c[0], c[1] + 1), (jnp.ones((), masses.dtype), jnp.int32(0))
        )
        eta = restored(state.eta + length * move)
        error = jnp.max(jnp.abs(dw))
        colder = jnp.maximum(COOLING * T, inputs.temperature)
        T = jnp.where(error < NEAR, colder, T)
        error = jnp.where(state.temperature > inputs.temperature, jnp.inf, error)
        return _State(eta, state.mu + dmu, T, error, state.steps + 1)

    def unfinished(state: _State) -> jax.Array:
        return (state.steps < MAX_STEPS) & ~(state.error < small)

    even = jnp.full(len(masses), jnp.log(inputs.limit / total) - jnp.log1p(-inputs.limit / total))
    hot = jnp.maximum(inputs.temperature, HOT)
    start = _State(even, jnp.zeros((), masses.dtype), hot, jnp.asarray(jnp.inf, masses.dtype), jnp.int32(0))
    last = jax.lax.while_loop(unfinished, step, start)
    _, dmu, dw, _ = direction(last.eta, last.mu, inputs.temperature)
    error = jnp.where(last.temperature > inputs.temperature, jnp.inf, jnp.max(jnp.abs(dw)))
    return Point(last.eta, last.mu + dmu, jnp.where(jnp.isnan(error), jnp.inf, error))


def _shift(eta: jax.Array, cost: jax.Array, limit: jax.Array) -> jax.Array:
    """The constant with Σ c_s w(η_s + constant) = B, by bisection and a last step of Newton."""
    bound = jnp.max(jnp.abs(eta)) + jnp.abs(jnp.log(limit / jnp.sum(cost))) + 50.0

    def excess(shift: jax.Array) -> jax.Array:
        return jnp.sum(cost * jax.nn.sigmoid(eta + shift)) - limit

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        over = excess(middle) > 0
        return jnp.where(over, low, middle), jnp.where(over, middle, high)

    low, high = jax.lax.fori_loop(0, 100, halve, (-bound, bound))
    return 0.5 * (low + high)


# --- φ_T, and one step -----------------------------------------------------------------------------------


def smoothed(measure: Measure, inputs: Inputs) -> Callable[[jax.Array], jax.Array]:
    """φ_T of an array of masses."""
    if measure.smooth is None:
        return measure.value
    smooth = measure.smooth
    return lambda m: smooth(m, inputs.temperature)


def slopes_of(measure: Measure, inputs: Inputs, mass: jax.Array) -> jax.Array:
    """φ_T'(m_i), [n]."""
    return jax.grad(lambda m: jnp.sum(smoothed(measure, inputs)(m)))(mass)


def bends_of(measure: Measure, inputs: Inputs, mass: jax.Array) -> jax.Array:
    """−φ_T''(m_i) ≥ 0, [n]."""
    slopes = partial(slopes_of, measure, inputs)
    return -jax.jvp(slopes, (mass,), (jnp.ones_like(mass),))[1]


def root_of(eta: jax.Array) -> jax.Array:
    """√(w(1 − w)) for w = 1/(1 + e^−η), never 0 by cancellation."""
    half = jnp.exp(-0.5 * jnp.abs(eta))
    return half / (1.0 + half**2)


def solve_step(
    masses: jax.Array,
    bend: jax.Array,
    root: jax.Array,
    tension: jax.Array,
    cost: jax.Array,
    first: jax.Array,
    second: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """y and dμ with [D^½ M bend Mᵀ D^½ + tension] y + D^½ c dμ = first and (D^½ c)·y = second."""
    scaled = root[:, None] * masses
    matrix = jnp.dot(scaled * bend[None], scaled.T, precision="highest") + jnp.diag(tension)
    factor = jax.scipy.linalg.cho_factor(matrix)
    border = root * cost
    solved = jax.scipy.linalg.cho_solve(factor, jnp.stack([first, border], axis=1))
    dmu = (jnp.sum(border * solved[:, 0]) - second) / jnp.sum(border * solved[:, 1])
    return solved[:, 0] - solved[:, 1] * dmu, dmu
