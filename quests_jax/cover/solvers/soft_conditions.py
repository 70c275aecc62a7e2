"""The conditions of a soft cover by kernel sums that can be differentiated, and derivatives through them.

See `soft` for the equations. Values come from stored masses; derivatives never hold more than sums.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.environments import Environments
from quests_jax.cover.objectives.mass_functions import Measure
from quests_jax.cover.solvers.soft_newton import (
    Inputs,
    Point,
    bends_of,
    newton,
    root_of,
    slopes_of,
    solve_step,
)
from quests_jax.information import Rows, kernel_product, structure_masses


class Frame(NamedTuple):
    """What the weights depend on and what cannot be differentiated."""

    envs: Environments  # of the structures; x is that of `Inputs`
    targets: Environments | None  # those to cover; None for the same
    measure: Measure


def solved(inputs: Inputs, frame: Frame) -> Point:
    """The maximum; its derivatives are those of the conditions."""

    @jax.custom_jvp
    def solve(inputs: Inputs) -> Point:
        return newton(_masses(inputs, frame), inputs, measure=frame.measure)

    @solve.defjvp
    def _(primals: tuple[Inputs], tangents: tuple[Inputs]) -> tuple[Point, Point]:
        (inputs,), (changes,) = primals, tangents
        point = solve(inputs)
        fixed = partial(_conditions, frame=frame, eta=point.eta, mu=point.mu)
        _, change = jax.jvp(fixed, (inputs,), (changes,))
        along = _linear_solve(inputs, frame, point, change)
        return point, Point(*along, jnp.zeros_like(point.error))

    return solve(inputs)


def _linear_solve(
    inputs: Inputs, frame: Frame, point: Point, change: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Changes of η and μ that undo a change of the conditions.

    In y = D^½ dη with D = w(1 − w), the system is symmetric, and well conditioned where w is nearly 0 or 1.
    """
    root = root_of(point.eta)
    tension = inputs.temperature / inputs.limit * inputs.cost
    bend = inputs.u * bends_of(frame.measure, inputs, mass_by_sums(inputs, frame, jax.nn.sigmoid(point.eta)))

    def curve(dw: jax.Array) -> jax.Array:
        through = mass_by_sums(inputs._replace(reference=jnp.zeros_like(bend)), frame, dw)
        return _pull_by_sums(inputs, frame, bend * through)

    def apply(z: jax.Array) -> jax.Array:
        y, dmu = z[:-1], z[-1]
        first = root * curve(root * y) + tension * y + root * inputs.cost * dmu
        return jnp.append(first, jnp.sum(root * inputs.cost * y))

    stored = (_masses(jax.lax.stop_gradient(inputs), frame), bend, root, tension, inputs.cost)
    numbers = jax.lax.stop_gradient(stored)

    def direct(_, b: jax.Array) -> jax.Array:
        y, dmu = solve_step(*numbers, b[:-1], b[-1])
        return jnp.append(y, dmu)

    # one vector, because the transposed solve wants all of its right side linear
    b = jnp.append(root * change[0], change[1])
    z = jax.lax.custom_linear_solve(apply, b, solve=direct, symmetric=True)
    y, dmu = z[:-1], z[-1]
    return (change[0] - inputs.cost * dmu - curve(root * y)) / tension, dmu


def _masses(inputs: Inputs, frame: Frame) -> jax.Array:
    """M, [S, n]: for values only."""
    wanted, own, _ = _sides(inputs, frame)
    number, n_structures = np.asarray(frame.envs.structure_id), frame.envs.n_structures
    return structure_masses(wanted, own, number, n_structures, bandwidth=inputs.bandwidth)


def _sides(inputs: Inputs, frame: Frame) -> tuple[Rows, Rows, jax.Array]:
    """Targets, environments of the structures, and the structure number of each of these."""
    own = dataclasses.replace(frame.envs, x=inputs.x)
    wanted = own if frame.targets is None else dataclasses.replace(frame.targets, x=inputs.targets)
    if frame.envs.elements is None:
        own, wanted = own.x, wanted.x
    return wanted, own, jnp.asarray(frame.envs.structure_id)


def mass_by_sums(inputs: Inputs, frame: Frame, w: jax.Array) -> jax.Array:
    """m_i(w), [n]."""
    wanted, own, number = _sides(inputs, frame)
    mass = kernel_product(wanted, own, w[number][:, None], bandwidth=inputs.bandwidth)[:, 0]
    return inputs.reference + mass


def _pull_by_sums(inputs: Inputs, frame: Frame, v: jax.Array) -> jax.Array:
    """Σ_i M_si v_i, [S]."""
    wanted, own, number = _sides(inputs, frame)
    each = kernel_product(own, wanted, v[:, None], bandwidth=inputs.bandwidth)[:, 0]
    return jax.ops.segment_sum(each, number, frame.envs.n_structures)


def _conditions(inputs: Inputs, frame: Frame, eta: jax.Array, mu: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Left sides of the two conditions, [S] and []; both are 0 at the maximum."""
    w = jax.nn.sigmoid(eta)
    slopes = slopes_of(frame.measure, inputs, mass_by_sums(inputs, frame, w))
    pull = _pull_by_sums(inputs, frame, inputs.u * slopes)
    pressure = inputs.temperature / inputs.limit * inputs.cost * eta + mu * inputs.cost
    return pull - pressure, inputs.limit - jnp.sum(inputs.cost * w)
