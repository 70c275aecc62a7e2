"""The environments that a cover of a data set on disk looks at; see `cover.bounds.sampling`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.environments import Environments, from_arrays, joined
from quests_jax.cover.bounds.sampling import sample_sizes
from quests_jax.cover.reference import known_environments
from quests_jax.disk.shards import Shards
from quests_jax.disk.work import Stage
from quests_jax.information import kernel_sum


class Targets(NamedTuple):
    """Environments to cover."""

    envs: Environments  # m of them
    weights: np.ndarray  # [m], summing to n
    room: np.ndarray  # [m], 1 − r: what the reference leaves to cover of each, in [0, 1]
    of_structure: np.ndarray  # [S] int, targets of each structure

    @property
    def x(self) -> np.ndarray:
        """Their descriptors, shape [m, d]."""
        return np.asarray(self.envs.x)


class DiskCover(NamedTuple):
    """A cover problem on disk: data, size, bandwidth, reference and targets."""

    shards: Shards
    count: int  # structures to choose
    kept: tuple[int, ...]  # structures that stay besides; the reference holds their environments
    bandwidth: float  # Å⁻¹
    targets: int
    seed: int
    reference: Environments  # that are known already, r of them
    reference_digest: str

    def stage(self, name: str, **more: int) -> Stage:
        """The stage with results of this task, and of no other."""
        asked = {name: value for name, value in self._asdict().items() if name not in ("shards", "reference")}
        return self.shards.stage.work.stage(name, self.shards.parameters | asked | more)


def pose_on_disk(
    shards: Shards,
    count: int,
    bandwidth: float,
    targets: int,
    seed: int,
    reference: Environments | ArrayLike | None,
    kept: Sequence[int] = (),
) -> DiskCover:
    """Pose the cover problem of a folder; raises `InputError` for a reference with another descriptor."""
    known = joined([known_environments(reference, shards.nothing), shards.of(kept)])
    content = b"".join(np.ascontiguousarray(array).tobytes() for array in known.arrays().values())
    digest = hashlib.sha256(content).hexdigest()
    return DiskCover(shards, count, tuple(map(int, kept)), bandwidth, targets, seed, known, digest)


def draw_targets(task: DiskCover) -> Targets:
    """A random sample without replacement from each structure, in proportion to its size, at least one."""
    shards, counts = task.shards, task.shards.counts
    size = sample_sizes(counts, task.targets)

    def draw(shard: int) -> dict[str, np.ndarray]:
        own, number = size[shards.runs[shard]], shards.structure_id(shard)
        random = np.random.default_rng([task.seed, shard]).random(len(number))
        order = np.lexsort((random, number))
        first = np.searchsorted(number, number)  # number of the first row of the same structure
        picked = np.sort(order[np.arange(len(number)) - first < own[number]])
        atoms, envs = counts[shards.runs[shard]], shards.environments(shard).take(picked)
        room = np.ones(len(envs))
        if len(task.reference) and len(envs):
            reached = np.asarray(kernel_sum(envs, task.reference, bandwidth=task.bandwidth))
            room = np.maximum(1.0 - reached, 0.0)
        return envs.arrays() | {"weights": (atoms / np.maximum(own, 1))[number[picked]], "room": room}

    stage = task.stage("targets")
    stage.complete(len(shards.runs), draw)
    parts = [stage.load(shard) for shard in range(len(shards.runs))]
    weights, room = (np.concatenate([part[name] for part in parts]) for name in ("weights", "room"))
    envs = joined([shards.nothing, *(from_arrays(part) for part in parts)])
    return Targets(envs, weights, room, size)
