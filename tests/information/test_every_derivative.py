"""Every differentiable argument of every measure, against differences of the equations in longdouble."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_extents import EXTENTS, ROUNDING, H, data

from quests_jax.information import (
    delta_entropy,
    diversity,
    efficiency,
    entropy,
    kernel_product,
    kernel_sum,
    log_kernel_sum,
    self_kernel_sum,
)
from quests_jax.information import structure_masses as masses_of

NUMBER = np.arange(40) % 3


def K(y, x, h) -> np.ndarray:
    return np.exp(-(((y[:, None] - x[None]) / h) ** 2).sum(axis=-1) / 2)


def own_entropy(x, h):
    return -np.log(K(x, x, h).mean(axis=1)).mean()


EQUATIONS = {
    "entropy": (lambda x, h: entropy(x, bandwidth=h), own_entropy),
    "efficiency": (
        lambda x, h: efficiency(x, bandwidth=h) / 100,
        lambda x, h: own_entropy(x, h) / np.log(len(x)),
    ),
    "diversity": (
        lambda x, h: diversity(x, bandwidth=h),
        lambda x, h: np.log((1 / K(x, x, h).sum(axis=1)).sum()),
    ),
    "delta_entropy": (
        lambda y, x, h: delta_entropy(y, x, bandwidth=h),
        lambda y, x, h: -np.log(K(y, x, h).sum(axis=1)),
    ),
    "log_kernel_sum": (
        lambda y, x, w, h: log_kernel_sum(y, x, weights=w, bandwidth=h),
        lambda y, x, w, h: np.log(K(y, x, h) @ w),
    ),
    "kernel_sum": (
        lambda y, x, w, h: kernel_sum(y, x, weights=w, bandwidth=h),
        lambda y, x, w, h: K(y, x, h) @ w,
    ),
    "self_kernel_sum": (
        lambda x, w, h: self_kernel_sum(x, weights=w, bandwidth=h),
        lambda x, w, h: K(x, x, h) @ w,
    ),
    "kernel_product": (
        lambda y, x, v, h: kernel_product(y, x, v, bandwidth=h),
        lambda y, x, v, h: K(y, x, h) @ v,
    ),
    "structure_masses": (
        lambda y, x, h: masses_of(y, x, NUMBER, 3, bandwidth=h),
        lambda y, x, h: np.stack([K(y, x, h)[:, NUMBER == s].sum(axis=1) for s in range(3)]),
    ),
}


def differences(equation, at: dict[str, np.ndarray], name: str, direction: np.ndarray, mix: np.ndarray):
    """Derivative along a direction, by central differences: exact to 1e-11 in longdouble."""
    step = np.longdouble(1e-6)
    ahead, back = (
        equation(**(at | {name: at[name] + sign * step * direction.astype(np.longdouble)}))
        for sign in (1, -1)
    )
    return float(np.sum(mix * (ahead - back)) / (2 * step))


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("name", EQUATIONS)
def test_every_derivative_is_that_of_finite_differences(name, dtype):
    ours, equation = EQUATIONS[name]
    names = ours.__code__.co_varnames[: ours.__code__.co_argcount]
    rng, slopes_of = np.random.default_rng(1), None
    for extent in EXTENTS:
        y, x = data(extent, dtype)
        w = np.ones(40, dtype)
        w[3:20:4] = 0  # each beside a row that has a weight
        v = rng.normal(size=(40, 2)).astype(dtype)
        given = {"y": y, "x": x, "w": w, "v": v, "h": np.asarray(H, dtype)}
        given = {each: given[each] for each in names}
        exact = {each: value.astype(np.longdouble) for each, value in given.items()}
        mix = np.cos(np.arange(np.size(equation(**exact)))).reshape(np.shape(equation(**exact)))
        total = lambda *a: jnp.sum(jnp.asarray(mix, dtype) * ours(*a))  # noqa: B023, E731
        slopes_of = slopes_of or jax.jit(jax.grad(total, tuple(range(len(names)))))
        slopes = slopes_of(*given.values())
        for each, slope in zip(names, slopes, strict=True):
            direction = rng.normal(size=given[each].shape) * (H if each in "yxh" else 1)
            expected = differences(equation, exact, each, direction, mix)
            found = np.sum(np.asarray(slope, float) * direction)
            cancelled = float(np.finfo(dtype).eps) * extent if each in "yx" else 0  # what is promised by rows
            assert found == pytest.approx(expected, rel=0, abs=200 * ROUNDING[dtype] + 40 * cancelled), (
                each,
                extent,
            )


def test_masses_have_both_modes():
    y, x = (jnp.asarray(side) for side in data(10.0, np.float64))
    number, mix = np.arange(40) % 3, jnp.sin(jnp.arange(75.0)).reshape(3, 25)

    def dense(y, x, h):
        K = jnp.exp(-jnp.sum((y[:, None] - x[None]) ** 2, axis=-1) / (2 * h**2))
        return jax.ops.segment_sum(K.T, number, 3)

    arguments = y, x, jnp.asarray(H)
    ours = lambda y, x, h: masses_of(y, x, number, 3, bandwidth=h)  # noqa: E731
    weighed = lambda f: lambda *arguments: jnp.sum(mix * f(*arguments) ** 2)  # noqa: E731
    slopes = (jax.jit(jax.grad(weighed(f), (0, 1, 2)))(*arguments) for f in (ours, dense))
    for a, b in zip(*slopes, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10 * float(jnp.max(jnp.abs(b))))
    ones = tuple(jnp.ones_like(a) for a in arguments)
    ahead = [jax.jit(lambda *a, f=f: jax.jvp(f, a, ones)[1])(*arguments) for f in (ours, dense)]
    np.testing.assert_allclose(*ahead, atol=1e-10 * float(jnp.max(jnp.abs(ahead[1]))))
