"""Greedy cover among all structures of a data set on disk, with the masses of one shard in memory at a time.

What a structure adds only shrinks while others are chosen, so what it added when it was last looked at bounds
it from above. The shard with the largest bound is read and its structures are looked at anew; its best one is
chosen if no bound elsewhere is larger by more than `SLACK`. Every pick adds at least 1 − SLACK of the most
that any could, so the choice is within 1 − exp(SLACK − 1) of the best for its size [nemhauser:78].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from quests_jax.base.progress import advance
from quests_jax.disk.checksummed_arrays import Arrays

SLACK = 0.05
HELD = 16  # shards in memory

Load = Callable[[int], Arrays]  # values and target of the masses of a shard, and lengths of its structures


class Found(NamedTuple):
    """The choice, and what each structure of the data set would still add at most."""

    selected: np.ndarray  # [t] int
    bound: np.ndarray  # [S]


class Entries(NamedTuple):
    """Masses of a shard that are worth storing."""

    values: np.ndarray  # [e]
    target: np.ndarray  # [e] int
    row: np.ndarray  # [e] int, structure in the shard, ascending

    def gains(self, left: np.ndarray, u: np.ndarray, number: int) -> np.ndarray:
        """Σ_i u_i min(M_si, left_i) of each of `number` structures."""
        terms = np.minimum(self.values, left[self.target]) * u[self.target]
        return np.bincount(self.row, terms, number).astype(float)  # of nothing, NumPy counts in integers

    def covered(self, structure: int, left: np.ndarray) -> np.ndarray:
        """What is left to cover once a structure is chosen, shape [m]."""
        own = slice(*np.searchsorted(self.row, [structure, structure + 1]))
        after = left.copy()
        after[self.target[own]] = np.maximum(left[self.target[own]] - self.values[own], 0.0)
        return after


def entries_of(masses: Arrays) -> Entries:
    """Entries with their structures, from `lengths` of these."""
    row = np.repeat(np.arange(len(masses["lengths"]), dtype=np.int32), masses["lengths"])
    return Entries(masses["values"], masses["target"], row)


def greedy_over_shards(
    load: Load,
    runs: list[range],
    weights: np.ndarray,
    room: np.ndarray,
    *,
    count: int,
    budget: float,
    cost: np.ndarray,
    closed: np.ndarray,
) -> Found:
    """Choose structures by their gain for their cost until a limit is met or nothing is gained.

    Args:
      load: the masses of a shard.
      runs: structures of each shard.
      weights: u of each target, shape [m].
      room: what is to be covered of each target, shape [m].
      count: most structures.
      budget: largest sum of costs.
      cost: of each structure, shape [S].
      closed: whether a structure may not be chosen, shape [S].
    """
    bound = np.where(closed, 0.0, np.inf)
    starts = np.array([run.start for run in runs])
    held: dict[int, Entries] = {}
    selected: list[int] = []
    left, spent = room.copy(), 0.0
    while len(selected) < count:
        worth = np.where(cost <= budget - spent, bound / cost, 0.0)
        best = np.maximum.reduceat(worth, starts)
        shard = int(best.argmax())
        if not best[shard] > 0:
            break
        run = slice(runs[shard].start, runs[shard].stop)
        entries = _held(held, shard, load)
        gains = entries.gains(left, weights, len(runs[shard]))
        bound[run] = np.minimum(np.where(closed[run], 0.0, gains), bound[run])
        own = np.where(cost[run] <= budget - spent, bound[run] / cost[run], 0.0)
        structure = int(own.argmax())
        best[shard] = 0.0
        if own[structure] > 0 and own[structure] >= (1 - SLACK) * best.max():
            number = run.start + structure
            left = entries.covered(structure, left)
            spent += cost[number]
            bound[number] = 0.0
            closed = closed | (np.arange(len(closed)) == number)
            selected.append(number)
            advance("greedy", len(selected), count)
    return Found(np.array(selected, int), bound)


def _held(held: dict[int, Entries], shard: int, load: Load) -> Entries:
    """Masses of a shard; those that were used longest ago are forgotten."""
    entries = held.pop(shard, None)
    if entries is None:
        entries = entries_of(load(shard))
    held[shard] = entries
    while len(held) > HELD:
        held.pop(next(iter(held)))
    return entries
