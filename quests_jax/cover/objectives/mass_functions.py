"""Concave measures of the mass at an environment, and the inequality that makes their bounds proofs.

    F(w) = Σ_i u_i φ(m_i(w)) / Σ_i u_i,        φ(m) = min_θ [θ m + ψ(θ)]

For every θ, φ(m) ≤ θ m + ψ(θ); an upper bound of F is a sum of such lines. Nothing that is computed notices
a ψ for which that is not so, so `check_measure` tries the inequality at many m and θ.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.checks import InputError
from quests_jax.base.precision import follows_dtype

MASSES = np.concatenate([[0.0], np.geomspace(1e-6, 1e4, 61), np.linspace(0.9, 1.1, 21)])  # tried by the check
STEPS = (1e-3, 0.1, 1.0, 10.0)  # σ of the steps that are tried
TOLERANCE = 1e-9  # relative error of the inequality that is rounding


class Measure(NamedTuple):
    """A concave φ, not falling in m, with φ(m) = min_θ [θ m + ψ(θ)].

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> root = Measure(  # √(m + 0.01) = min_θ [θ (m + 0.01) + 1/4θ]
    ...     value=lambda m: jnp.sqrt(m + 0.01),
    ...     offset=lambda theta: 0.25 / theta + 0.01 * theta,
    ...     step=lambda theta, sigma, m: 0.5 / jnp.sqrt(jnp.maximum(m, 0.0) + 0.01),
    ... )
    >>> check_measure(root)
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> chosen = qj.greedy_cover(problem, size=1, measure=root)
    >>> qj.certify(problem, chosen, measure=root).certified_ratio <= 1
    True
    """

    value: Callable  # m -> φ(m)
    offset: Callable  # θ -> ψ(θ)
    step: Callable  # (θ, σ, m) -> argmin_t σ [t m + ψ(t)] + (t − θ)²/2
    capped: bool = False  # whether masses may be capped at 1 − r without changing any 0/1 choice
    smooth: Callable | None = None  # (m, T) -> φ_T(m) → φ(m) as T → 0, smooth; φ itself where not given


SATURATED = Measure(
    value=lambda m: jnp.minimum(m, 1.0),
    offset=lambda theta: 1.0 - theta,
    step=lambda theta, sigma, m: jnp.clip(theta - sigma * (m - 1.0), 0.0, 1.0),
    capped=True,
    smooth=lambda m, T: 1.0 - T * jax.nn.softplus((1.0 - m) / T),
)
LOG_MASS = Measure(
    value=lambda m: jnp.log(jnp.maximum(m, jnp.finfo(m.dtype).tiny)),
    offset=lambda theta: -1.0 - jnp.log(theta),
    step=lambda theta, sigma, m: _positive_root(theta - sigma * m, sigma),
)


@cache
def check_measure(measure: Measure) -> None:
    """Try φ(m) ≤ θ m + ψ(θ) for θ = φ'(m) and for the θ of `step`, and that φ is concave and does not fall.

    Raises:
      InputError: the first m and θ for which it is not so.
    """
    if measure in (SATURATED, LOG_MASS):  # tests try them
        return
    try_measure(measure)


@follows_dtype
def try_measure(measure: Measure) -> None:
    """`check_measure` of any measure, each time."""
    with jax.ensure_compile_time_eval():  # also where what calls it is traced
        _check(measure)


def _check(measure: Measure) -> None:
    m = jnp.asarray(MASSES)
    value = measure.value(m)
    slope = jax.vmap(jax.grad(measure.value))(m)
    if not np.all(np.isfinite(np.asarray(slope))):
        raise InputError(
            f"measure: the slope of φ is not finite at m = {MASSES[~np.isfinite(np.asarray(slope))][0]:g}; "
            "add a small number to m."
        )
    if np.any(np.diff(np.asarray(value)[np.argsort(MASSES)]) < -TOLERANCE) or np.any(np.asarray(slope) < 0):
        raise InputError("measure: φ falls with the mass somewhere; a cover needs one that does not.")
    tangents = np.asarray(value[:, None] + slope[:, None] * (m[None] - m[:, None]))[MASSES > 0]
    if np.any(np.asarray(value)[None] - tangents > TOLERANCE * (1.0 + np.abs(tangents))):
        raise InputError("measure: φ is above one of its tangents; a cover needs a concave one.")
    stepped = [measure.step(slope, jnp.asarray(sigma), m[::-1]) for sigma in STEPS]
    for theta in [slope, *stepped]:
        _check_lines(value, theta, m, measure)


def _check_lines(value: jax.Array, theta: jax.Array, m: jax.Array, measure: Measure) -> None:
    lines = np.asarray(theta[:, None] * m[None] + measure.offset(theta)[:, None])
    excess = np.asarray(value)[None] - lines
    allowed = TOLERANCE * (
        1.0 + np.abs(np.asarray(value))[None] + np.abs(np.asarray(theta[:, None] * m[None]))
    )
    wrong = np.argwhere(~(excess <= allowed))
    if len(wrong):
        t, k = wrong[0]
        raise InputError(
            f"measure: φ({float(m[k]):.4g}) = {float(value[k]):.4g} is above θ m + ψ(θ) = {lines[t, k]:.4g} "
            f"at θ = {float(theta[t]):.4g}; with this offset ψ (or step) no bound would hold."
        )


def _positive_root(z: jax.Array, sigma: jax.Array) -> jax.Array:
    """t > 0 with t − σ/t = z."""
    root = jnp.sqrt(z**2 + 4.0 * sigma)
    return jnp.where(z > 0, 0.5 * (z + root), 2.0 * sigma / (root - jnp.minimum(z, 0.0)))
