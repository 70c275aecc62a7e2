"""Delta entropy against all other groups, from the definition."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_oracle import DIMENSION

from quests_jax.base.checks import InputError
from quests_jax.information import delta_entropy_of_others

pytestmark = pytest.mark.slow

H = 0.1


def slow(x: np.ndarray, group: np.ndarray, h: float = H) -> np.ndarray:
    """−ln Σ_{j: g_j ≠ g_i} exp(−|x_i − x_j|²/2h²), by shifted exponents."""
    exponent = -((x[:, None] - x[None]) ** 2).sum(-1) / (2 * h**2)
    exponent = np.where(group[:, None] == group[None], -np.inf, exponent)
    top = exponent.max(axis=1, keepdims=True)
    return -(top[:, 0] + np.log(np.exp(exponent - top).sum(axis=1)))


@pytest.mark.parametrize(("n", "groups"), [(30, 4), (700, 9), (1000, 3)])
def test_it_is_the_definition(n, groups):
    rng = np.random.default_rng(n)
    group = np.sort(rng.integers(0, groups, n))
    x = rng.normal(0, 0.3, (n, DIMENSION)) + group[:, None]
    np.testing.assert_allclose(delta_entropy_of_others(x, group, bandwidth=H), slow(x, group), rtol=1e-9)


def test_far_groups_stay_finite():
    x = np.array([[0.0, 0.0], [0.01, 0.0], [90.0, 0.0]])
    group = np.array([0, 0, 1])
    np.testing.assert_allclose(delta_entropy_of_others(x, group, bandwidth=H), slow(x, group), rtol=1e-9)


def test_several_bandwidths_in_one_call():
    rng = np.random.default_rng(0)
    x, group = rng.normal(0, 0.2, (600, DIMENSION)), np.repeat(np.arange(20), 30)
    both = np.asarray(delta_entropy_of_others(x, group, bandwidth=np.array([0.05, 0.2])))
    for row, h in zip(both, (0.05, 0.2), strict=True):
        np.testing.assert_allclose(row, slow(x, group, h), rtol=1e-9)


def test_one_group_has_no_others():
    assert np.all(np.isinf(delta_entropy_of_others(np.zeros((4, 2)), np.zeros(4, int), bandwidth=H)))


@pytest.mark.parametrize("group", [np.zeros(3, int), np.zeros(4)])
def test_groups_that_do_not_fit_are_refused(group):
    with pytest.raises(InputError, match="group"):
        delta_entropy_of_others(np.zeros((4, 2)), group, bandwidth=H)
