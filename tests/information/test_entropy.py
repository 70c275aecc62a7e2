"""Entropy, diversity, delta entropy and overlap: oracle values, bounds and invariances."""

from __future__ import annotations

import jax.numpy as jnp
import kernel_oracle as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quests_jax.base.checks import InputError
from quests_jax.information import delta_entropy, diversity, efficiency, entropy, overlap, overlap_matrix

H = 0.015


@pytest.mark.parametrize("name", oracle.DATA)
def test_values_equal_the_oracle(name):
    x = oracle.DATA[name]
    np.testing.assert_allclose(entropy(x, bandwidth=H), oracle.entropy(x, H), atol=1e-12)
    np.testing.assert_allclose(diversity(x, bandwidth=H), oracle.diversity(x, H), atol=1e-12)


@pytest.mark.parametrize("name", oracle.DATA)
def test_float32_agrees_with_float64(name):
    """Points are the same in both: rounded to float32 first."""
    x = oracle.DATA[name].astype(np.float32)
    assert abs(float(entropy(x)) - float(entropy(x.astype(np.float64)))) < 1e-5
    assert abs(float(diversity(x)) - float(diversity(x.astype(np.float64)))) < 1e-5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", oracle.DATA)
def test_everything_covers_itself(name, dtype):
    """A point of the reference has δH ≤ 0, also after rounding."""
    x = oracle.DATA[name].astype(dtype)
    assert float(overlap(x, x)) == 1.0
    assert float(delta_entropy(x, x).max()) < 1e-5


def test_float32_covers_itself_with_liquid_like_descriptors():
    """63 features, |x| around 1, nobody near anybody: where the plain product fails by 4e-3 nats."""
    x = np.abs(np.random.default_rng(0).normal(0.08, 0.06, size=(1000, 63))).astype(np.float32)
    assert float(overlap(x, x)) == 1.0
    np.testing.assert_allclose(float(entropy(x)), np.log(1000), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([1, 2, 50, 128, 900, 1024]), st.floats(-4, 1), st.integers(0, 5))
def test_bounds(n, log_scale, seed):
    x = oracle.cloud(n, 10**log_scale, seed)
    for value in (float(entropy(x)), float(diversity(x))):
        assert -1e-12 <= value <= np.log(n) + 1e-12
    assert 0 <= float(efficiency(x)) <= 100 + 1e-9


def test_extremes():
    same, apart = np.ones((50, 4)), np.arange(50.0)[:, None] * np.ones((1, 4))
    assert float(entropy(same)) == pytest.approx(0, abs=1e-12)
    assert float(entropy(apart)) == pytest.approx(np.log(50), abs=1e-12)
    assert float(diversity(same)) == pytest.approx(0, abs=1e-12)
    assert float(diversity(apart)) == pytest.approx(np.log(50), abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([1, 2, 15]), st.integers(2, 4), st.integers(0, 5))
def test_copies_of_the_whole_set_change_neither_entropy_nor_diversity(n, copies, seed):
    x = oracle.cloud(n, 0.01, seed)
    tiled = np.tile(x, (copies, 1))
    np.testing.assert_allclose(entropy(tiled), entropy(x), atol=1e-11)
    np.testing.assert_allclose(diversity(tiled), diversity(x), atol=1e-11)


def test_entropy_is_mean_delta_entropy_plus_log_n():
    x = oracle.DATA["around the bandwidth"]
    expected = np.log(len(x)) + float(delta_entropy(x, x).mean())
    np.testing.assert_allclose(float(entropy(x)), expected, atol=1e-12)


def test_more_reference_never_raises_delta_entropy():
    x, y = oracle.DATA["around the bandwidth"], oracle.cloud(1000, 0.03, 4)
    assert np.all(delta_entropy(y, x) <= delta_entropy(y, x[:900]) + 1e-12)


def test_overlap_counts_queries_below_the_tolerance():
    x = oracle.DATA["around the bandwidth"]
    y = np.concatenate([x[:30], x[:10] + 3.0])
    assert float(overlap(y, x)) == 0.75
    assert float(overlap(y, x, tolerance=1e9)) == 1.0
    np.testing.assert_array_equal(overlap(y, x, bandwidth=jnp.array([0.01, 0.02])), [0.75, 0.75])


def test_the_overlap_matrix_holds_the_overlap_of_every_pair():
    parts = [oracle.cloud(n, 0.02, n) for n in (40, 60, 25)]
    options = {"bandwidth": 0.02, "tolerance": 1.3}  # at which some are covered and some are not
    found = overlap_matrix(parts, **options)
    expected = [[overlap(y, x, **options) for y in parts] for x in parts]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    assert 0 < found[0, 1] < 1
    assert found[0, 1] != found[1, 0]
    np.testing.assert_array_equal(overlap_matrix(np.stack([parts[2], parts[2]]), **options), np.ones((2, 2)))
    np.testing.assert_array_equal(overlap_matrix(parts[:1]), [[1.0]])
    with pytest.raises(InputError, match="one part at least"):
        overlap_matrix([])
    with pytest.raises(InputError, match="part 1: expected"):
        overlap_matrix([parts[0], parts[1][:, :3]])
