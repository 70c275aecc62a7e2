"""Rules to compare with that cluster mean descriptors and take one structure of each cluster.

Signatures and the order of arguments are those of `baselines`; none uses a reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.typing import ArrayLike
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import cdist

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.base.selection_size import check_size
from quests_jax.cover.known_environments import known_environments
from quests_jax.cover.rules.structure_means import (
    distances,
    generator_of,
    listed,
    means_of,
    members_of,
    structure_entropies,
)
from quests_jax.cover.selection import Selection
from quests_jax.information import DEFAULT_BANDWIDTH

ALL_PAIRS = 20_000  # structures whose distances Ward's method keeps: 1.6 GB
ROUNDS = 100  # of Lloyd's algorithm


@follows_dtype
def k_means(
    envs: Environments,
    *,
    key: jax.Array | None = None,
    size: float,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """A random structure of each of `size` clusters of mean descriptors (k-means++ and Lloyd's algorithm)."""
    del bandwidth, reference
    generator = generator_of(key)
    return _one_of_each_cluster(envs, size, generator, generator.choice, "k-means")


@follows_dtype
def k_means_entropy(
    envs: Environments,
    *,
    key: jax.Array | None = None,
    size: float,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """The structure of largest entropy H_S of each of `size` clusters of mean descriptors."""
    del reference
    entropy = structure_entropies(envs, bandwidth=bandwidth)

    def largest(members: np.ndarray) -> int:
        return members[np.argmax(entropy[members])]

    return _one_of_each_cluster(envs, size, generator_of(key), largest, "k-means-H")


@follows_dtype
def direct(
    envs: Environments,
    *,
    key: jax.Array | None = None,
    size: float,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """DIRECT sampling [qi:24] of mean descriptors: weighted principal components, clusters, their centers.

    Components of the standardized means with an eigenvalue above 1, each times its share of the variance;
    `size` clusters by Ward's method, which is the last stage of BIRCH (whose first stage only saves memory);
    of each cluster the structure nearest to its centroid.
    """
    del bandwidth, reference
    size = check_size(size, envs.n_structures)
    if envs.n_structures > ALL_PAIRS:
        raise InputError(
            f"direct needs the distances of all pairs of {envs.n_structures:,} structures "
            f"(at most {ALL_PAIRS:,}, for 2 GB); use k-means, mean-fps or cover."
        )
    points = _weighted_components(means_of(envs, known_environments(None, envs))[0])
    if envs.n_structures == 1:
        return listed([0], "direct")
    chosen = []
    for members in members_of(cut_tree(linkage(points, "ward"), n_clusters=size)[:, 0]):
        chosen.append(members[np.argmin(distances(points[members], points[members].mean(axis=0)))])
    return _filled(chosen, size, envs, generator_of(key), "direct")


def _one_of_each_cluster(
    envs: Environments,
    size: float,
    generator: np.random.Generator,
    pick: Callable[[np.ndarray], int],
    method: str,
) -> Selection:
    """What `pick` takes of the members of each of `size` k-means clusters of mean descriptors."""
    size = check_size(size, envs.n_structures)
    clusters = members_of(_lloyd(means_of(envs, known_environments(None, envs))[0], size, generator))
    return _filled([pick(members) for members in clusters], size, envs, generator, method)


def _lloyd(points: np.ndarray, n_clusters: int, generator: np.random.Generator) -> np.ndarray:
    """Cluster of each point; clusters may be empty where points coincide."""
    centers = points[_plus_plus(points, n_clusters, generator)]
    group = cdist(points, centers).argmin(axis=1)
    for _ in range(ROUNDS):
        for members in members_of(group):
            centers[group[members[0]]] = points[members].mean(axis=0)
        before, group = group, cdist(points, centers).argmin(axis=1)
        if np.array_equal(before, group):
            break
    return group


def _plus_plus(points: np.ndarray, n_clusters: int, generator: np.random.Generator) -> list[int]:
    """First centers: each next one at random, in proportion to its squared distance from those before."""
    chosen = [int(generator.integers(len(points)))]
    nearest = distances(points, points[chosen[0]]) ** 2
    while len(chosen) < n_clusters:
        even = np.full(len(points), 1.0 / len(points))
        s = int(generator.choice(len(points), p=nearest / nearest.sum() if nearest.sum() > 0 else even))
        chosen.append(s)
        nearest = np.minimum(nearest, distances(points, points[s]) ** 2)
    return chosen


def _filled(
    chosen: Sequence[int], size: int, envs: Environments, generator: np.random.Generator, method: str
) -> Selection:
    """Exactly `size` structures: random ones join where coincident points left clusters empty."""
    others = generator.permutation(np.setdiff1d(np.arange(envs.n_structures), chosen))
    return listed(np.concatenate([chosen, others[: size - len(chosen)]]), method)


def _weighted_components(points: np.ndarray) -> np.ndarray:
    """Principal components of standardized features, eigenvalue above 1, times their share of variance."""
    spread = points.std(axis=0)
    standard = (points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    _, singular, axes = np.linalg.svd(standard, full_matrices=False)
    variance = singular**2 / max(len(points) - 1, 1)
    kept = variance > 1.0
    kept[0] = True
    return standard @ axes[kept].T * (variance[kept] / max(variance.sum(), 1e-300))[None]
