"""Data sets and bandwidths side by side: one program, the steps of one member, and the same numbers."""

from __future__ import annotations

import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import kernel_oracle as oracle
import numpy as np
import pytest
from scipy.special import logsumexp

from quests_jax.base.step_sizes import ACCELERATOR, CPU, computing_as
from quests_jax.information import (
    cross_kernel_sums,
    delta_entropy,
    delta_entropy_of_others,
    entropy,
    kernel_product,
    structure_masses,
)

pytestmark = pytest.mark.slow

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "benchmarks"))
from steps import count  # noqa: E402  # pyright: ignore[reportMissingImports]

B, N, D, H = 4, 300, 3, 0.7
RNG = np.random.default_rng(0)
X = RNG.normal(size=(B, N, D)) * RNG.choice([1.0, 30.0], size=(B, N, 1))
Y = RNG.normal(size=(B, N, D))
BANDWIDTHS = np.linspace(0.5, 1.5, B)
GROUP = np.arange(N) // 30

ODD = 3
K = partial(oracle.kernel, h=H)
MANY = {
    "entropies and slopes": (jax.value_and_grad(partial(entropy, bandwidth=H)), (X,), (0,)),
    "slopes by queries, reference and bandwidth": (
        jax.grad(lambda y, x, h: delta_entropy(y, x, bandwidth=h).sum(), (0, 1, 2)),
        (Y, X[0], BANDWIDTHS),
        (0, None, 0),
    ),
    "products of one set": (lambda v: kernel_product(Y[0], X[0], v, bandwidth=H), (X[:ODD],), (0,)),
    "masses": (lambda y: structure_masses(y, X[0], GROUP, 10, bandwidth=H), (Y,), (0,)),
    "cross sums": (lambda y, h: cross_kernel_sums(y, X[0], bandwidth=h), (Y, BANDWIDTHS), (0, 0)),
    "others": (lambda x: delta_entropy_of_others(x, GROUP, bandwidth=H), (X,), (0,)),
}
# Tiles, of which two members are summed at a time: of an odd number one is left, by a second copy of the sum.
# And all pairs of all members at once.
TILES = CPU._replace(pairs=8, listed=64, dense=0, members_together=True)
WAYS = {"tiles": TILES, "an accelerator": ACCELERATOR}


OTHER = GROUP[:, None] != GROUP[None]
EQUATIONS = {  # of sums that no derivative is taken of, with what is shared
    "masses": lambda y: np.stack([K(y, X[0])[:, GROUP == s].sum(axis=1) for s in range(10)]),
    "cross sums": lambda y, h: (oracle.kernel(y, X[0], h).sum(axis=1), oracle.kernel(y, X[0], h).sum(axis=0)),
    "others": lambda x: -logsumexp(oracle.exponents(x, x, H), axis=1, b=OTHER),
}


@cache
def numbers_alone(name: str) -> Any:
    """One member after the other, all pairs at once."""
    f, arguments, axes = MANY[name]
    alone = EQUATIONS.get(name) or jax.jit(f)
    size = len(arguments[0])
    members = [[a if d is None else a[i] for a, d in zip(arguments, axes, strict=True)] for i in range(size)]
    return jax.tree.map(lambda *parts: np.stack(parts), *(alone(*member) for member in members))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MANY)
def test_members_have_the_numbers_that_they_have_alone(name: str, way: str) -> None:
    f, arguments, axes = MANY[name]
    with computing_as(WAYS[way]):
        found = jax.jit(jax.vmap(f, axes))(*arguments)
    expected = numbers_alone(name)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        finite = np.isfinite(np.asarray(b))
        assert np.array_equal(np.isfinite(np.asarray(a)), finite)
        scale = np.abs(np.asarray(b)[finite]).max()
        np.testing.assert_allclose(np.asarray(a)[finite], np.asarray(b)[finite], rtol=0, atol=1e-11 * scale)


def test_derivatives_of_mapped_sums_and_maps_of_maps() -> None:
    def total(y, x, h):
        return jax.vmap(lambda x: delta_entropy(y, x, bandwidth=h) @ y[:, 0])(x).sum()

    at = Y[0, :20], X[:2, :30], H

    def one_by_one(y, x, h):
        return sum(delta_entropy(y, each, bandwidth=h) @ y[:, 0] for each in x)

    def dense(y, x, h):
        q = ((y[None, :, None] - x[:, None]) ** 2).sum(axis=-1) / h**2
        return -(jnp.log(jnp.exp(-q / 2).sum(axis=2)) @ y[:, 0]).sum()

    found, alone, expected = (jax.jit(jax.grad(f, (0, 1, 2)))(*at) for f in (total, one_by_one, dense))
    np.testing.assert_allclose(found[2], alone[2], rtol=1e-11)
    for a, b in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * float(jnp.abs(b).max()))
    both = jax.vmap(lambda h: jax.vmap(lambda x: entropy(x, bandwidth=h))(X[:2, :30]))(BANDWIDTHS[:3])
    expected = [[entropy(x, bandwidth=h) for x in X[:2, :30]] for h in BANDWIDTHS[:3]]
    np.testing.assert_allclose(both, expected, rtol=1e-12)


STEPS = {  # members, rows, of which an accelerator forms the pairs of so many members at once
    "small": (64, 1000, 64),
    "tiles": (8, 5000, 2),
    "large": (4, 60_000, 1),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("slope", [False, True])
def test_members_take_the_steps_of_one_times_the_rounds_that_memory_asks_for(name: str, slope: bool) -> None:
    members, n, together = STEPS[name]
    f = jax.grad(entropy) if slope else entropy
    shape = jax.ShapeDtypeStruct((members, n, 63), jnp.float32)
    counted = partial(count, at=ACCELERATOR, platform="cuda")
    one, many = counted(f, shape.update(shape=(n, 63))), counted(jax.vmap(f), shape)
    # pairs that need care have a loop of their own, which one member may need and another not
    loops = 0 if one.steps == 0 else 1 + slope
    assert many.steps <= max(one.steps + loops, 1) * -(-members // together)
