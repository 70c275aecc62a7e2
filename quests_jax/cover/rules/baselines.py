"""Rules to compare with: each takes environments and a size and returns a `Selection` of just that size.

Some look at environments, most at the mean descriptor of each structure, as is common practice. None
comes with a bound. `gains` are what the rule itself maximizes, 0 where it ranks no single structure.
Where a rule has no use for the bandwidth or for a reference, it takes them all the same and ignores them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.sizes import check_size
from quests_jax.cover.rules.structure_means import (
    checked,
    distances,
    generator_of,
    listed,
    means_of,
    members_of,
    structure_entropies,
)
from quests_jax.cover.selection import Selection
from quests_jax.information import DEFAULT_BANDWIDTH

BLOCK = 64  # rows of a structure whose distances to all environments are formed at a time
DECIMALS = 9  # mean distances (Å⁻¹) that agree to this many are equal; ties go to the lowest number


def random_choice(
    envs: Environments,
    *,
    key: jax.Array | None = None,
    size: float,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | None = None,
) -> Selection:
    """Structures in random order, without replacement; smaller sizes are prefixes of larger ones."""
    del bandwidth, reference
    order = generator_of(key).permutation(envs.n_structures)
    return listed(order[: check_size(size, envs.n_structures)], "random")


def stratified(
    envs: Environments,
    *,
    key: jax.Array | None = None,
    size: float,
    labels: Sequence[object],
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | None = None,
) -> Selection:
    """Random structures, of each label in proportion to how often it occurs (within one structure).

    Args:
      envs: environments of S structures.
      key: of the random order; `jax.random.key(0)` where not given.
      size: fraction of the structures, or a number of structures.
      labels: of each structure, S of them.
      bandwidth: not used.
      reference: not used.

    Raises:
      InputError: not one label per structure, or a size out of range.
    """
    del bandwidth, reference
    if len(labels) != envs.n_structures:
        raise InputError(f"labels: expected {envs.n_structures}, one per structure, got {len(labels)}.")
    generator, group = generator_of(key), np.unique(np.asarray(labels, str), return_inverse=True)[1]
    place = np.empty(envs.n_structures)
    for members in members_of(group):
        place[generator.permutation(members)] = (np.arange(len(members)) + generator.random()) / len(members)
    return listed(np.argsort(place)[: check_size(size, envs.n_structures)], "stratified")


def farthest_point(
    envs: Environments,
    *,
    size: float,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | None = None,
) -> Selection:
    """Farthest points with QUESTS' distance of structures, the mean over all pairs of environments.

        S_1 = argmax_S H_S,    S_{t+1} = argmax_S min_{T in C_t} (1/n_S n_T) Σ_{i in S, j in T} |x_i − x_j|

    A reference counts as one structure that is chosen already.

    Args:
      envs: environments of S structures.
      size: fraction of the structures, or a number of structures.
      bandwidth: h of the entropies H_S, in Å⁻¹.
      reference: environments that are known already, shape [r, d], Å⁻¹.
    """
    x = np.asarray(envs.x, np.float64)
    known = checked(reference, x)
    center = x.mean(axis=0, keepdims=True)
    centered = jnp.asarray(x - center)
    rows = jnp.pad(centered, ((0, BLOCK), (0, 0)))
    ends, counts = np.concatenate([[0], np.cumsum(envs.counts)]), np.maximum(envs.counts, 1)

    def mean_distance(other: jax.Array, first: int, last: int) -> np.ndarray:
        total = np.asarray(_summed_distance(centered, other, jnp.int32(first), jnp.int32(last)))
        sums = np.bincount(np.asarray(envs.structure_id), total, minlength=envs.n_structures)
        return sums / (counts * max(last - first, 1))

    def to_structure(s: int) -> np.ndarray:
        return mean_distance(rows, ends[s], ends[s + 1])

    if known is None:
        entropy = structure_entropies(envs, bandwidth=bandwidth)
        return _farthest(envs, size, to_structure, int(np.argmax(np.round(entropy, DECIMALS))), "fps")
    start = mean_distance(jnp.pad(jnp.asarray(known - center), ((0, BLOCK), (0, 0))), 0, len(known))
    return _farthest(envs, size, to_structure, start, "fps")


def mean_farthest_point(
    envs: Environments,
    *,
    key: jax.Array | None = None,
    size: float,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | None = None,
) -> Selection:
    """Farthest points among mean descriptors, from a random one or from the mean of the reference."""
    del bandwidth
    means, known = means_of(envs), checked(reference, envs.x)
    start = (
        int(generator_of(key).integers(len(means))) if known is None else distances(means, known.mean(axis=0))
    )
    return _farthest(envs, size, lambda s: distances(means, means[s]), start, "mean-fps")


def facility_location(
    envs: Environments,
    *,
    size: float,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | None = None,
) -> Selection:
    """Greedy facility location of mean descriptors: the chosen ones are near to all.

        max Σ_s [R − min_{t in C} |x̄_s − x̄_t|]⁺,    R = the largest distance to the mean of all, doubled

    Monotone and submodular; the search is lazy and keeps no matrix of distances. A reference counts as one
    structure, at its mean.
    """
    del bandwidth
    means, known = means_of(envs), checked(reference, envs.x)
    nearest = np.full(len(means), 2.0 * distances(means, means.mean(axis=0)).max())
    if known is not None:
        nearest = np.minimum(nearest, distances(means, known.mean(axis=0)))
    queue = [(-np.inf, s, -1) for s in range(len(means))]  # −gain, structure, picks it was computed for
    selected, gains = [], []
    while len(selected) < check_size(size, envs.n_structures):
        gain, s, known_for = heapq.heappop(queue)
        distance = distances(means, means[s])
        if known_for < len(selected):
            gain = -float(np.maximum(nearest - distance, 0.0).sum())
            heapq.heappush(queue, (gain, s, len(selected)))
            continue
        nearest = np.minimum(nearest, distance)
        selected.append(s)
        gains.append(-gain)
    return listed(selected, "facility", gains)


# --- farthest points -----------------------------------------------------------------------------------


def _farthest(
    envs: Environments,
    size: float,
    to_structure: Callable[[int], np.ndarray],
    start: int | np.ndarray,
    method: str,
) -> Selection:
    """Farthest points from a first structure (an int) or from distances that are known already."""
    size = check_size(size, envs.n_structures)
    selected, gains = ([start], [0.0]) if isinstance(start, int) else ([], [])
    nearest = to_structure(start) if isinstance(start, int) else start
    while len(selected) < size:
        score = np.round(nearest, DECIMALS)
        score[selected] = -np.inf
        s = int(np.argmax(score))
        selected.append(s)
        gains.append(float(nearest[s]))
        nearest = np.minimum(nearest, to_structure(s))
    return listed(selected, method, gains)


@jax.jit
def _summed_distance(x: jax.Array, rows: jax.Array, first: jax.Array, last: jax.Array) -> jax.Array:
    """Σ_j |x_i − y_j| over rows first..last, shape [n]; `rows` has BLOCK more at its end."""
    norms = jnp.sum(x**2, axis=1)

    def add(block, total):
        begin = first + block * BLOCK
        y = jax.lax.dynamic_slice_in_dim(rows, begin, BLOCK)
        squared = norms[:, None] + jnp.sum(y**2, axis=1)[None] - 2.0 * (x @ y.T)
        own = begin + jnp.arange(BLOCK, dtype=first.dtype) < last
        return total + jnp.sum(jnp.where(own[None], jnp.sqrt(jnp.maximum(squared, 0.0)), 0.0), axis=1)

    return jax.lax.fori_loop(0, -(-(last - first) // BLOCK), add, jnp.zeros(len(x), x.dtype))
