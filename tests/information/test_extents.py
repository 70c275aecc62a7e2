"""Derivatives where they are delicate: zeros among the weights, and data that extend over many bandwidths."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import kernel_oracle as oracle
import numpy as np
import pytest

from quests_jax.information import kernel_sum, log_kernel_sum, self_kernel_sum

pytestmark = pytest.mark.optimised

H = 0.015
ROUNDING = {np.float64: 2e-12, np.float32: 2e-5}
EXTENTS = (10.0, 470.0, 6700.0, 1e4)


def data(extent: float, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Rows that extend over `extent` bandwidths, queries a bandwidth or less from one of them."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.5, 0.5, (40, 3)) * extent * H
    x[20:] = x[:20] + rng.normal(size=(20, 3)) * 0.5 * H
    return (x[:25] + rng.normal(size=(25, 3)) * 0.5 * H).astype(dtype), x.astype(dtype)


def slopes(y, x, w, h, total=log_kernel_sum):
    """Derivatives of the sum of all ln Σ_j w_j K(y_i, x_j) by all four: one program for every test."""
    return jax.grad(lambda y, x, w, h: total(y, x, bandwidth=h, weights=w).sum(), (0, 1, 2, 3))(y, x, w, h)


def own_slopes(total, x, w, h):
    """Derivatives by the weights and the bandwidth of a total of Σ_j w_j K(x_i, x_j)."""
    return jax.grad(lambda w, h: total(self_kernel_sum(x, bandwidth=h, weights=w)), (0, 1))(w, h)


def shares(y, x, h, w) -> tuple[np.ndarray, np.ndarray]:
    """exp(s_ij − L_i) and q_ij in longdouble."""
    y, x, h = (np.asarray(a, np.longdouble) for a in (y, x, h))
    q = (((y[:, None] - x[None]) / h) ** 2).sum(axis=-1)
    return np.exp(-q / 2) / (np.exp(-q / 2) @ np.asarray(w, np.longdouble))[:, None], q


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("extent", EXTENTS)
def test_derivatives_by_weights_and_bandwidth_do_not_cancel(extent, dtype):
    y, x = data(extent, dtype)
    h, w = np.asarray(H, dtype), np.ones(40, dtype)
    w[3:20:4] = 0  # each beside a row that has a weight
    share, q = shares(y, x, h, w)
    _, _, by_w, by_h = slopes(y, x, w, h)
    np.testing.assert_allclose(by_w, share.sum(axis=0).astype(dtype), rtol=100 * ROUNDING[dtype])
    assert np.all(np.asarray(by_w)[3:20:4] != 0)
    mean_q = (share * w * q).sum(axis=1)
    np.testing.assert_allclose(by_h * h, float(mean_q.sum()), rtol=20 * ROUNDING[dtype])
    second = jax.grad(jax.grad(lambda h: log_kernel_sum(y, x, bandwidth=h, weights=w).sum()))(h)
    curve = (share * w * q**2).sum(axis=1) - 3 * mean_q - mean_q**2
    np.testing.assert_allclose(second * h**2, float(curve.sum()), rtol=200 * ROUNDING[dtype])


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("extent", EXTENTS)
def test_entropy_by_the_bandwidth_does_not_cancel(extent, dtype):
    _, x = data(extent, dtype)
    h = np.asarray(H, dtype)
    share, q = shares(x, x, h, np.ones(40))
    _, slope = own_slopes(lambda p: -jnp.mean(jnp.log(p / 40)), x, np.ones(40, dtype), h)
    np.testing.assert_allclose(slope * h, -float((share * q).sum(axis=1).mean()), rtol=20 * ROUNDING[dtype])


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("extent", EXTENTS)
def test_derivatives_by_rows_err_as_promised(extent, dtype):
    """By rounding times the extent in bandwidths, in units of 1/h."""
    y, x = data(extent, dtype)
    share, _ = shares(y, x, H, np.ones(40))
    force = (share[:, :, None] * (y[:, None].astype(np.longdouble) - x[None])).sum(axis=1) / H**2
    slope = -slopes(y, x, np.ones(40, dtype), np.asarray(H, dtype))[0]  # of delta entropies
    allowed = 4 * (ROUNDING[dtype] + np.finfo(dtype).eps * extent) / H
    np.testing.assert_allclose(slope, force.astype(dtype), rtol=0, atol=allowed)


@pytest.mark.parametrize("dtype", ROUNDING)
def test_weights_that_are_zero_have_derivatives_in_every_sum(dtype):
    y, x = data(10.0, dtype)
    w = np.zeros(40, dtype)
    w[:5] = 1
    K, h = oracle.kernel(y, x, H), np.asarray(H, dtype)
    _, _, by_w, _ = slopes(y, x, w, h, kernel_sum)
    np.testing.assert_allclose(by_w, K.sum(axis=0), rtol=1e-3 if dtype == np.float32 else 1e-9)
    by_w, _ = own_slopes(jnp.sum, x, w, h)
    np.testing.assert_allclose(by_w, oracle.kernel(x, x, H).sum(axis=0), rtol=1e-4)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("distance", [50.0, 1e3, 1e5])
def test_a_row_without_weight_that_is_much_nearer_has_no_force(distance, dtype):
    """Its exp(s_ij − L_i) overflows, and 0 · ∞ was not a number."""
    x = np.zeros((40, 3), dtype)
    x[1, 0], x[2:, 0] = distance * H, 0.5 * H
    w = (np.arange(40) == 1).astype(dtype)
    by_y, by_x, by_w, _ = slopes(np.zeros((25, 3), dtype), x, w, np.asarray(H, dtype))
    by_x, by_w = np.asarray(by_x) / 25, np.asarray(by_w) / 25
    factor = 4 * float(np.finfo(dtype).eps) * distance**2  # in the logarithm, by which shares by x may err
    if factor < 1 or jax.default_backend() == "cpu":  # which forms an exponent alike in every program
        np.testing.assert_allclose(by_y * H, [[distance, 0, 0]] * 25, rtol=1e-4)
    if factor < 1:
        np.testing.assert_allclose(by_x[1] * H, [-distance, 0, 0], rtol=1e-4 + np.expm1(factor))
    np.testing.assert_array_equal(np.delete(by_x, 1, 0), 0)
    half = np.longdouble(distance) ** 2 / 2
    with np.errstate(over="ignore"):
        exact = np.exp(half - np.array([0, half] + [1 / 8] * 38))
    finite = 25 * exact < np.finfo(dtype).max
    if factor < 1:
        np.testing.assert_allclose(by_w[finite], exact[finite].astype(dtype), rtol=1e-3 + np.expm1(factor))
    assert np.all(by_w[~finite] == np.inf)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("distance", EXTENTS)
def test_the_slope_far_away_points_to_the_nearest_row(distance, dtype):
    """However many roundings the exponents of value and slope differ by: shares add up to 1."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(40, 3)) * 0.5 * H).astype(dtype)
    direction = rng.normal(size=(25, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    y = (distance * H * direction).astype(dtype)
    slope = -slopes(y, x, np.ones(40, dtype), np.asarray(H, dtype))[0]  # of delta entropies
    np.testing.assert_allclose(slope * H / distance, direction, atol=5 / distance)
