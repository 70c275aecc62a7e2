"""The environments that a cover of a data set on disk looks at; see `cover.bounds.sampling`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.environments import Environments, from_arrays, joined
from quests_jax.cover.bounds.sampling import sample_sizes
from quests_jax.cover.reference import known_environments
from quests_jax.disk.shards import Shards, kept_environments
from quests_jax.disk.working_folder import Stage
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
    kept: tuple[int, ...]  # structures that stay besides; their environments count as known
    bandwidth: float  # Å⁻¹
    targets: int
    seed: int
    known_digest: str

    def stage(self, name: str, **more: int | str) -> Stage:
        """The stage with results of this task, and of no other."""
        asked = {name: value for name, value in self._asdict().items() if name != "shards"}
        return self.shards.stage.work.stage(name, self.shards.parameters | asked | more)

    @property
    def known(self) -> Environments:
        """Environments that are known already."""
        return kept_environments(self.stage("known"))


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
    task = DiskCover(shards, count, tuple(map(int, kept)), bandwidth, targets, seed, digest)
    task.stage("known").keep(known.arrays())
    return task


def draw_targets(task: DiskCover) -> Targets:
    """A random sample without replacement from each structure, in proportion to its size, at least one."""
    stage = task.stage("targets")
    stage.complete(len(task.shards.runs), partial(_draw, task))
    return drawn_targets(task)


def drawn_targets(task: DiskCover) -> Targets:
    """The targets of a task, which have been drawn."""
    envs, weights, room = _drawn(task.stage("targets"), len(task.shards.runs))
    return Targets(envs, weights, room, sample_sizes(task.shards.counts, task.targets))


@lru_cache(maxsize=2)
def _drawn(stage: Stage, n_shards: int) -> tuple[Environments, np.ndarray, np.ndarray]:
    parts = [stage.load(shard) for shard in range(n_shards)]
    weights, room = (np.concatenate([part[name] for part in parts]) for name in ("weights", "room"))
    return joined([from_arrays(part) for part in parts]), weights, room


def _draw(task: DiskCover, shard: int) -> dict[str, np.ndarray]:
    """Targets of a shard, with the weight of each and what the known environments leave to cover of it."""
    shards, known = task.shards, task.known
    run = shards.runs[shard]
    number = shards.structure_id(shard)
    own = sample_sizes(shards.counts, task.targets)[run.start : run.stop]
    random = np.random.default_rng([task.seed, shard]).random(len(number))
    order = np.lexsort((random, number))
    first = np.searchsorted(number, number)  # number of the first row of the same structure
    picked = np.sort(order[np.arange(len(number)) - first < own[number]])
    atoms = shards.counts[run.start : run.stop]
    envs = shards.environments(shard).take(picked)
    room = np.ones(len(envs))
    if len(known) and len(envs):
        room = np.maximum(1.0 - np.asarray(kernel_sum(envs, known, bandwidth=task.bandwidth)), 0.0)
    return envs.arrays() | {"weights": (atoms / np.maximum(own, 1))[number[picked]], "room": room}
