"""Any rule of choice on a data set past memory: every shard chooses, then the root among what they chose.

A data set of at most `ROOT` environments is all at the root, so its choice is that of the rule in memory. In
a larger one each shard names its share of as many structures as the root can hold, or of `OVERSAMPLE` times
the choice where that is more: composable core-sets [mirzasoleiman:13]. So choices of a nested rule are
nested as long as the root chooses among the same ones. Rules that look at no environments choose at once.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from quests_jax.base.environments import Environments, of_structures
from quests_jax.base.precision import follows_dtype
from quests_jax.cover.selection import Selection
from quests_jax.disk.cover_stages import coverage_of, covered
from quests_jax.disk.cover_targets import Asked, DiskCover, pose_on_disk
from quests_jax.disk.shards import Shards
from quests_jax.disk.working_folder import Stage
from quests_jax.studies.choice_within_limits import BLIND, Data, Limits, choose

ROOT = 200_000  # environments that the root can choose among
OVERSAMPLE = 2  # structures named for each one to choose


@follows_dtype
def tree_choice(
    shards: Shards, asked: Asked, *, method: str, bandwidth: float, seed: int = 0
) -> tuple[Selection, np.ndarray]:
    """Choose structures of a data set on disk by a rule of `cover.rules.registry`, or stratified.

    Returns:
      `Selection` with the exact coverage of all environments and without a bound; and δH of every environment
      against the choice and the reference, shape [n], in nats.

    >>> from pathlib import Path
    >>> from quests_jax.datasets import bundled
    >>> from quests_jax.disk import Work, describe_files
    >>> shards = describe_files(Work(Path("work")), [(bundled(), slice(4))], k=8, cutoff=4.0)
    >>> selection, dH = tree_choice(shards, Asked(Limits(2)), method="fps", bandwidth=0.015)
    >>> selection.method, len(selection.selected)
    ('fps', 2)
    """
    task = pose_on_disk(shards, asked, bandwidth=bandwidth, seed=seed)
    if method in BLIND:
        free = np.setdiff1d(np.arange(len(shards.counts)), task.kept)
        found = _choice(task, method, of_structures(shards.outline, free), free, task.limits)._asdict()
    else:
        number = _nominees(task)
        _nominees_stage(task, method, number).complete(
            len(shards.runs), partial(_nominate, task, method, number)
        )
        root = task.stage("root", method=method)
        root.complete(1, partial(_choose_at_root, task, method, number))
        found = root.load(0)
    dH = covered(task, found["selected"])
    return Selection(found["selected"], found["gains"], method, coverage_of(dH)), dH


def _nominees(task: DiskCover) -> int:
    """How many structures the root chooses among: doubled until there are enough."""
    counts = task.shards.counts
    number = max(1, math.floor(ROOT * len(counts) / max(counts.sum(), 1)))
    while number < OVERSAMPLE * task.expected:
        number *= 2
    return min(number, len(counts))


def _nominees_stage(task: DiskCover, method: str, number: int) -> Stage:
    return task._replace(limits=Limits()).stage("nominees", method=method, number=number)


def _nominate(task: DiskCover, method: str, number: int, shard: int) -> dict[str, np.ndarray]:
    """Structures of a shard that the root may choose, ascending."""
    shards, run = task.shards, task.shards.runs[shard]
    free = np.setdiff1d(np.arange(run.start, run.stop), task.kept)
    wanted = math.ceil(number * len(run) / len(shards.counts))
    if (groups := task.groups(free)) is not None:
        counts = np.unique(groups.labels, return_counts=True)[1]
        wanted = max(wanted, int(np.minimum(counts, groups.at_least).sum()))
    if wanted < len(free):
        envs = of_structures(shards.environments(shard), free - run.start)
        free = np.sort(_choice(task, method, envs, free, Limits(wanted)).selected)
    return {"nominees": free}


def _choose_at_root(task: DiskCover, method: str, number: int, _: int) -> dict[str, np.ndarray]:
    """The choice among all nominees."""
    stage = _nominees_stage(task, method, number)
    parts = [stage.load(shard)["nominees"] for shard in range(len(task.shards.runs))]
    structures = np.concatenate(parts)
    found = _choice(task, method, task.shards.structures_of(structures), structures, task.limits)
    return {"selected": found.selected, "gains": found.gains}


def _choice(
    task: DiskCover, method: str, envs: Environments, structures: np.ndarray, limits: Limits
) -> Selection:
    """The choice of a rule among structures of these numbers and environments."""
    cost = None if task.cost is None else task.cost[structures]
    data = Data(envs, task.known if len(task.known) else None, cost)
    options = {"bandwidth": task.bandwidth, "seed": task.seed, "groups": task.groups(structures)}
    found = choose(data, method=method, limits=limits, **options)
    return found._replace(selected=structures[found.selected])
