"""A greedy cover with one shard in memory at a time takes nearly the best of all structures at every pick."""

from __future__ import annotations

import numpy as np
import pytest

from quests_jax.disk.checksummed_arrays import Arrays
from quests_jax.disk.shard_greedy import SLACK, greedy_over_shards

S, M = 40, 60
RUNS = [range(0, 7), range(7, 8), range(8, 30), range(30, S)]


def masses(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    kinds = random.random((8, M)) * (random.random((8, M)) < 0.3)  # structures of one kind are much alike
    return np.minimum(kinds[random.integers(8, size=S)] * random.uniform(0.5, 1.5, (S, 1)), 1.0)


def stored(dense: np.ndarray, shard: int) -> Arrays:
    own = dense[RUNS[shard].start : RUNS[shard].stop]
    row, target = np.nonzero(own)
    return {"values": own[row, target], "target": target, "lengths": (own > 0).sum(axis=1)}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("budget", [np.inf, 6.0])
def test_every_pick_is_nearly_the_best(seed: int, budget: float) -> None:
    random, dense = np.random.default_rng(seed), masses(seed)
    weights, room = random.uniform(0.5, 2, M), random.uniform(0.2, 1, M)
    cost = np.ones(S) if np.isinf(budget) else random.uniform(0.5, 2, S)
    closed = random.random(S) < 0.1
    read = []

    def load(shard: int) -> Arrays:
        read.append(shard)
        return stored(dense, shard)

    limits = {"count": 9, "budget": budget, "cost": cost, "closed": closed}
    found = greedy_over_shards(load, RUNS, weights, room, **limits)
    left, spent, chosen = room.copy(), 0.0, set()
    for structure in found.selected.tolist():
        open_ = ~closed & (cost <= budget - spent) & ~np.isin(np.arange(S), list(chosen))
        gains = np.where(open_, np.minimum(dense, left) @ weights / cost, 0.0)
        assert gains[structure] >= (1 - SLACK) * gains.max()
        left = np.maximum(left - dense[structure], 0)
        spent += cost[structure]
        chosen.add(structure)
    assert spent <= budget
    assert len(chosen) == len(found.selected) > 2
    still = np.where(closed | np.isin(np.arange(S), list(chosen)), 0.0, np.minimum(dense, left) @ weights)
    assert np.all(found.bound >= still - 1e-12)
    assert len(read) == len(set(read))  # all of them fit


def test_nothing_is_chosen_that_adds_nothing() -> None:
    dense = np.zeros((S, M))
    dense[3], dense[20] = 1.0, 0.5
    limits = {"count": 9, "budget": np.inf, "cost": np.ones(S), "closed": np.zeros(S, bool)}
    found = greedy_over_shards(lambda shard: stored(dense, shard), RUNS, np.ones(M), np.ones(M), **limits)
    assert found.selected.tolist() == [3]
