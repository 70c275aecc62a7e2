"""Kernel sums against the dense float64 oracle, and the laws they obey."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import kernel_oracle as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quests_jax.base.checks import InputError
from quests_jax.information import (
    cross_kernel_sums,
    kernel_product,
    kernel_sum,
    log_kernel_sum,
    self_kernel_sum,
    structure_masses,
)
from quests_jax.information.sums import kernel_sums as engine

H = 0.015
EXPONENT = {np.float64: 2e-12, np.float32: 1e-5}  # relative error of a sum
DTYPES = (np.float64, np.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", oracle.DATA)
def test_self_sum_equals_dense_sum(name, dtype):
    x = oracle.DATA[name].astype(dtype)
    p = self_kernel_sum(x, bandwidth=H)
    assert p.dtype == dtype
    np.testing.assert_allclose(p, oracle.kernel(x, x, H).sum(axis=1), rtol=EXPONENT[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", oracle.DATA)
def test_log_sum_equals_dense_sum(name, dtype):
    x = oracle.DATA[name].astype(dtype)
    y = np.concatenate([x[:300], oracle.cloud(1000, 0.1, 5).astype(dtype)])[:1000]
    logs, expected = log_kernel_sum(y, x, bandwidth=H), oracle.log_sum(y, x, H)
    assert logs.dtype == dtype
    rounding = 32 * np.finfo(dtype).eps * np.abs(expected)  # of a difference of rotated, scaled rows
    assert np.all(np.abs(np.asarray(logs, float) - expected) <= EXPONENT[dtype] + rounding)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("few", [oracle.cloud(100, 0.02, 3), oracle.cloud(1, 0.1)], ids=["100", "1"])
@pytest.mark.parametrize("scale", [0.01, 10.0])
def test_log_sum_of_few_rows_with_many_equals_dense_sum(few, scale, dtype):
    many = oracle.cloud(2000, scale, 8).astype(dtype)
    few, h = few.astype(dtype), np.array([0.015, 1.0])
    w = np.random.default_rng(0).uniform(size=len(many))
    for y, x, weights in ((many, few, None), (few, many, w)):
        logs = log_kernel_sum(y, x, bandwidth=h, weights=weights)
        expected = np.stack([oracle.log_sum(y, x, each, weights) for each in h])
        rounding = 32 * np.finfo(dtype).eps * np.abs(expected)
        assert np.all(np.abs(np.asarray(logs, float) - expected) <= EXPONENT[dtype] + rounding)


@pytest.mark.parametrize("name", oracle.DATA)
def test_weighted_sums_equal_dense_sums(name):
    x, y = oracle.DATA[name], oracle.cloud(1000, 0.02, 6)
    w = np.random.default_rng(0).uniform(size=len(x))
    w[1::4] = 0
    np.testing.assert_allclose(
        self_kernel_sum(x, weights=w), oracle.kernel(x, x, H) @ w, rtol=2e-12, atol=1e-12
    )
    np.testing.assert_allclose(log_kernel_sum(y, x, weights=w), oracle.log_sum(y, x, H, w), rtol=2e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", oracle.DATA)
def test_cross_sums_equal_dense_sums(name, dtype):
    x = oracle.DATA[name].astype(dtype)
    y = np.concatenate([x[:300], oracle.cloud(1000, 0.02, 5).astype(dtype)])[:1000]
    of_y, of_x = cross_kernel_sums(y, x, bandwidth=H)
    kernel, rtol = oracle.kernel(y, x, H), EXPONENT[dtype]
    np.testing.assert_allclose(of_y, kernel.sum(axis=1), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(of_x, kernel.sum(axis=0), rtol=rtol, atol=rtol)


def test_several_bandwidths_share_one_pass_and_agree_with_one_at_a_time():
    x, y, hs = oracle.DATA["clusters"], oracle.cloud(1000, 0.3, 7), np.array([0.3, 0.005, 0.015])
    both = self_kernel_sum(x, bandwidth=hs), log_kernel_sum(y, x, bandwidth=hs)
    for row, h in enumerate(hs):
        np.testing.assert_allclose(both[0][row], self_kernel_sum(x, bandwidth=h), rtol=1e-12)
        np.testing.assert_allclose(both[1][row], log_kernel_sum(y, x, bandwidth=h), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["around the bandwidth", "tight and wide"])
def test_product_takes_values_of_any_sign(name):
    x = oracle.DATA[name]
    y = np.concatenate([oracle.cloud(700, 0.02, 8), x[400:700]])
    v = np.random.default_rng(1).normal(size=(len(x), 4))
    np.testing.assert_allclose(kernel_product(y, x, v), oracle.kernel(y, x, H) @ v, atol=1e-11)


@pytest.mark.parametrize("name", ["around the bandwidth", "tight and wide"])
@pytest.mark.parametrize(("n_structures", "room"), [(1, 9), (7, 9), (300, 302)])  # the last are empty
def test_masses_equal_dense_sums(name, n_structures, room):
    x = oracle.DATA[name]
    y = np.concatenate([oracle.cloud(700, 0.02, 9), x[400:700]])
    structure = np.sort(np.random.default_rng(2).integers(n_structures, size=len(x)))
    M = structure_masses(y, x, structure, room, bandwidth=H)
    member = structure[None] == np.arange(room)[:, None]
    np.testing.assert_allclose(M, member @ oracle.kernel(x, y, H), rtol=1e-12, atol=1e-13)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 120), st.integers(1, 120), st.floats(-3, 1), st.integers(0, 9))
def test_sums_over_a_union_add_up(n, m, log_scale, seed):
    x, z = oracle.cloud(n, 10**log_scale, seed), oracle.cloud(m, 10**log_scale, seed + 10)
    y = oracle.cloud(120, 10**log_scale, seed)
    whole = log_kernel_sum(y, np.concatenate([x, z]))
    parts = jnp.logaddexp(log_kernel_sum(y, x), log_kernel_sum(y, z))
    np.testing.assert_allclose(whole, parts, rtol=1e-12, atol=2e-12)


def test_skipping_far_tiles_changes_nothing():
    """Clusters as one set, where tiles are skipped, and cluster by cluster, where none can be."""
    centers = np.random.default_rng(3).normal(size=(5, oracle.DIMENSION))
    groups = [c[None] + oracle.cloud(200, 0.004, 20 + i) for i, c in enumerate(centers)]
    together = self_kernel_sum(np.concatenate(groups))
    alone = np.concatenate([self_kernel_sum(g) for g in groups])
    np.testing.assert_allclose(together, alone, rtol=1e-11)


def test_order_of_rows_does_not_matter():
    x = oracle.DATA["clusters"]
    order = np.random.default_rng(4).permutation(len(x))
    np.testing.assert_allclose(self_kernel_sum(x[order]), np.asarray(self_kernel_sum(x))[order], rtol=1e-12)


def test_far_queries_stay_finite_in_value_and_gradient():
    x, y = oracle.DATA["around the bandwidth"], np.full((3, oracle.DIMENSION), 5.0)
    logs, slope = jax.jit(jax.value_and_grad(lambda y: log_kernel_sum(y, x).sum()))(y)
    np.testing.assert_allclose(logs, oracle.log_sum(y, x, H).sum(), rtol=1e-12)
    assert np.all(np.isfinite(slope))
    assert np.all(kernel_sum(y, x) == 0)


def test_sizes_nearby_share_a_program():
    programs = getattr(engine._self_sum, "_cache_size")  # noqa: B009  (not in the type of a jitted function)
    self_kernel_sum(oracle.cloud(1000, 0.1))
    before = programs()
    self_kernel_sum(oracle.cloud(1000, 0.2))
    self_kernel_sum(oracle.cloud(960, 0.1))
    assert programs() == before


def test_numbers_of_structures_nearby_share_a_program():
    programs = getattr(engine._masses, "_cache_size")  # noqa: B009
    x, number = oracle.cloud(40, 0.02), np.arange(40) // 10
    first = structure_masses(x, x, number, 5)
    before = programs()
    more, fewer = (structure_masses(x, x, number, n_structures) for n_structures in (8, 6))
    assert programs() == before
    assert [len(M) for M in (first, more, fewer)] == [5, 8, 6]
    rounding = 0 if jax.default_backend() == "cpu" else 1e-15  # a GPU adds what arrives first
    np.testing.assert_allclose(more[:5], first, rtol=rounding)


def test_memory_does_not_grow_with_the_product_of_sizes():
    """Dense, 40,000 x 40,000 float64 would be 12.8 GB; temporaries stay below 40 copies of x."""
    x, h = jax.ShapeDtypeStruct((40_960, 63), np.float64), jax.ShapeDtypeStruct((), np.float64)
    one, count = jax.ShapeDtypeStruct((40_960,), np.float64), jax.ShapeDtypeStruct((), np.int32)
    value = lambda n, x, w, h: jnp.log(engine._self_sum(n, x, w, h)).sum()  # noqa: E731
    both = jax.jit(jax.value_and_grad(value, argnums=1))
    analysis = both.lower(count, x, one, h).compile().memory_analysis()
    assert analysis is not None
    assert analysis.temp_size_in_bytes < 40 * 40_960 * 63 * 8


@pytest.mark.parametrize(
    ("y", "x", "bandwidth", "match"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), 0.1, "y: expected 4 features"),
        (np.zeros(3), np.zeros((2, 3)), 0.1, "y: expected an array of shape"),
        (np.zeros((2, 3)), np.zeros((0, 3)), 0.1, "no environments"),
        (np.zeros((2, 3)), np.zeros((2, 3)), 0.0, "bandwidth must be a positive number"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.array([0.1, -1.0]), "bandwidth must be a positive number"),
    ],
)
def test_bad_input_is_refused(y, x, bandwidth, match):
    with pytest.raises(InputError, match=match):
        log_kernel_sum(y, x, bandwidth=bandwidth)


def test_smaller_sets_share_the_program_of_a_larger_one(monkeypatch):
    rows, some = oracle.cloud(900, 0.02, 3), {"bandwidth": 0.03}
    y, x, number = rows[:5], rows[:7], np.arange(7) // 3
    values, w = np.random.default_rng(0).normal(size=(7, 4)), np.arange(1.0, 8.0)
    sums = {
        "_self_sum": lambda: engine.self_kernel_sum(x, **some),
        "_log_sum": lambda: engine.log_kernel_sum(y, x, weights=w, **some),
        "_masses": lambda: engine.structure_masses(y, x, number, 9, **some),
        "_log_sum_of_others": lambda: engine.log_sum_of_others(x, number, rows=[0, 5], **some),
        "_product": lambda: engine.kernel_product(y, x, values, **some),
    }
    programs = getattr(engine._self_sum, "_cache_size")  # noqa: B009  (not in the type of a jitted function)
    whole = engine.self_kernel_sum(rows, **some)
    before = programs()
    sizes = {name: set() for name in sums}

    def noted(name, program):
        def call(*given):
            sizes[name] |= {len(side) for side in given if np.ndim(side) == 2}
            return program(*given)

        return call

    with engine.room_for(len(rows), len(rows)), monkeypatch.context() as patch:
        for name in sums:
            patch.setattr(engine, name, noted(name, getattr(engine, name)))
        roomy = {name: f() for name, f in sums.items()}
        some_rows = engine.self_kernel_sum(rows[:300], **some)
        np.testing.assert_array_equal(engine.self_kernel_sum(rows, **some), whole)
    assert sizes == dict.fromkeys(sums, {1024})
    assert programs() == before
    np.testing.assert_allclose(some_rows, engine.self_kernel_sum(rows[:300], **some), rtol=1e-12, atol=1e-12)
    for name, f in sums.items():
        np.testing.assert_allclose(roomy[name], f(), rtol=1e-12, atol=1e-12, err_msg=name)
