"""Exchanges from the choice of MSC: no measure falls, and what is gained is what a loop measures."""

from __future__ import annotations

import numpy as np
import pytest
from cover.toy_covers import BANDWIDTH, COUNTS, toy
from hypothesis import given, settings
from hypothesis import strategies as st

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, make_environments
from quests_jax.cover import msc, pareto_msc
from quests_jax.cover.rules import pareto_exchanges
from quests_jax.information import delta_entropy, diversity, entropy

pytestmark = pytest.mark.slow

TRIED = settings(max_examples=25)  # many choices of eight structures leave nothing to exchange


def loop_measures(envs: Environments, selected: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """The five logarithms, measured one by one."""
    x, number = np.asarray(envs.x), np.asarray(envs.structure_id)

    def rows(mask: np.ndarray) -> np.ndarray:
        return x[mask] if known is None else np.concatenate([known, x[mask]])

    chosen = np.isin(number, selected)
    dH = np.asarray(delta_entropy(x, rows(chosen), bandwidth=BANDWIDTH))
    alone = [delta_entropy(x[number == s], rows(number != s), bandwidth=BANDWIDTH).max() for s in selected]
    return np.array(
        [
            np.log(np.mean(dH < 1e-5) + 1 / len(x)),
            float(entropy(x[chosen], bandwidth=BANDWIDTH)),
            float(diversity(x[chosen], bandwidth=BANDWIDTH)),
            -np.log1p(max(dH.max(), 0.0)),
            np.log1p(np.sum(np.maximum(alone, 0.0) ** 2)),
        ]
    )


@TRIED
@given(seed=st.integers(0, 10_000), size=st.integers(1, 7))
def test_no_measure_falls_and_gains_are_what_was_gained(seed: int, size: int) -> None:
    envs = toy(seed)
    start, found = (rule(envs, size=size, bandwidth=BANDWIDTH) for rule in (msc, pareto_msc))
    g = loop_measures(envs, found.selected) - loop_measures(envs, start.selected)
    assert np.all(g >= -pareto_exchanges.INDIFFERENCE - 1e-9)
    assert found.gains.sum() == pytest.approx(g.sum(), abs=1e-8)
    assert len(set(found.selected)) == size


@TRIED
@given(seed=st.integers(0, 10_000))
def test_a_reference_takes_part(seed: int) -> None:
    envs, known = toy(seed), np.asarray(toy(seed + 1).x)[:6]
    start, found = (rule(envs, size=3, bandwidth=BANDWIDTH, reference=known) for rule in (msc, pareto_msc))
    g = loop_measures(envs, found.selected, known) - loop_measures(envs, start.selected, known)
    assert np.all(g >= -pareto_exchanges.INDIFFERENCE - 1e-9)
    assert found.gains.sum() == pytest.approx(g.sum(), abs=1e-8)


def test_something_is_gained_where_there_is_something_to_gain() -> None:
    gained = [pareto_msc(toy(seed), size=3, bandwidth=BANDWIDTH).gains.sum() for seed in range(8)]
    assert max(gained) > 10 * pareto_exchanges.SMALLEST_GAIN


def test_what_stays_keeps_the_order_of_msc() -> None:
    for seed in range(8):
        start, found = (rule(toy(seed), size=4, bandwidth=BANDWIDTH) for rule in (msc, pareto_msc))
        stayed = [s for s in start.selected if s in found.selected]
        assert list(found.selected[: len(stayed)]) == stayed
        assert np.all(found.gains[: len(stayed)] == 0)
        assert np.all(found.gains[len(stayed) :] > pareto_exchanges.SMALLEST_GAIN)


def test_far_environments_keep_their_distance() -> None:
    """Masses of 1e-40 and 1e-60 must not both count as nothing: one is nearer than the other."""
    x = np.array([[0.0], [1.0], [13.0], [16.0]])
    masses = np.asarray(pareto_exchanges._landscape(make_environments(x, np.arange(4)), 1.0, None).masses)
    np.testing.assert_allclose(np.log(masses), -((x - x.T) ** 2) / 2, atol=1e-9)


def test_everything_is_chosen_when_everything_is_asked_for() -> None:
    found = pareto_msc(toy(1), size=1.0, bandwidth=BANDWIDTH)
    assert sorted(found.selected) == list(range(len(COUNTS)))


def test_too_many_masses_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pareto_exchanges, "DENSE", 100)
    with pytest.raises(InputError, match="8 structures with 20 environments are too many"):
        pareto_msc(toy(0), size=2, bandwidth=BANDWIDTH)
