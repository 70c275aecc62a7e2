"""A data set past memory against a reference in memory, against another one on disk, or against itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from quests_jax.base.environments import Environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.disk.cover_stages import covered
from quests_jax.disk.cover_targets import Asked, pose_on_disk
from quests_jax.disk.shard_sums import self_sums
from quests_jax.disk.shards import Shards
from quests_jax.information import Rows, delta_entropy, delta_entropy_of_others
from quests_jax.studies.choice_within_limits import Limits
from quests_jax.studies.kept_information import measures_of
from quests_jax.studies.outliers import Outliers, check_yardstick, outliers_among, yardstick
from quests_jax.studies.overlaps import Comparison, Parts, comparison
from quests_jax.studies.reference_thresholds import Baseline
from quests_jax.studies.trajectories import (
    Trajectory,
    check_quantile,
    frame_entropies,
    threshold_of,
    trajectory_of,
)


@follows_dtype
def compare_shards(shards: Shards, reference: Environments, *, bandwidth: float) -> Comparison:
    """`studies.overlaps.compare_with_reference` of environments on disk.

    Raises `InputError` for a reference with another descriptor.

    >>> from pathlib import Path
    >>> import quests_jax as qj
    >>> from quests_jax.datasets import bundled
    >>> from quests_jax.disk import Work, describe_files
    >>> shards = describe_files(Work(Path("work")), [(bundled(), slice(4))], k=8, cutoff=4.0)
    >>> known = qj.environments(qj.read(bundled())[:2], k=8, cutoff=4.0)
    >>> found = compare_shards(shards, known, bandwidth=0.015)
    >>> found.delta_entropy.shape == (shards.n_environments,)
    True
    """
    return comparison(against(shards, reference, bandwidth=bandwidth), reference, bandwidth=bandwidth)


@follows_dtype
def outliers_of_shards(
    shards: Shards, reference: Environments | None = None, *, quantile: float, bandwidth: float
) -> Outliers:
    """`studies.outliers.find_outliers` of environments on disk; raises as it, and as `compare_shards`.

    >>> from pathlib import Path
    >>> from quests_jax.datasets import bundled
    >>> from quests_jax.disk import Work, describe_files
    >>> shards = describe_files(Work(Path("work")), [(bundled(), slice(4))], k=8, cutoff=4.0)
    >>> found = outliers_of_shards(shards, quantile=0.9, bandwidth=0.015)
    >>> len(found.delta_entropy) == shards.n_environments
    True
    """
    if reference is None:
        check_yardstick(len(shards.counts), quantile)
        dH = _from_each(shards, shards, bandwidth)
        own = Baseline(np.arange(len(dH)), dH)
    else:
        own = yardstick(reference, quantile=quantile, bandwidth=bandwidth)
        dH = against(shards, reference, bandwidth=bandwidth)
    return outliers_among(dH, shards.counts, own.threshold(quantile))


@follows_dtype
def overlaps_of_shards(names: Sequence[str], parts: Sequence[Shards], *, bandwidth: float) -> Parts:
    """`studies.overlaps.overlaps_of_parts` of environments on disk.

    >>> from pathlib import Path
    >>> from quests_jax.datasets import bundled
    >>> from quests_jax.disk import Work, describe_files
    >>> shards = describe_files(Work(Path("work")), [(bundled(), slice(4))], k=8, cutoff=4.0)
    >>> found = overlaps_of_shards(["a", "b"], [shards, shards], bandwidth=0.015)
    >>> found.overlaps.tolist()  # of a data set with itself
    [[1.0, 1.0], [1.0, 1.0]]
    """
    shares = np.ones((len(parts), len(parts)))
    tolerance = overlap_tolerance(np.dtype(float))
    for row, x in enumerate(parts):
        for column, y in enumerate(parts):
            if row != column:
                shares[row, column] = np.mean(_from_each(y, x, bandwidth) < tolerance)
    entropies = np.array([measures_of(self_sums(part, bandwidth=bandwidth))[0] for part in parts])
    return Parts(list(names), [part.n_environments for part in parts], shares, entropies, tolerance)


@follows_dtype
def follow_shards(
    shards: Shards,
    reference: Environments | None = None,
    *,
    threshold: float | None = None,
    quantile: float,
    bandwidth: float,
) -> Trajectory:
    """`studies.trajectories.follow` of frames on disk; raises as it, and as `compare_shards`.

    >>> from pathlib import Path
    >>> from quests_jax.datasets import bundled
    >>> from quests_jax.disk import Work, describe_files
    >>> shards = describe_files(Work(Path("work")), [(bundled(), slice(4))], k=8, cutoff=4.0)
    >>> found = follow_shards(shards, quantile=0.99, bandwidth=0.015)
    >>> len(found.entropy)  # of frames
    4
    """
    check_quantile(quantile)
    stage = shards.stage.work.stage("frames", shards.parameters | {"bandwidth": bandwidth})
    stage.complete(len(shards.runs), partial(_frames, shards, bandwidth))
    measured = np.concatenate([stage.load(shard)["measured"] for shard in range(len(shards.runs))])
    if reference is None:
        return trajectory_of(measured, shards.counts)
    limit = threshold_of(reference, threshold=threshold, quantile=quantile, bandwidth=bandwidth)
    return trajectory_of(measured, shards.counts, against(shards, reference, bandwidth=bandwidth), limit)


def _frames(shards: Shards, bandwidth: float, shard: int) -> dict[str, np.ndarray]:
    return {"measured": frame_entropies(shards.environments(shard), bandwidth=bandwidth)}


def against(shards: Shards, reference: Environments | Rows, *, bandwidth: float) -> np.ndarray:
    """δH of every environment on disk against a reference, shape [n], in nats."""
    return covered(pose_on_disk(shards, Asked(Limits(), reference), bandwidth=bandwidth), np.zeros(0, int))


def _from_each(y: Shards, x: Shards, bandwidth: float) -> np.ndarray:
    """δH of every environment of one data set on disk against another, in nats.

    Of a data set against itself, environments are measured against all structures but their own.
    """
    about = y.parameters | {"of": x.parameters, "bandwidth": bandwidth}
    stage = y.stage.work.stage("foreign", about)
    stage.complete(len(y.runs), partial(_foreign, y, x, bandwidth))
    return np.concatenate([stage.load(shard)["delta_entropy"] for shard in range(len(y.runs))])


def _foreign(y: Shards, x: Shards, bandwidth: float, shard: int) -> dict[str, np.ndarray]:
    """δH = −ln Σ_t exp(−δH_t) of a shard, from δH_t against every shard t."""
    envs, itself = y.environments(shard), y.parameters == x.parameters
    dH = np.full(len(envs), np.inf)
    for number in range(len(x.runs) if len(envs) else 0):
        other = x.environments(number)
        if itself and number == shard:
            part = delta_entropy_of_others(envs, envs.structure_id, bandwidth=bandwidth)
        elif len(other):
            part = delta_entropy(envs, other, bandwidth=bandwidth)
        else:
            continue
        dH = -np.logaddexp(-dH, -np.asarray(part))
    return {"delta_entropy": dH}
