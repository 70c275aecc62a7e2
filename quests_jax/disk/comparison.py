"""A data set past memory against a reference that is in memory."""

from __future__ import annotations

import numpy as np

from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.disk.covers import covered
from quests_jax.disk.shards import Shards
from quests_jax.disk.targets import pose_on_disk
from quests_jax.studies.outliers import Outliers, outliers_among
from quests_jax.studies.overlaps import Comparison, comparison


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
    return comparison(_against(shards, reference, bandwidth), reference, bandwidth=bandwidth)


@follows_dtype
def outliers_of_shards(
    shards: Shards, reference: Environments, *, quantile: float, bandwidth: float
) -> Outliers:
    """`studies.outliers.find_outliers` of environments on disk; raises as it, and as `compare_shards`."""
    dH = _against(shards, reference, bandwidth)
    return outliers_among(dH, shards.counts, reference, quantile=quantile, bandwidth=bandwidth)


def _against(shards: Shards, reference: Environments, bandwidth: float) -> np.ndarray:
    return covered(pose_on_disk(shards, 0, bandwidth, 0, 0, reference), np.zeros(0, int))
