"""The fused kernel, interpreted, against the plain path."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quests_jax.base.step_sizes import CPU
from quests_jax.information.sums import dense, streaming
from quests_jax.information.sums.exponents import plain_exponents
from quests_jax.information.sums.fused import weighted_kernels

ERRORS = {np.float64: 1e-12, np.float32: 1e-5}
N, D, H = 700, 5, 0.7
RNG = np.random.default_rng(0)
X, W, G = RNG.normal(size=(N, D)), RNG.uniform(size=N), RNG.normal(size=N)


@pytest.mark.parametrize("dtype", ERRORS)
@pytest.mark.parametrize("channels", [1, 3])
def test_weighted_kernels_with_shifts_groups_and_bandwidths(channels: int, dtype: type) -> None:
    a, b = (RNG.normal(size=(2, 128, D)).astype(dtype) for _ in range(2))
    v = RNG.normal(size=(2, 128, channels)).astype(dtype)
    shifts = RNG.uniform(size=(2, 128)).astype(dtype), RNG.uniform(size=(2, 128)).astype(dtype)
    shifts[1][:, 100:] = np.inf  # padding
    groups = RNG.integers(3, size=(2, 128)), RNG.integers(3, size=(2, 128))
    ratios = jnp.asarray([1.0, 0.3], dtype)
    found = weighted_kernels(
        jnp.asarray(a), jnp.asarray(b), jnp.asarray(v), (jnp.asarray(shifts[0]), jnp.asarray(shifts[1])),
        ratios=ratios, groups=(jnp.asarray(groups[0]), jnp.asarray(groups[1])), power=1, how="interpreted",
    )  # fmt: skip
    s = np.asarray(plain_exponents(jnp.asarray(a), jnp.asarray(b)), float)
    apart = groups[0][:, :, None] != groups[1][:, None]
    for ratio, sums in zip([1.0, 0.3], found, strict=True):
        kernel = -2 * s * ratio * np.exp(s * ratio - shifts[0][:, :, None] - shifts[1][:, None]) * apart
        expected = np.einsum("pts,psc->ptc", kernel, v)
        assert np.abs(np.asarray(sums) - expected).max() <= ERRORS[dtype] * np.abs(expected).max()


SUMS = {
    "self_sum": ((np.int32(N), X, W, np.array([0.5 * H, H])), 1),
    "self_force": ((np.int32(N), X, W, G, H), 1),
    "product": ((np.array([N, N]), X, X, X[:, :2], np.zeros(N), np.zeros(N), H), 0),
}


@pytest.mark.parametrize("dtype", ERRORS)
@pytest.mark.parametrize("name", SUMS)
def test_sums_and_their_derivatives_by_the_fused_kernel(name: str, dtype: type) -> None:
    arguments, power = SUMS[name]
    given = [jnp.asarray(a, dtype) if np.asarray(a).dtype.kind == "f" else jnp.asarray(a) for a in arguments]
    fused = jax.jit(partial(getattr(streaming, name), power=power, at=CPU._replace(fused="interpreted")))
    plain = jax.jit(partial(getattr(dense, name), power=power, at=CPU))
    expected = np.asarray(plain(*given))
    assert np.abs(np.asarray(fused(*given)) - expected).max() <= ERRORS[dtype] * np.abs(expected).max()


def test_it_is_lowered_for_gpus() -> None:
    shape = jax.ShapeDtypeStruct((4, 256, 63), jnp.float32)
    value = jax.ShapeDtypeStruct((4, 256, 1), jnp.float32)
    lowered = jax.jit(weighted_kernels).trace(shape, shape, value).lower(lowering_platforms=("cuda",))
    assert "triton" in lowered.as_text()
