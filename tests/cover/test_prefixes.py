"""Metrics of every prefix of a selection equal those of the prefix on its own."""

from __future__ import annotations

import numpy as np
import pytest
from toy_covers import BANDWIDTH, COUNTS, toy

import quests_jax.information as information
from quests_jax.base.checks import InputError
from quests_jax.base.environments import make_environments
from quests_jax.cover import msc, prefix_metrics


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_prefix_is_measured_as_if_alone(seed: int, reference: bool) -> None:
    envs, order = toy(seed), np.random.default_rng(seed).permutation(len(COUNTS))[:5]
    known = np.asarray(toy(9).x) if reference else None
    found = prefix_metrics(envs, order, bandwidth=BANDWIDTH, reference=known)
    for t in range(len(order)):
        x = np.asarray(envs.x)[np.isin(envs.structure_id, order[: t + 1])]
        covering = x if known is None else np.concatenate([known, x])
        assert found.n_environments[t] == len(x)
        np.testing.assert_allclose(found.entropy[t], information.entropy(x, bandwidth=BANDWIDTH), atol=1e-11)
        np.testing.assert_allclose(
            found.diversity[t], information.diversity(x, bandwidth=BANDWIDTH), atol=1e-11
        )
        expected = information.overlap(envs.x, covering, bandwidth=BANDWIDTH)
        assert found.overlap[t] == pytest.approx(float(expected), abs=1e-12)
        mass = information.kernel_sum(envs.x, covering, bandwidth=BANDWIDTH)
        assert found.coverage[t] == pytest.approx(float(np.minimum(mass, 1.0).mean()), abs=1e-12)


@pytest.mark.slow
def test_more_structures_than_a_block_and_one_without_atoms() -> None:
    rng = np.random.default_rng(0)
    number = np.sort(rng.permutation(np.repeat(np.arange(80), 4))[:200])
    number[number == 7] = 8
    envs = make_environments(rng.normal(size=(200, 3)) * 0.05, number, 80)
    selection = msc(envs, bandwidth=0.02, size=70)
    found = prefix_metrics(envs, selection.selected, bandwidth=0.02)
    x = np.asarray(envs.x)[np.isin(number, selection.selected)]
    np.testing.assert_allclose(found.entropy[-1], information.entropy(x, bandwidth=0.02), atol=1e-11)
    assert np.all(np.diff(found.overlap) >= 0)
    first_empty = prefix_metrics(envs, [7, 8], bandwidth=0.02)
    assert (first_empty.n_environments[0], first_empty.overlap[0]) == (0, 0.0)
    assert np.isnan(first_empty.entropy[0])


@pytest.mark.parametrize("selected", [[0, 0], [-1], [len(COUNTS)]])
def test_bad_numbers_are_refused(selected: list[int]) -> None:
    with pytest.raises(InputError, match="selected"):
        prefix_metrics(toy(0), selected, bandwidth=BANDWIDTH)


def test_any_order_of_choice_with_elements_told_apart() -> None:
    rng = np.random.default_rng(0)
    number, elements = np.repeat(np.arange(4), 3), np.tile([1, 8, 8], 4)
    envs = make_environments(rng.normal(size=(12, 2)), number, elements=elements)
    found = prefix_metrics(envs, [2, 0, 3, 1], bandwidth=1.0)
    kernel = np.exp(-0.5 * ((envs.x[:, None] - envs.x[None]) ** 2).sum(-1)) * (elements[:, None] == elements)
    assert found.overlap[0] == pytest.approx((kernel[:, number == 2].sum(axis=1) >= 1 - 1e-5).mean())
