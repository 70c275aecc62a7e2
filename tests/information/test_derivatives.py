"""First and second derivatives of every sum, forward and reverse, against autodiff of the dense formula."""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import kernel_oracle as oracle
import numpy as np
import pytest

from quests_jax.information import (
    delta_entropy,
    diversity,
    entropy,
    kernel_product,
    log_kernel_sum,
    self_kernel_sum,
)

X = jnp.asarray(oracle.cloud(40, 0.02))
Y = jnp.asarray(oracle.cloud(25, 0.02, 1))
W = jnp.asarray(np.random.default_rng(0).uniform(0.1, 2, 40))
BANDWIDTH = jnp.asarray(0.015, jnp.float64)
MIX = jnp.sin(jnp.arange(25.0))


def K(y, x, h):
    return jnp.exp(-jnp.sum((y[:, None] - x[None]) ** 2, axis=-1) / (2 * h**2))


def values(w):
    return jnp.stack([w, jnp.cos(w)], axis=1)


CASES = {
    "entropy": (
        lambda x, h: entropy(x, bandwidth=h),
        lambda x, h: -jnp.mean(jnp.log(jnp.mean(K(x, x, h), axis=1))),
        (X, BANDWIDTH),
    ),
    "diversity": (
        lambda x, h: diversity(x, bandwidth=h),
        lambda x, h: jnp.log(jnp.sum(1 / jnp.sum(K(x, x, h), axis=1))),
        (X, BANDWIDTH),
    ),
    "delta_entropy": (
        lambda y, x, h: delta_entropy(y, x, bandwidth=h) @ MIX,
        lambda y, x, h: -jnp.log(jnp.sum(K(y, x, h), axis=1)) @ MIX,
        (Y, X, BANDWIDTH),
    ),
    "weighted log sum": (
        lambda y, x, w, h: log_kernel_sum(y, x, weights=w, bandwidth=h) @ MIX,
        lambda y, x, w, h: jnp.log(K(y, x, h) @ w) @ MIX,
        (Y, X, W, BANDWIDTH),
    ),
    "weighted self sum": (
        lambda x, w, h: jnp.sum(self_kernel_sum(x, weights=w, bandwidth=h) ** 1.5),
        lambda x, w, h: jnp.sum((K(x, x, h) @ w) ** 1.5),
        (X, W, BANDWIDTH),
    ),
    "product": (
        lambda y, x, w, h: jnp.sum(kernel_product(y, x, values(w), bandwidth=h) ** 2),
        lambda y, x, w, h: jnp.sum((K(y, x, h) @ values(w)) ** 2),
        (Y, X, W, BANDWIDTH),
    ),
}


SUMS = ("weighted log sum", "weighted self sum", "product")  # what the measures are made of
FORWARD, REVERSE = "forward over reverse", "reverse over reverse"
SECOND = [*((name, FORWARD) for name in CASES), *((name, REVERSE) for name in SUMS)]


@cache
def value_and_slopes(name):
    """One program instead of one for each step."""
    f, _, arguments = CASES[name]
    return jax.jit(jax.value_and_grad(f, tuple(range(len(arguments)))))


def everywhere(f, arguments):
    return jax.grad(f, tuple(range(len(arguments))))


def along(arguments):
    return tuple(0.3 + 0.1 * jnp.cos(jnp.arange(float(a.size))).reshape(a.shape) for a in arguments)


def assert_close(ours, theirs, rtol=1e-10):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * float(jnp.max(jnp.abs(b))) + 1e-300)


@pytest.mark.parametrize("name", CASES)
def test_gradient(name):
    _, dense, arguments = CASES[name]
    expected = jax.jit(jax.value_and_grad(dense, tuple(range(len(arguments)))))(*arguments)
    assert_close(value_and_slopes(name)(*arguments), expected)


@pytest.mark.parametrize("name", ["entropy", "delta_entropy"])
def test_a_compiled_gradient_is_that_of_single_steps(name):
    f, _, arguments = CASES[name]
    assert_close(value_and_slopes(name)(*arguments)[1], everywhere(f, arguments)(*arguments))


@pytest.mark.parametrize("name", CASES)
def test_forward_derivative(name):
    f, dense, arguments = CASES[name]
    direction = along(arguments)
    ours, theirs = (jax.jit(lambda *a, g=g: jax.jvp(g, a, direction)[1]) for g in (f, dense))
    assert_close(ours(*arguments), theirs(*arguments))


@pytest.mark.parametrize(("name", "mode"), SECOND)
def test_second_derivative(name, mode):
    f, dense, arguments = CASES[name]
    direction = along(arguments)

    def product(f, *arguments):
        slope = everywhere(f, arguments)
        if mode == FORWARD:
            return jax.jvp(slope, arguments, direction)[1]
        inner = lambda *a: sum(jnp.vdot(t, g) for t, g in zip(direction, slope(*a), strict=True))  # noqa: E731
        return everywhere(inner, arguments)(*arguments)

    ours, theirs = (jax.jit(partial(product, each)) for each in (f, dense))
    assert_close(ours(*arguments), theirs(*arguments), 1e-9)


@pytest.mark.parametrize("name", ["entropy", "delta_entropy"])
def test_gradient_against_finite_differences(name):
    f, arguments = value_and_slopes(name), CASES[name][2]
    direction, step = along(arguments), 1e-7
    ahead, _ = f(*(a + step * t for a, t in zip(arguments, direction, strict=True)))
    behind, _ = f(*(a - step * t for a, t in zip(arguments, direction, strict=True)))
    _, slope = f(*arguments)
    expected = sum(jnp.vdot(t, g) for t, g in zip(direction, slope, strict=True))
    np.testing.assert_allclose((ahead - behind) / (2 * step), expected, rtol=1e-6)


def test_gradient_where_some_pairs_of_tiles_need_care():
    x = jnp.asarray(oracle.DATA["tight and wide"])
    dense = jax.jit(jax.grad(lambda x: -jnp.mean(jnp.log(K(x, x, BANDWIDTH).mean(axis=1)))))
    assert_close(jax.grad(lambda x: entropy(x, bandwidth=BANDWIDTH))(x), dense(x))


def test_gradient_in_float32_is_that_of_float64():
    wide = jax.grad(lambda x: entropy(x))(X)
    narrow = jax.grad(lambda x: entropy(x))(X.astype(jnp.float32))
    assert narrow.dtype == jnp.float32
    assert_close(narrow.astype(jnp.float64), wide, 2e-4)


def test_gradient_is_finite_where_points_coincide():
    x = jnp.zeros_like(X)
    assert np.all(np.isfinite(jax.grad(lambda x: entropy(x))(x)))
    assert np.all(jax.grad(lambda y: delta_entropy(y, x).sum())(x) == 0)


def test_vmap_over_data_and_over_bandwidths():
    batch = jnp.stack([X, 1.1 * X])
    one_by_one = jnp.stack([jax.grad(lambda x: entropy(x))(x) for x in batch])
    assert_close(jax.vmap(jax.grad(lambda x: entropy(x)))(batch), one_by_one)
    hs = jnp.array([0.01, 0.02, 0.03])
    slopes = jax.grad(lambda hs: entropy(X, bandwidth=hs).sum())(hs)
    dense = jax.jit(jax.grad(lambda h: CASES["entropy"][1](X, h)))
    expected = [dense(h) for h in hs]
    assert_close(slopes, jnp.stack(expected))
    assert_close(jax.vmap(lambda h: entropy(X, bandwidth=h))(hs), entropy(X, bandwidth=hs))
