"""The environments that a cover of a data set on disk looks at, and what a sample of them proves.

The best choice w for the whole data set does not depend on the sample, so its coverage f(w) exceeds that of
the targets by more than ε with a probability of at most δ, by the inequality for sampling without replacement
[serfling:74]:

    f(w) ≤ f̂(w) + ε,    ε² = ½ ln(1/δ) Σ_s (n_s/n)² [1 − (m_s − 1)/n_s] / m_s

summed over the structures s of which m_s < n_s environments are targets. With all of them, ε is 0.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from quests_jax.base.checks import check_matrix
from quests_jax.disk.shards import Shards
from quests_jax.disk.work import Stage
from quests_jax.information import kernel_sum

FAILURE = 1e-6  # δ, the probability that the bound does not hold


class Targets(NamedTuple):
    """Environments to cover."""

    x: np.ndarray  # [m, d], Å⁻¹
    weights: np.ndarray  # [m], summing to n
    room: np.ndarray  # [m], 1 − r: what the reference leaves to cover of each, in [0, 1]
    slack: float  # ε


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
    share = np.round(counts * min(1.0, question.targets / shards.n_environments)).astype(int)
    size = np.minimum(np.maximum(share, 1), counts)

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
    sampled = size < counts
    n, m = counts[sampled], size[sampled]
    spread = np.sum(n**2 * (1 - (m - 1) / n) / m) / shards.n_environments**2
    x, weights, room = (np.concatenate([part[name] for part in parts]) for name in ("x", "weights", "room"))
    return Targets(x, weights, room, float(np.sqrt(0.5 * np.log(1 / FAILURE) * spread)))
