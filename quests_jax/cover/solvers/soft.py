"""A selection that can be differentiated: weights w(x, h, u) at a temperature T > 0.

    w = argmax_w  Σ_i u_i φ_T(m_i(w)) + (T/B) Σ_s H(w_s)      s.t.  Σ_s w_s = B
    φ_T(m) = 1 − T ln(1 + exp((1 − m)/T)),      H(w) = −w ln w − (1 − w) ln(1 − w)

with Σ u = 1. As T → 0, φ_T becomes the saturated coverage min(1, m) and the entropy, which keeps every w_s
inside (0, 1), loses its say: w becomes an optimum of the relaxed cover. For T > 0 the maximum is unique and
smooth in all data, so its derivatives follow from the conditions that define it, not from the iterations.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.checks import InputError, check_positive
from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.base.sizes import check_size
from quests_jax.information import DEFAULT_BANDWIDTH, kernel_product, structure_masses

MAX_STEPS = 200  # of Newton's method: several times what it has needed anywhere
INTERIOR = 0.95  # largest share of the way to the boundary that a step may go
SUFFICIENT = 1e-4  # share of the predicted gain that a step must bring
ROUNDING = 1e-15  # of the objective, which is of the order of 1
CONVERGED = 1e-22  # predicted gain: w is then right to about 1e-11


class Inputs(NamedTuple):
    """Inputs that the weights can be differentiated with respect to."""

    x: jax.Array  # [n, d], Å⁻¹
    bandwidth: jax.Array  # [], Å⁻¹
    u: jax.Array  # [n], summing to 1


@follows_dtype
def soft_weights(
    envs: Environments,
    *,
    size: float,
    temperature: float,
    bandwidth: ArrayLike = DEFAULT_BANDWIDTH,
    weights: ArrayLike | None = None,
) -> jax.Array:
    """Selection weights w in (0, 1)^S with Σ w = size, differentiable in `envs.x`, `bandwidth` and `weights`.

    The equations are those of this module. Derivatives are implicit: one linear system of S equations, and
    kernel sums that stream like all others. Reverse mode (`jax.grad`, `jax.vjp`).

    Args:
      envs: environments of S structures; x may be traced, the structure numbers may not.
      size: number or fraction of structures, B.
      temperature: T > 0; 0.1 is soft, 0.01 is close to the relaxed cover.
      bandwidth: h in Å⁻¹.
      weights: u of each environment, shape [n]; 1 where not given.

    Raises:
      InputError: a size out of range or of all structures, or a temperature that is not positive.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> w = qj.cover.soft_weights(envs, size=2, temperature=0.1, bandwidth=0.1)
    >>> round(float(w.sum()), 3)
    2.0
    """
    count, temperature = check_size(size, envs.n_structures), check_positive("temperature", temperature)
    if count == envs.n_structures:
        raise InputError(f"size {count} is the whole data set, which leaves nothing to weigh; lower it.")

    @jax.custom_vjp
    def solve(inputs: Inputs) -> jax.Array:
        return _newton(_masses(inputs, envs), inputs.u, count, temperature)

    def forward(inputs: Inputs) -> tuple[jax.Array, tuple[Inputs, jax.Array]]:
        w = solve(inputs)
        return w, (inputs, w)

    def backward(saved: tuple[Inputs, jax.Array], w_bar: jax.Array) -> tuple[Inputs]:
        inputs, w = saved
        masses = _masses(inputs, envs)
        along = _direction(_curvature(masses, inputs.u, w, count, temperature), w_bar)
        _, pull = jax.vjp(lambda inputs: _gain(inputs, envs, w, temperature), inputs)
        return pull(along)

    solve.defvjp(forward, backward)
    x = jnp.asarray(envs.x)
    u = jnp.ones(len(x)) if weights is None else jnp.asarray(weights, jnp.float64)
    inputs = Inputs(x.astype(jnp.float64), jnp.asarray(bandwidth, jnp.float64), u / jnp.sum(u))
    return solve(inputs).astype(x.dtype)


def _masses(inputs: Inputs, envs: Environments) -> jax.Array:
    """M, [S, n]: for values only."""
    rows, number = dataclasses.replace(envs, x=inputs.x), np.asarray(envs.structure_id)
    return structure_masses(rows, rows, number, envs.n_structures, bandwidth=inputs.bandwidth)


def _gain(inputs: Inputs, envs: Environments, w: jax.Array, temperature: float) -> jax.Array:
    """∂/∂w_s Σ_i u_i φ_T(m_i), [S], by sums that can be differentiated in all inputs."""
    rows, number = dataclasses.replace(envs, x=inputs.x), jnp.asarray(envs.structure_id)

    def over_pairs(v: jax.Array) -> jax.Array:
        return kernel_product(rows, rows, v[:, None], bandwidth=inputs.bandwidth)[:, 0]

    slope = jax.nn.sigmoid((1.0 - over_pairs(w[number])) / temperature)
    return jax.ops.segment_sum(over_pairs(inputs.u * slope), number, len(w))


# --- the maximum -----------------------------------------------------------------------------------------


def _objective(masses: jax.Array, u: jax.Array, w: jax.Array, count: int, temperature: float) -> jax.Array:
    saturated = 1.0 - temperature * jax.nn.softplus((1.0 - w @ masses) / temperature)
    entropy = -jax.scipy.special.xlogy(w, w) - jax.scipy.special.xlogy(1.0 - w, 1.0 - w)
    return jnp.sum(u * saturated) + temperature / count * jnp.sum(entropy)


def _slope(masses: jax.Array, u: jax.Array, w: jax.Array, count: int, temperature: float) -> jax.Array:
    slope = jax.nn.sigmoid((1.0 - w @ masses) / temperature)
    return masses @ (u * slope) - temperature / count * (jnp.log(w) - jnp.log1p(-w))


def _curvature(masses: jax.Array, u: jax.Array, w: jax.Array, count: int, temperature: float) -> jax.Array:
    """Minus the matrix of second derivatives by w, [S, S]: positive definite."""
    slope = jax.nn.sigmoid((1.0 - w @ masses) / temperature)
    bend = u * slope * (1.0 - slope) / temperature
    return (masses * bend[None]) @ masses.T + jnp.diag(temperature / count / (w * (1.0 - w)))


def _direction(curvature: jax.Array, slope: jax.Array) -> jax.Array:
    """Newton step for a slope, along Σ δw = 0: A⁻¹(slope − μ), with μ such that it sums to 0."""
    factor = jax.scipy.linalg.cho_factor(curvature)
    step = jax.scipy.linalg.cho_solve(factor, jnp.stack([slope, jnp.ones_like(slope)], axis=1))
    return step[:, 0] - step[:, 1] * jnp.sum(step[:, 0]) / jnp.sum(step[:, 1])


@partial(jax.jit, static_argnames=("count", "temperature"))
def _newton(masses: jax.Array, u: jax.Array, count: int, temperature: float) -> jax.Array:
    """Damped Newton steps from the even choice until the predicted gain is rounding noise."""
    problem = partial(_objective, masses, u, count=count, temperature=temperature)

    def step(state):
        w, number, _ = state
        slope = _slope(masses, u, w, count, temperature)
        d = _direction(_curvature(masses, u, w, count, temperature), slope)
        predicted = jnp.sum(slope * d)
        farthest = jnp.min(jnp.where(d > 0, (1.0 - w) / jnp.abs(d), w / jnp.maximum(jnp.abs(d), 1e-300)))

        def too_long(length):
            return problem(w=w + length * d) < problem(w=w) + SUFFICIENT * length * predicted - ROUNDING

        length = jax.lax.while_loop(too_long, lambda a: 0.5 * a, jnp.minimum(1.0, INTERIOR * farthest))
        return w + length * d, number + 1, predicted

    def unfinished(state):
        return (state[1] < MAX_STEPS) & (state[2] > CONVERGED)

    even = jnp.full(len(masses), count / len(masses))
    return jax.lax.while_loop(unfinished, step, (even, 0, jnp.array(jnp.inf)))[0]
