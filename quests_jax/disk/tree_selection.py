"""Any rule of choice on a data set past memory: every shard chooses, then the root among what they chose.

A data set of at most `ROOT` environments is all at the root, so its choice is that of the rule in memory. In
a larger one each shard names `OVERSAMPLE` times its share of the choice: composable core-sets
[mirzasoleiman:13].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.environments import Environments, of_structures
from quests_jax.base.precision import follows_dtype
from quests_jax.cover.selection import Selection
from quests_jax.disk.covers import coverage_of, covered
from quests_jax.disk.shards import Shards
from quests_jax.disk.targets import DiskCover, pose_on_disk
from quests_jax.studies.choosing import Data, Limits, choose

ROOT = 200_000  # environments that the root can choose among
OVERSAMPLE = 2  # structures named for each one to choose


@follows_dtype
def tree_choice(
    shards: Shards,
    *,
    count: int,
    method: str,
    bandwidth: float,
    reference: Environments | ArrayLike | None = None,
    seed: int = 0,
    kept: Sequence[int] = (),
) -> tuple[Selection, np.ndarray]:
    """Choose `count` structures of a data set on disk by a rule of `cover.rules.registry`.

    Structures of the numbers `kept` stay besides and count as known, as does a reference.

    Returns:
      `Selection` with the exact coverage of all environments and without a bound; and δH of every environment
      against the choice and the reference, shape [n], in nats.
    """
    task = pose_on_disk(shards, count, bandwidth, 0, seed, reference, kept)
    task.stage("nominees", method=method).complete(len(shards.runs), partial(_nominate, task, method))
    root = task.stage("root", method=method)
    root.complete(1, partial(_choose_at_root, task, method))
    found = root.load(0)
    dH = covered(task, found["selected"])
    return Selection(found["selected"], found["gains"], method, coverage_of(dH)), dH


def _nominate(task: DiskCover, method: str, shard: int) -> dict[str, np.ndarray]:
    """Structures of a shard that the root may choose, ascending."""
    shards, run = task.shards, task.shards.runs[shard]
    free = np.setdiff1d(np.arange(run.start, run.stop), task.kept)
    wanted = math.ceil(OVERSAMPLE * task.count * len(run) / len(shards.counts))
    if shards.n_environments > ROOT and wanted < len(free):
        envs = of_structures(shards.environments(shard), free - run.start)
        free = np.sort(free[_picks(task, method, envs, wanted).selected])
    return {"nominees": free}


def _choose_at_root(task: DiskCover, method: str, _: int) -> dict[str, np.ndarray]:
    """The choice among all nominees."""
    stage = task.stage("nominees", method=method)
    parts = [stage.load(shard)["nominees"] for shard in range(len(task.shards.runs))]
    numbers = np.concatenate(parts)
    found = _picks(task, method, task.shards.structures_of(numbers), task.count)
    return {"selected": numbers[found.selected], "gains": found.gains}


def _picks(task: DiskCover, method: str, envs: Environments, count: int) -> Selection:
    data = Data(envs, task.known if len(task.known) else None)
    options = {"bandwidth": task.bandwidth, "seed": task.seed}
    return choose(data, method=method, limits=Limits(count), **options)
