"""Rules for the bandwidth: published values, and what each rule promises of its answer."""

from __future__ import annotations

import numpy as np
import pytest

from quests_jax.base.checks import InputError
from quests_jax.information import (
    cutoff_rule,
    delta_entropy,
    elbow_bandwidth,
    entropy,
    gaussian_rule,
    likelihood_bandwidth,
    novelty_bandwidth,
)


@pytest.fixture
def halves() -> tuple[np.ndarray, np.ndarray]:
    """Two samples of one distribution, of standard deviation 0.05 in three dimensions."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.05, (150, 3)), rng.normal(0, 0.05, (150, 3))


@pytest.mark.parametrize(
    ("volume", "h"), [(5.7, 0.0902), (8.8, 0.0767), (11, 0.0658), (12, 0.0609), (16, 0.0425), (30, 0.0140)]
)
def test_the_gaussian_rule_has_the_values_of_the_paper(volume, h):
    assert gaussian_rule(volume) == pytest.approx(h, abs=1e-4)


def test_the_cutoff_rule_is_constant_beyond_its_cutoff():
    beyond = np.exp(np.sqrt(11.61172)) * np.array([1.0, 1.5, 10.0])
    np.testing.assert_allclose(cutoff_rule(beyond), 0.016, rtol=1e-6)
    assert cutoff_rule(1.0) == pytest.approx(0.086164 + 0.016)


@pytest.mark.parametrize("rule", [gaussian_rule, cutoff_rule])
@pytest.mark.parametrize("volume", [0.0, -1.0, np.nan, np.inf])
def test_a_volume_must_be_positive(rule, volume):
    with pytest.raises(InputError, match="volume"):
        rule(volume)


def test_the_novel_share_is_the_one_asked_for(halves):
    y, x = halves
    for novel in (0.02, 0.2, 0.5):
        h = novelty_bandwidth(y, x, novel=novel)
        smaller, larger = (
            np.mean(np.asarray(delta_entropy(y, x, bandwidth=each)) > 0) for each in (0.99 * h, 1.01 * h)
        )
        assert larger <= novel <= smaller


def test_the_likelihood_is_largest_at_the_answer(halves):
    y, x = halves

    def likelihood(h: float) -> float:
        mean = lambda a, b: float(np.mean(np.asarray(delta_entropy(a, b, bandwidth=h))))  # noqa: E731
        return -mean(y, x) - mean(x, y) - 2 * x.shape[1] * np.log(h)

    best = likelihood_bandwidth(y, x)
    assert likelihood(best) > max(likelihood(0.98 * best), likelihood(1.02 * best))


def test_the_elbow_is_where_the_entropy_bends(halves):
    h = np.geomspace(1e-3, 1, 20)
    found, share = elbow_bandwidth(halves[0], h)
    assert h[0] < found < h[-1]
    reached = [float(entropy(halves[0], bandwidth=each)) / np.log(150) for each in h]
    np.testing.assert_allclose(share, reached, rtol=1e-10)
    assert np.all(np.diff(share) < 1e-12)


@pytest.mark.parametrize("novel", [0, 1, -0.1, np.nan])
def test_shares_out_of_range_are_refused(halves, novel):
    with pytest.raises(InputError, match="novel"):
        novelty_bandwidth(*halves, novel=novel)
