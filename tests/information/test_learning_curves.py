"""Learning curves and sampled entropies: whole samples are exact, intervals hold, limits are found."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from quests_jax.base.checks import InputError
from quests_jax.information import (
    LearningCurve,
    entropy,
    estimated_diversity,
    estimated_entropy,
    information_gap,
    largest_entropy,
    learning_curve,
    sampled_entropy,
)

H = 0.05


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, 0.02, (150, 4)), rng.normal(0, 0.5, (50, 4))])


def test_a_sample_of_everything_is_everything(x):
    curve = learning_curve(x, [50, 200], repeats=3, bandwidth=H)
    np.testing.assert_allclose(curve.entropies[:, -1], float(entropy(x, bandwidth=H)), rtol=1e-10)
    assert curve.half_width[-1] == pytest.approx(0, abs=1e-10)
    assert curve.half_width[0] > 0


def test_the_key_decides(x):
    curves = [learning_curve(x, [20], repeats=2, bandwidth=H, key=jax.random.key(k)) for k in (1, 1, 2)]
    assert np.array_equal(curves[0].entropies, curves[1].entropies)
    assert not np.array_equal(curves[0].entropies, curves[2].entropies)


def test_the_limit_of_a_known_curve_is_found():
    sizes = np.array([10, 30, 100, 300, 1000, 10000])
    known = 7.0 - 5.0 * np.exp(-0.03 * np.log(sizes) ** 2)
    curve = LearningCurve(sizes, np.stack([known, known]))
    assert largest_entropy(curve) == pytest.approx(7.0, abs=1e-3)
    assert information_gap(curve) == pytest.approx(7.0 - known[-1], abs=1e-3)


@pytest.mark.parametrize("sizes", [[], [0], [201], [-3]])
def test_sizes_out_of_range_are_refused(x, sizes):
    with pytest.raises(InputError, match="sizes"):
        learning_curve(x, sizes)


def test_three_points_are_too_few_for_a_limit(x):
    with pytest.raises(InputError, match="four"):
        largest_entropy(learning_curve(x, [5, 10, 20], repeats=2, bandwidth=H))


def test_all_rows_give_the_entropy_itself(x):
    estimate, width = sampled_entropy(x, rows=10_000, bandwidth=H)
    assert estimate == pytest.approx(float(entropy(x, bandwidth=H)), rel=1e-10)
    assert width == 0


def test_intervals_hold_as_often_as_they_say(x):
    exact, held = float(entropy(x, bandwidth=H)), 0
    for seed in range(100):
        estimate, width = sampled_entropy(x, rows=60, bandwidth=H, key=jax.random.key(seed))
        held += abs(estimate - exact) <= width
    assert held >= 88  # of 100 at 95 %: fewer happens once in 600 times


BAD = {
    "sizes": (lambda x: learning_curve(x, [1.7, 3]), "sizes: expected some whole numbers"),
    "no sizes": (lambda x: learning_curve(x, []), "sizes: expected some whole numbers"),
    "rows": (lambda x: learning_curve(np.where(x == x[4, 0], np.nan, x), [3]), "x: environment 4"),
    "sample": (lambda x: sampled_entropy(np.where(x == x[4, 0], np.inf, x)), "x: environment 4"),
    "sums": (lambda x: estimated_entropy(np.array([1.0, np.nan]), 5), "p: sum 1 is nan"),
    "negative": (lambda x: estimated_diversity(np.array([1.0, -1.0]), 5), "p: sum 1 is -1"),
    "too many": (lambda x: estimated_entropy(np.ones(6), 5), "p: expected the sums of 1 to 5 rows"),
    "curve": (
        lambda x: largest_entropy(LearningCurve(np.arange(1, 5), np.full((2, 4), np.nan))),
        "the entropy of 1 environment is not finite",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_right_is_refused(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message):
        call(np.random.default_rng(0).normal(size=(10, 2)))


def test_one_environment_is_known_and_one_of_many_is_not_enough():
    assert estimated_entropy(np.ones(1), 1) == (0.0, 0.0)
    assert estimated_entropy(np.ones(1), 5).half_width == np.inf
