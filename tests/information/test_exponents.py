"""Exponents as products, against differences."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quests_jax.base.step_sizes import ACCELERATOR, CPU
from quests_jax.information.sums import exponents as ex

pytestmark = pytest.mark.optimised

ALLOWED = {np.float32: 2e-5, np.float64: 2e-12}
WAYS = {
    "differences": jax.jit(lambda y, x, center, radius, h: ex.difference_exponents(y, x, h, 16)),
    "careful": jax.jit(partial(ex.careful_exponents, at=CPU)),
    "careful on accelerators": jax.jit(partial(ex.careful_exponents, at=ACCELERATOR)),
    "exponents": jax.jit(partial(ex.exponents, at=CPU)),
}


def rows(radius: float, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Rows near the radius, and others up to 5 h from them, as near ones and the nearest of a novel one."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(1, 40, 21))
    a *= radius / np.linalg.norm(a, axis=-1, keepdims=True) * rng.uniform(0.5, 1, (1, 40, 1))
    b = a + rng.normal(size=a.shape) * rng.uniform(0, 1, (1, 40, 1))
    return a.astype(dtype), b.astype(dtype)


def worst(found: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.longdouble), b.astype(np.longdouble)
    expected = -((a[:, :, None] - b[:, None]) ** 2).sum(axis=-1) / 2
    return float(np.abs(np.asarray(found) - expected)[expected > -15].max())


@pytest.mark.parametrize("dtype", ALLOWED)
@pytest.mark.parametrize("radius", [3.0, 30.0, 470.0, 1e7])
@pytest.mark.parametrize("way", WAYS)
def test_exponents_equal_differences(way, radius, dtype):
    a, b = rows(radius, dtype)
    found = WAYS[way](
        a, b, np.zeros((1, 1, a.shape[2]), dtype), np.asarray(radius, dtype), np.ones((), dtype)
    )
    assert found.dtype == dtype
    assert worst(found, a, b) < ALLOWED[dtype]


@pytest.mark.parametrize("dtype", ALLOWED)
def test_plain_products_are_exact_enough_up_to_the_radius_that_counts_as_wide(dtype):
    widest = np.sqrt(ex.exponent_error(dtype) / np.finfo(dtype).eps)
    assert not ex.is_wide(jnp.asarray(0.99 * widest, dtype))
    assert ex.is_wide(jnp.asarray(1.01 * widest, dtype))
    narrow, wide = rows(widest, dtype), rows(20 * widest, dtype)
    plain = jax.jit(ex.plain_exponents)
    assert worst(plain(*narrow), *narrow) < ALLOWED[dtype]
    assert worst(plain(*wide), *wide) > ALLOWED[dtype]
