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


def everywhere(f, arguments):
    return jax.grad(f, tuple(range(len(arguments))))


def along(arguments):
    return tuple(0.3 + 0.1 * jnp.cos(jnp.arange(float(a.size))).reshape(a.shape) for a in arguments)


@cache
def program(name, which):
    """(value, slopes) of our sum (0) or of the dense formula (1), and their derivatives along a direction."""
    f, arguments = CASES[name][which], CASES[name][2]
    both = jax.value_and_grad(f, tuple(range(len(arguments))))
    return jax.jit(lambda *a: jax.jvp(both, a, along(arguments)))


@cache
def found_and_expected(name):
    return [program(name, which)(*CASES[name][2]) for which in (0, 1)]


entropy_slope = jax.jit(jax.grad(lambda x: entropy(x)))


def assert_close(ours, theirs, rtol=1e-10):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * float(np.max(np.abs(b))) + 1e-300)


@pytest.mark.parametrize("name", CASES)
def test_gradient(name):
    (found, _), (expected, _) = found_and_expected(name)
    assert_close(found, expected)


@pytest.mark.parametrize("name", ["entropy", "delta_entropy"])
def test_a_compiled_gradient_is_that_of_single_steps(name):
    f, _, arguments = CASES[name]
    ((_, slopes), _), _ = found_and_expected(name)
    assert_close(slopes, everywhere(f, arguments)(*arguments))


@pytest.mark.parametrize("name", CASES)
def test_forward_derivative(name):
    (_, (found, _)), (_, (expected, _)) = found_and_expected(name)
    assert_close(found, expected)


@pytest.mark.parametrize("name", CASES)
def test_second_derivative_forward_over_reverse(name):
    (_, (_, found)), (_, (_, expected)) = found_and_expected(name)
    assert_close(found, expected, 1e-9)


@pytest.mark.parametrize("name", SUMS)
def test_second_derivative_reverse_over_reverse(name):
    *both, arguments = CASES[name]
    direction = along(arguments)

    def product(f, *arguments):
        slope = everywhere(f, arguments)
        inner = lambda *a: sum(jnp.vdot(t, g) for t, g in zip(direction, slope(*a), strict=True))  # noqa: E731
        return everywhere(inner, arguments)(*arguments)

    ours, theirs = (jax.jit(partial(product, each)) for each in both)
    assert_close(ours(*arguments), theirs(*arguments), 1e-9)


@pytest.mark.parametrize("name", ["entropy", "delta_entropy"])
def test_gradient_against_finite_differences(name):
    arguments = CASES[name][2]
    direction, step = along(arguments), 1e-7
    ahead, behind = (
        program(name, 0)(*(a + s * t for a, t in zip(arguments, direction, strict=True)))[0][0]
        for s in (step, -step)
    )
    ((_, slopes), _), _ = found_and_expected(name)
    expected = sum(jnp.vdot(t, g) for t, g in zip(direction, slopes, strict=True))
    np.testing.assert_allclose((ahead - behind) / (2 * step), expected, rtol=1e-6)


def test_gradient_where_some_pairs_of_tiles_need_care():
    x = jnp.asarray(oracle.DATA["tight and wide"])
    dense = jax.jit(jax.grad(lambda x: -jnp.mean(jnp.log(K(x, x, BANDWIDTH).mean(axis=1)))))
    assert_close(jax.jit(jax.grad(lambda x: entropy(x, bandwidth=BANDWIDTH)))(x), dense(x))


def test_gradient_in_float32_is_that_of_float64():
    wide, narrow = entropy_slope(X), entropy_slope(X.astype(jnp.float32))
    assert narrow.dtype == jnp.float32
    assert_close(narrow.astype(jnp.float64), wide, 2e-4)


def test_gradient_is_finite_where_points_coincide():
    x = jnp.zeros_like(X)
    assert np.all(np.isfinite(entropy_slope(x)))
    assert np.all(jax.grad(lambda y: delta_entropy(y, x).sum())(x) == 0)


def test_vmap_over_data_and_over_bandwidths():
    batch = np.stack([X, 1.1 * np.asarray(X)])
    assert_close(jax.jit(jax.vmap(entropy_slope))(batch), np.stack([entropy_slope(x) for x in batch]))
    hs = np.array([0.01, 0.02, 0.03])
    slopes = jax.jit(jax.grad(lambda hs: entropy(X, bandwidth=hs).sum()))(hs)
    dense = jax.jit(jax.grad(lambda h: CASES["entropy"][1](X, h)))
    assert_close(slopes, np.stack([dense(h) for h in hs]))
    mapped = jax.jit(jax.vmap(lambda h: entropy(X, bandwidth=h)))(hs)
    assert_close(mapped, entropy(np.asarray(X), bandwidth=hs))
