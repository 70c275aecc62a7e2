"""The environments that a cover of a data set on disk looks at; see `cover.bounds.sampling`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.environments import Environments, from_arrays, joined
from quests_jax.cover.bounds.sampling import sample_sizes
from quests_jax.cover.known_environments import known_environments
from quests_jax.disk.checksummed_arrays import Arrays
from quests_jax.disk.shards import Shards, kept_environments
from quests_jax.disk.working_folder import Stage, digest_of
from quests_jax.information import kernel_sum
from quests_jax.studies.choice_within_limits import Groups, Limits


class Targets(NamedTuple):
    """Environments to cover."""

    envs: Environments  # m of them
    weights: np.ndarray  # [m], summing to n
    room: np.ndarray  # [m], 1 − r: what the reference leaves to cover of each, in [0, 1]
    counts: np.ndarray  # [G] int, environments of each group of structures
    sizes: np.ndarray  # [G] int, targets of each group

    @property
    def x(self) -> np.ndarray:
        """Their descriptors, shape [m, d]."""
        return np.asarray(self.envs.x)


class Asked(NamedTuple):
    """A choice, as it is asked of S structures on disk.

    >>> Asked(Limits(count=10)).limits.by_coverage
    False
    """

    limits: Limits  # a number of structures, a budget, or both
    reference: Environments | ArrayLike | None = None  # environments that are known already
    kept: Sequence[int] = ()  # structures that stay besides; they count as known
    cost: np.ndarray | None = None  # [S]
    groups: Groups | None = None  # labels of all S


class DiskCover(NamedTuple):
    """A cover problem on disk: data, limits, bandwidth, what is known, and targets."""

    shards: Shards
    limits: Limits
    kept: tuple[int, ...]  # structures that stay besides; their environments count as known
    bandwidth: float  # Å⁻¹
    targets: int
    seed: int
    known_digest: str
    terms_digest: str  # of costs and labels

    def stage(self, name: str, **more: int | str) -> Stage:
        """The stage with results of this task, and of no other."""
        asked = {name: value for name, value in self._asdict().items() if name != "shards"}
        return self.shards.stage.work.stage(name, self.shards.parameters | asked | more)

    @property
    def known(self) -> Environments:
        """Environments that are known already."""
        return kept_environments(_shared(self.shards, "known", self.known_digest))

    @property
    def cost(self) -> np.ndarray | None:
        """Cost of each structure, shape [S]; None if each costs 1."""
        return self._terms.get("cost")

    def groups(self, structures: np.ndarray) -> Groups | None:
        """Labels of some structures, and how many of each are wanted."""
        terms = self._terms
        return (
            Groups(terms["labels"][structures].tolist(), int(terms["at_least"]))
            if "labels" in terms
            else None
        )

    @property
    def _terms(self) -> Arrays:
        return _kept_terms(_shared(self.shards, "terms", self.terms_digest))

    @property
    def expected(self) -> int:
        """About how many structures the limits leave room for."""
        count, budget = self.limits.count, self.limits.budget
        n, cost = len(self.shards.counts), self.cost
        if budget is not None:
            paid = math.ceil(budget / (1.0 if cost is None else cost.mean()))
            count = paid if count is None else min(count, paid)
        return n if count is None else max(1, min(count, n))

    @property
    def together(self) -> int:
        """Consecutive structures that targets are drawn from as one; so they are at most 3/2 `targets`."""
        return max(1, math.ceil(2 * len(self.shards.counts) / max(self.targets, 1)))

    def environments_of_groups(self, shard: int) -> np.ndarray:
        """Environments of each few structures that targets of a shard are drawn from."""
        run = self.shards.runs[shard]
        own = self.shards.counts[run.start : run.stop]
        return np.add.reduceat(own, np.arange(0, len(own), self.together))


def _shared(shards: Shards, name: str, digest: str) -> Stage:
    """What tasks of any limits share."""
    return shards.stage.work.stage(name, shards.parameters | {"digest": digest})


@lru_cache(maxsize=2)
def _kept_terms(stage: Stage) -> Arrays:
    return stage.load(0)


def pose_on_disk(
    shards: Shards, asked: Asked, *, bandwidth: float, targets: int = 0, seed: int = 0
) -> DiskCover:
    """Pose the cover problem of a folder; raises `InputError` for a reference with another descriptor."""
    known = joined([known_environments(asked.reference, shards.nothing), shards.of(asked.kept)]).arrays()
    terms = {} if asked.cost is None else {"cost": np.asarray(asked.cost, float)}
    if asked.groups is not None:
        terms |= {"labels": np.asarray(asked.groups.labels), "at_least": np.asarray(asked.groups.at_least)}
    digests = digest_of(*known.values()), digest_of(*terms.values())
    _shared(shards, "known", digests[0]).keep(known)
    _shared(shards, "terms", digests[1]).keep(terms)
    return DiskCover(shards, asked.limits, tuple(map(int, asked.kept)), bandwidth, targets, seed, *digests)


def draw_targets(task: DiskCover) -> Targets:
    """A random sample without replacement from every `together` structures, in proportion, at least one."""
    stage = task.stage("targets")
    stage.complete(len(task.shards.runs), partial(_draw, task))
    return drawn_targets(task)


def drawn_targets(task: DiskCover) -> Targets:
    """The targets of a task, which have been drawn."""
    n_shards = len(task.shards.runs)
    envs, weights, room = _drawn(task.stage("targets"), n_shards)
    counts = np.concatenate([task.environments_of_groups(shard) for shard in range(n_shards)])
    return Targets(envs, weights, room, counts, sample_sizes(counts, task.targets))


@lru_cache(maxsize=2)
def _drawn(stage: Stage, n_shards: int) -> tuple[Environments, np.ndarray, np.ndarray]:
    parts = [stage.load(shard) for shard in range(n_shards)]
    weights, room = (np.concatenate([part[name] for part in parts]) for name in ("weights", "room"))
    return joined([from_arrays(part) for part in parts]), weights, room


def _draw(task: DiskCover, shard: int) -> dict[str, np.ndarray]:
    """Targets of a shard, with the weight of each and what the known environments leave to cover of it."""
    shards, known = task.shards, task.known
    counts = task.environments_of_groups(shard)
    sizes = sample_sizes(counts, task.targets, of=shards.n_environments)
    group = shards.structure_id(shard) // task.together
    random = np.random.default_rng([task.seed, shard]).random(len(group))
    order = np.lexsort((random, group))
    first = np.searchsorted(group, group)  # number of the first row of the same group
    picked = np.sort(order[np.arange(len(group)) - first < sizes[group]])
    envs = shards.environments(shard).take(picked)
    room = np.ones(len(envs))
    if len(known) and len(envs):
        room = np.maximum(1.0 - np.asarray(kernel_sum(envs, known, bandwidth=task.bandwidth)), 0.0)
    return envs.arrays() | {"weights": (counts / np.maximum(sizes, 1))[group[picked]], "room": room}
