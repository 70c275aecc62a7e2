"""Structures seen whole: one mean descriptor, one entropy each; what simple rules of choice work with."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from scipy.spatial.distance import cdist

from quests_jax.base.defaults import key_or_default
from quests_jax.base.environments import Environments
from quests_jax.cover.selection import Selection


def listed(
    selected: Sequence[int] | np.ndarray, method: str, gains: Sequence[float] | None = None
) -> Selection:
    """Structures and their gains (0 where the rule has none) as the result of a method."""
    chosen = np.asarray(selected, int)
    return Selection(chosen, np.zeros(len(chosen)) if gains is None else np.asarray(gains), method)


def generator_of(key: jax.Array | None) -> np.random.Generator:
    """NumPy's generator for the host, seeded by a JAX key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key_or_default(key))).tolist())


def structure_entropies(envs: Environments, *, bandwidth: float) -> np.ndarray:
    """H_S of each structure in nats, shape [S]; -inf for one without environments."""
    entropy = np.full(envs.n_structures, -np.inf)
    blocks = np.split(np.asarray(envs.x, np.float64), np.cumsum(envs.counts)[:-1])
    for s, x in enumerate(blocks):
        if len(x):
            kernel = np.exp(-cdist(x, x, "sqeuclidean") / (2 * bandwidth**2))
            entropy[s] = np.log(len(x)) - np.log(kernel.sum(axis=1)).mean()
    return entropy


def means_of(envs: Environments) -> np.ndarray:
    """Mean descriptor of each structure [S, d]; that of all environments where a structure has none."""
    x, counts = np.asarray(envs.x, np.float64), envs.counts
    sums = np.zeros((envs.n_structures, x.shape[1]))
    np.add.at(sums, np.asarray(envs.structure_id), x)
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], x.mean(axis=0)[None])


def distances(points: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Distance of each of the points [S, d] from one point [d]."""
    return np.linalg.norm(points - point[None], axis=1)


def members_of(group: np.ndarray) -> list[np.ndarray]:
    """Numbers of the members of each group that has any."""
    return [np.flatnonzero(group == g) for g in np.unique(group)]
