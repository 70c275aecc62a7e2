"""Thresholds for frames: how often they call a frame foreign that is not."""

from __future__ import annotations

import numpy as np
import pytest

from quests_jax.base.environments import make_environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.studies.reference_thresholds import Baseline, structure_threshold


def environments(rng: np.random.Generator, n_structures: int) -> Baseline:
    """One environment of each structure, with a δH of its own."""
    return Baseline(np.arange(n_structures), rng.normal(5, 2, n_structures))


@pytest.mark.parametrize(("n", "quantile"), [(19, 0.9), (99, 0.99), (199, 0.99), (30, 0.99)])
def test_at_most_the_stated_share_of_further_structures_lies_above(n: int, quantile: float) -> None:
    rng = np.random.default_rng(0)
    envs = make_environments(np.zeros((n, 1)), np.arange(n))
    above = []
    for _ in range(4000):
        threshold = environments(rng, n).threshold_of_structures(envs, quantile)
        above.append(rng.normal(5, 2) > threshold.value)
    assert threshold.alarms == pytest.approx(max(1 - quantile, 1 / (n + 1)), abs=1 / (n + 1))
    assert np.mean(above) <= threshold.alarms + 4 * np.sqrt(threshold.alarms / 4000)


def test_a_reference_that_cannot_say_calls_everything_foreign_that_it_does_not_cover() -> None:
    one = structure_threshold(make_environments(np.zeros((3, 2)), np.zeros(3, int)), quantile=0.99)
    assert one == (overlap_tolerance(np.float64), 1.0)
