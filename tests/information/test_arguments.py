"""No value of the data means anything but itself, and what cannot be right is refused by name."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import kernel_oracle as oracle
import numpy as np
import pytest

from quests_jax.base.checks import InputError
from quests_jax.information import (
    cross_kernel_sums,
    delta_entropy,
    delta_entropy_of_others,
    entropy,
    kernel_product,
    log_kernel_sum,
    overlap,
    self_kernel_sum,
    structure_masses,
)

H = 0.3
FAR = np.zeros((3, oracle.DIMENSION))
FAR[:, :2] = [2000.0, 0.0], [0.0, 2000.0], [-1e8, 1e8]


def test_rows_far_from_the_others_are_rows():
    """A row 500 or more above the mean in its first feature was once taken for padding."""
    np.testing.assert_allclose(delta_entropy([[2000, 0]], [[0, 0], [2000, 0]], bandwidth=1), 0, atol=1e-12)
    x = np.random.default_rng(0).normal(size=(600, oracle.DIMENSION)) * 1000
    np.testing.assert_allclose(entropy(x, bandwidth=900), oracle.entropy(x, 900), rtol=1e-12)


@pytest.mark.parametrize("n", [2, 300, 900])
def test_distance_from_a_far_query_is_told_at_every_size(n):
    x = oracle.cloud(n, 0.1)
    y = np.concatenate([x[:n], FAR])
    expected = -oracle.log_sum(y, x, H)
    np.testing.assert_allclose(delta_entropy(y, x, bandwidth=H), expected, rtol=1e-12, atol=1e-11)


def test_a_structure_far_away_has_mass_on_itself():
    x = np.concatenate([oracle.cloud(20, 0.1), oracle.cloud(20, 0.1) + 2000])
    masses = structure_masses(x, x, np.repeat([0, 1], 20), 8, bandwidth=H)
    np.testing.assert_allclose(masses[1, 20:], masses[0, :20], rtol=1e-9)
    of_x, of_y = cross_kernel_sums(x, x[20:], bandwidth=H)
    np.testing.assert_allclose(of_x[20:], self_kernel_sum(x, bandwidth=H)[20:], rtol=1e-9)
    assert np.all(np.asarray(of_y) >= 1)


def with_bad(x: np.ndarray, row: int, value: float = np.nan) -> np.ndarray:
    changed = np.array(x)
    changed[row, 0] = value
    return changed


X, Y = oracle.cloud(30, 0.3), oracle.cloud(20, 0.3, 1)
WIDE = oracle.cloud(700, 0.3, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sides", [(Y, X), (WIDE, WIDE[:600])])
def test_a_row_that_is_not_finite_is_refused_by_name(sides, value):
    y, x = sides
    with pytest.raises(InputError, match=r"y: environment 3 holds a value that is not finite"):
        delta_entropy(with_bad(y, 3, value), x, bandwidth=H)
    with pytest.raises(InputError, match=r"x: environment 7 holds a value that is not finite"):
        overlap(y, with_bad(x, 7, value), bandwidth=H)
    with pytest.raises(InputError, match=r"x: environment 7"):
        entropy(jnp.asarray(with_bad(x, 7, value)), bandwidth=H)


@pytest.mark.parametrize(("y", "x"), [(Y, X), (WIDE, WIDE[:600])])
def test_inside_jit_not_a_number_stays_in_its_row(y, x):
    @jax.jit
    def value_and_slope(y, x):
        value, pull_back = jax.vjp(lambda y: delta_entropy(y, x, bandwidth=H), y)
        return value, pull_back(jnp.ones(len(y)))[0]

    ways = value_and_slope(y, x), value_and_slope(with_bad(y, 3), x), value_and_slope(y, with_bad(x, 3))
    for clean, found, of_bad_x in zip(*ways, strict=True):
        assert np.all(np.isnan(found[3]))
        np.testing.assert_allclose(np.delete(found, 3, 0), np.delete(clean, 3, 0), rtol=1e-9, atol=1e-9)
        assert np.all(np.isnan(of_bad_x))
    assert np.isnan(jax.jit(lambda x: entropy(x, bandwidth=H))(with_bad(x, 5)))


def test_bandwidths_that_are_none_are_not_a_number_inside_jit():
    for h in (0.0, -1.0, np.nan):
        assert np.all(np.isnan(jax.jit(lambda h: delta_entropy(Y, X, bandwidth=h))(h)))


V = np.ones((30, 2))
REFUSED = {
    "short values": (lambda: kernel_product(Y, X, V[:-5]), r"v: expected shape \[30, c\]"),
    "values of one axis": (lambda: kernel_product(Y, X, V[:, 0]), r"v: expected shape \[30, c\]"),
    "values": (lambda: kernel_product(Y, X, with_bad(V, 4)), "v: row 4"),
    "product, bandwidths": (lambda: kernel_product(Y, X, V, bandwidth=[0.1, 0.2]), "one number"),
    "masses, bandwidths": (
        lambda: structure_masses(Y, X, np.zeros(30, int), 1, bandwidth=V[0]),
        "one number",
    ),
    "cross, bandwidths": (lambda: cross_kernel_sums(Y, X, bandwidth=np.ones(9)), "one number"),
    "bandwidths of two axes": (lambda: entropy(X, bandwidth=V), r"got shape \(30, 2\)"),
    "no bandwidths": (lambda: entropy(X, bandwidth=[]), r"got shape \(0,\)"),
    "bandwidth nan": (lambda: entropy(X, bandwidth=np.nan), "positive number"),
    "bandwidth tiny": (lambda: entropy(X.astype(np.float32), bandwidth=1e-30), "out of the range of float32"),
    "negative": (lambda: structure_masses(Y, X, np.arange(30) - 1, 30), "start at 0"),
    "beyond": (lambda: structure_masses(Y, X, np.arange(30), 20), "goes up to 29, but n_structures is 20"),
    "wrapped": (lambda: structure_masses(Y, X, np.arange(30) + 2**32, 40), "but n_structures is 40"),
    "float numbers": (lambda: structure_masses(Y, X, np.arange(30.0), 40), "whole numbers"),
    "negative weights": (lambda: log_kernel_sum(Y, X, weights=-np.ones(30)), "weights: number 0 is -1.0"),
    "weights": (lambda: self_kernel_sum(X, weights=np.full(30, np.nan)), "weights: number 0 is nan"),
    "weights, few": (lambda: self_kernel_sum(X, weights=np.ones(29)), "weights: expected 30 numbers"),
    "matrix": (lambda: entropy(X.view(np.matrix)), "np.matrix"),
    "longdouble": (lambda: entropy(X.astype(np.longdouble)), "longdouble|float128"),
    "complex": (lambda: entropy(X.astype(complex)), "complex128"),
    "ragged": (lambda: entropy([[1.0, 2.0], [1.0]]), "rows of different lengths"),
    "words": (lambda: entropy([["a"]]), "give real numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        call()


def test_groups_are_told_apart_however_large_their_numbers_are():
    group = np.repeat(np.array([0, 2**32, 2**33], np.int64), 10)
    small = np.repeat([0, 1, 2], 10)
    large = delta_entropy_of_others(X, group, bandwidth=H)
    np.testing.assert_array_equal(large, delta_entropy_of_others(X, small, bandwidth=H))
    assert np.all(np.isfinite(large))


@pytest.mark.parametrize("n", [30, 700])
def test_both_sides_are_of_one_dtype_before_they_are_subtracted(n):
    x = (1.0 + oracle.cloud(n, 0.01)).astype(np.float32)
    assert float(overlap(x.astype(np.float64), x, bandwidth=1e-5)) == 1.0


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("n", [30, 700])
def test_half_precision_is_computed_in_float32_and_given_back(name, n):
    x = jnp.asarray(oracle.cloud(n, 0.3)).astype(name)
    found = self_kernel_sum(x, bandwidth=H)
    assert found.dtype == x.dtype
    exact = oracle.kernel(np.asarray(x.astype(float)), np.asarray(x.astype(float)), H).sum(axis=1)
    np.testing.assert_allclose(found.astype(float), exact, rtol=float(jnp.finfo(x.dtype).eps))


def test_rows_without_features_are_all_the_same():
    x = np.zeros((5, 0))
    np.testing.assert_allclose(entropy(x), 0, atol=1e-12)
    np.testing.assert_allclose(delta_entropy(x[:2], x), -np.log(5))
