"""Which public function can be differentiated in which argument: tried, and compared with finite differences.

python papers/derivatives.py    # prints the table of the page on jit, grad and vmap
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase.build import bulk

from quests_jax.atoms import find_neighbors, smooth_descriptors
from quests_jax.atoms.descriptors import descriptors
from quests_jax.base.environments import Environments
from quests_jax.cover import cover_problem, coverage, mass, soft_weights
from quests_jax.generate import Known, delta_entropies
from quests_jax.information import (
    cross_kernel_sums,
    delta_entropy,
    delta_entropy_of_others,
    diversity,
    efficiency,
    entropy,
    kernel_product,
    kernel_sum,
    log_kernel_sum,
    log_sum_of_others,
    overlap,
    self_kernel_sum,
    structure_masses,
)

STEP = 1e-6  # of the differences, relative to an argument
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 2)), RNG.normal(size=(4, 2))
H = np.asarray(0.8)
W = np.array([1.0, 0.3, 2.0, 0.5, 0.2, 1.0])
NUMBER = np.array([0, 0, 1, 1, 2, 2])
ATOMS = bulk("Si", cubic=True)
ATOMS.rattle(0.05, seed=0)
NEAR = find_neighbors(ATOMS, k=4, cutoff=4.0)
PROBLEM = cover_problem(Environments(X, NUMBER, 3), bandwidth=0.8)


class Case(NamedTuple):
    """A function of arguments by name."""

    function: Callable[..., Any]
    arguments: dict[str, np.ndarray]


def _descriptors(positions: jax.Array, cell: jax.Array) -> jax.Array:
    return descriptors(positions, cell, NEAR)


def _smooth(positions: jax.Array, cell: jax.Array) -> jax.Array:
    return smooth_descriptors(positions, cell, NEAR, k=3)


def _delta_entropies(positions: jax.Array, cell: jax.Array, known: jax.Array) -> jax.Array:
    return delta_entropies(positions, cell, NEAR, Known(known, bandwidth=0.1, k=4, cutoff=4.0))


def _soft(x: jax.Array, **others: jax.Array) -> jax.Array:
    return soft_weights(Environments(x, NUMBER, 3), **({"size": 2.0, "temperature": 0.2} | others))


PLACE = {"positions": ATOMS.positions, "cell": ATOMS.cell.array}
BOTH, ONE = {"y": Y, "x": X, "bandwidth": H}, {"x": X, "bandwidth": H}
CASES = {
    "entropy": Case(entropy, ONE),
    "diversity": Case(diversity, ONE),
    "efficiency": Case(efficiency, ONE),
    "delta_entropy": Case(delta_entropy, BOTH),
    "log_kernel_sum": Case(log_kernel_sum, BOTH | {"weights": W}),
    "kernel_sum": Case(kernel_sum, BOTH | {"weights": W}),
    "self_kernel_sum": Case(self_kernel_sum, ONE | {"weights": W}),
    "kernel_product": Case(kernel_product, BOTH | {"v": W[:, None]}),
    "structure_masses": Case(
        lambda y, x, bandwidth: structure_masses(y, x, NUMBER, 3, bandwidth=bandwidth), BOTH
    ),
    "overlap": Case(overlap, BOTH),
    "delta_entropy_of_others": Case(
        lambda x, bandwidth: delta_entropy_of_others(x, NUMBER, bandwidth=bandwidth), ONE
    ),
    "log_sum_of_others": Case(lambda x, bandwidth: log_sum_of_others(x, NUMBER, bandwidth=bandwidth), ONE),
    "cross_kernel_sums": Case(lambda y, x, bandwidth: cross_kernel_sums(y, x, bandwidth=bandwidth)[0], BOTH),
    "soft_weights": Case(
        _soft,
        ONE
        | {"targets": Y, "reference": Y[:2] + 3, "weights": W[2:6] + 0.5, "cost": np.array([1.0, 2.0, 1.5])}
        | {"size": np.asarray(2.0), "temperature": np.asarray(0.2)},
    ),
    "mass": Case(lambda w: mass(PROBLEM, w), {"w": np.array([1.0, 0.3, 0.0])}),
    "coverage": Case(lambda w: coverage(PROBLEM, w), {"w": np.array([0.5, 0.3, 0.1])}),
    "descriptors": Case(_descriptors, PLACE),
    "smooth_descriptors": Case(_smooth, PLACE),
    "delta_entropies": Case(_delta_entropies, PLACE | {"known": np.asarray(_descriptors(**PLACE)) + 0.05}),
}


def derivatives(case: Case) -> dict[str, str]:
    """`yes`, `0` or `no` by argument; an AssertionError where a derivative is not that of differences."""

    def value(arguments: dict[str, jax.Array]) -> jax.Array:
        found = jnp.asarray(case.function(**arguments))
        return jnp.vdot(found, _uneven(found.shape))

    at = {name: jnp.asarray(argument) for name, argument in case.arguments.items()}
    try:
        slopes = jax.grad(value)(at)
    except (NotImplementedError, TypeError, ValueError):  # JAX or quests_jax refuses
        return dict.fromkeys(at, "no")
    for name, argument in at.items():
        step = STEP * _uneven(argument.shape)
        ends = [jnp.asarray(np.asarray(argument) + sign * step) for sign in (1, -1)]
        ahead, back = (float(value(at | {name: end})) for end in ends)
        found = 2 * np.vdot(slopes[name], step)
        np.testing.assert_allclose(found, ahead - back, rtol=1e-5, atol=1e-13)
    return {name: "yes" if np.any(slope) else "0" for name, slope in slopes.items()}


def _uneven(shape: tuple[int, ...]) -> np.ndarray:
    """Weights of which no two are alike."""
    return np.cos(np.arange(math.prod(shape), dtype=float)).reshape(shape)


def table() -> str:
    """A row for each function: the arguments that it can be differentiated in, and the others."""
    lines = ["| function | differentiable in | derivative 0 | refused |", "|--|--|--|--|"]
    for name, case in CASES.items():
        kinds = derivatives(case)
        named = {
            kind: ", ".join(f"`{a}`" for a, k in kinds.items() if k == kind) for kind in ("yes", "0", "no")
        }
        lines.append(f"| `{name}` | {' | '.join(named.values())} |")
    return "\n".join(lines)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    print(table())
