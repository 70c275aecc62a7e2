"""The environments that a cover of a data set on disk looks at; see `cover.bounds.sampling`."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from quests_jax.base.checks import check_matrix
from quests_jax.cover.bounds.sampling import sample_sizes
from quests_jax.disk.shards import Shards
from quests_jax.disk.work import Stage
from quests_jax.information import kernel_sum


class Targets(NamedTuple):
    """Environments to cover."""

    x: np.ndarray  # [m, d], Å⁻¹
    weights: np.ndarray  # [m], summing to n
    room: np.ndarray  # [m], 1 − r: what the reference leaves to cover of each, in [0, 1]
    of_structure: np.ndarray  # [S] int, targets of each structure


class Question(NamedTuple):
    """What is asked of the data set."""

    shards: Shards
    count: int  # structures to choose
    bandwidth: float  # Å⁻¹
    targets: int
    seed: int
    reference: np.ndarray  # [r, d], Å⁻¹: environments that are known already
    reference_digest: str

    def stage(self, name: str, **more: int) -> Stage:
        """The stage with results of this question, and no other."""
        asked = {name: value for name, value in self._asdict().items() if name not in ("shards", "reference")}
        return self.shards.stage.work.stage(name, self.shards.parameters | asked | more)


def ask(
    shards: Shards, count: int, bandwidth: float, targets: int, seed: int, reference: np.ndarray | None
) -> Question:
    """The question; raises `InputError` for a reference with another descriptor."""
    rows = np.zeros((0, shards.width)) if reference is None else np.asarray(reference, np.float64)
    check_matrix("reference", rows, shards.width)
    digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()
    return Question(shards, count, bandwidth, targets, seed, rows, digest)


def draw_targets(question: Question) -> Targets:
    """A random sample without replacement from each structure, in proportion to its size, at least one."""
    shards, counts = question.shards, question.shards.counts
    size = sample_sizes(counts, question.targets)

    def draw(shard: int) -> dict[str, np.ndarray]:
        own, number = size[shards.runs[shard]], shards.structure_id(shard)
        random = np.random.default_rng([question.seed, shard]).random(len(number))
        order = np.lexsort((random, number))
        first = np.searchsorted(number, number)  # number of the first row of the same structure
        picked = np.sort(order[np.arange(len(number)) - first < own[number]])
        atoms, x = counts[shards.runs[shard]], shards.x(shard)[picked]
        room = np.ones(len(x))
        if len(question.reference) and len(x):
            reached = np.asarray(kernel_sum(x, question.reference, bandwidth=question.bandwidth))
            room = np.maximum(1.0 - reached, 0.0)
        return {"x": x, "weights": (atoms / np.maximum(own, 1))[number[picked]], "room": room}

    stage = question.stage("targets")
    stage.complete(len(shards.runs), draw)
    parts = [stage.load(shard) for shard in range(len(shards.runs))]
    x, weights, room = (np.concatenate([part[name] for part in parts]) for name in ("x", "weights", "room"))
    return Targets(x, weights, room, size)
