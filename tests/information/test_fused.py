"""The fused kernels, interpreted, against the plain path: padding, care, bandwidths, groups and elements."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import quests_jax as qj
from quests_jax.base.step_sizes import CPU, computing_as
from quests_jax.information import delta_entropy, entropy
from quests_jax.information.sums import dense, fused_kernels, log_sums, tile_by_tile

pytestmark = pytest.mark.slow

ERRORS = {np.float64: 1e-12, np.float32: 1e-5}
N, D, H = 700, 5, 0.7
RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(N, D)), RNG.uniform(size=N)
GROUP = RNG.integers(3, size=N).astype(np.int32)
TILES = CPU._replace(dense=0)
FUSED = TILES._replace(fused="interpreted")
COUNTS, ZERO, BANDWIDTHS = np.array([N, N]), np.zeros(N), np.array([0.5 * H, H])

FAR = X * np.where(RNG.random((N, 1)) < 0.5, 1, 30)  # tiles that need care

SUMS = {
    "self_sum": ((np.int32(N), X, W, BANDWIDTHS), {"power": 1}),
    "product": ((COUNTS, X, X, X[:, :2], ZERO, ZERO, H), {"power": 0}),
    "log_sum": ((COUNTS, X, X[::-1], -np.log(W), BANDWIDTHS), {}),
}


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("dtype", ERRORS)
@pytest.mark.parametrize("name", SUMS)
def test_sums_by_the_fused_kernel(name: str, dtype: type, far: bool) -> None:
    arguments, how = SUMS[name]
    if far:
        arguments = [FAR if a is X else a for a in arguments]
    given = [jnp.asarray(a, dtype) if np.asarray(a).dtype.kind == "f" else jnp.asarray(a) for a in arguments]
    home = log_sums if name == "log_sum" else tile_by_tile
    found = np.asarray(jax.jit(partial(getattr(home, name), at=FUSED, **how))(*given))
    expected = np.asarray(jax.jit(partial(getattr(dense, name), at=CPU, **how))(*given))
    assert np.abs(found - expected).max() <= ERRORS[dtype] * np.abs(expected).max()


@pytest.mark.parametrize("dtype", ERRORS)
def test_rows_of_one_group_do_not_meet(dtype: type) -> None:
    x, h = jnp.asarray(X, dtype), jnp.asarray(BANDWIDTHS, dtype)
    groups = jnp.asarray(GROUP), jnp.asarray(GROUP)
    found = jax.jit(partial(log_sums.log_sum, at=FUSED))(COUNTS, x, x, jnp.asarray(ZERO, dtype), h, groups)
    apart = np.where(GROUP[:, None] == GROUP, -np.inf, -((X[:, None] - X) ** 2).sum(axis=-1) / 2)
    expected = [jax.nn.logsumexp(apart / h**2, axis=1) for h in BANDWIDTHS]
    np.testing.assert_allclose(found, expected, rtol=ERRORS[dtype], atol=2 * ERRORS[dtype])


def test_measures_of_elements_and_their_gradients() -> None:
    """Each element is a sum of its own; rows far from the others of their tile are among them."""
    x = X * np.where(RNG.random((N, 1)) < 0.8, 1, 30)
    envs = qj.make_environments(x, np.arange(N) // 7, elements=RNG.choice([6, 14], N))

    def measures() -> list[np.ndarray]:
        def of(rows: jax.Array) -> jax.Array:
            y = qj.Environments(rows, envs.structure_id, envs.n_structures, envs.elements)
            return entropy(y, bandwidth=H) + delta_entropy(y, envs, bandwidth=H).mean()

        return [np.asarray(part) for part in jax.value_and_grad(of)(jnp.asarray(x))]

    with computing_as(FUSED):
        found = measures()
    with computing_as(TILES):
        expected = measures()
    for a, b in zip(found, expected, strict=True):
        assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max()


def test_data_sets_side_by_side_have_the_numbers_that_they_have_alone() -> None:
    sets = jnp.asarray(np.stack([X, FAR]))

    def measures(x: jax.Array) -> jax.Array:
        return entropy(x, bandwidth=H) + delta_entropy(x[:9], x, bandwidth=H)

    with computing_as(FUSED._replace(members_together=True)):
        together = np.asarray(jax.vmap(measures)(sets))
        alone = np.stack([np.asarray(measures(x)) for x in sets])
    np.testing.assert_allclose(together, alone, rtol=1e-13)


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")
@pytest.mark.parametrize("careful", [False, True])
def test_they_are_lowered_for_gpus(careful: bool) -> None:
    tile = jax.ShapeDtypeStruct((4, 256, 63), jnp.float32)
    row, number = tile.update(shape=(4, 256)), jax.ShapeDtypeStruct((4, 256), jnp.int32)
    ratios, own = tile.update(shape=(2,)), jax.ShapeDtypeStruct((4,), bool)
    care = tile.update(shape=(4, 1, 63)), tile.update(shape=(1,))
    rows = fused_kernels.TilePairs(tile, tile, care if careful else None)
    calls = {
        partial(fused_kernels.weighted_kernels, power=1): (rows, tile, (row, row)),
        partial(fused_kernels.kernels_both_ways, power=1): (rows, (row, row), ratios, own),
        fused_kernels.log_kernels: (rows, row, ratios, (number, number)),
    }
    described = nullcontext()
    if hasattr(jax.sharding, "AbstractDevice"):  # since 0.11 JAX asks for the GPU that a kernel is for
        device = jax.sharding.AbstractDevice("NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu")
        described = jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), abstract_device=device))
    with described:
        for kernel, arguments in calls.items():
            lowered = jax.jit(kernel).trace(*arguments).lower(lowering_platforms=("cuda",))
            assert "triton" in lowered.as_text()
