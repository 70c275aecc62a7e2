"""Rules to compare with: each takes environments and a size or a budget and returns a `Selection` within it.

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
from quests_jax.base.environments import Environments, apart
from quests_jax.base.numerics import dot
from quests_jax.base.precision import follows_dtype
from quests_jax.base.selection_size import Size
from quests_jax.cover.budget import Budget, budget_of_choice, first_affordable, spending_limit
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

BLOCK = 64  # rows of a structure whose distances to all environments are formed at a time
DECIMALS = 9  # scores that agree to this many, relative to the largest, are equal; the lowest number wins


@follows_dtype
def random_choice(
    envs: Environments,
    *,
    key: jax.Array | None = None,
    size: float | Size | None = None,
    budget: Budget | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """Structures in random order, without replacement; smaller sizes are prefixes of larger ones."""
    del bandwidth, reference
    limit = budget_of_choice(envs.n_structures, size=size, budget=budget)
    order = generator_of(key).permutation(envs.n_structures)
    return listed(first_affordable(order, limit), "random")


@follows_dtype
def stratified(
    envs: Environments,
    *,
    key: jax.Array | None = None,
    labels: Sequence[object],
    size: float | Size | None = None,
    budget: Budget | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """Random structures, of each label in proportion to how often it occurs (within one structure).

    Args:
      envs: environments of S structures.
      key: random key for the order; default `jax.random.key(0)`.
      size: fraction of the structures, or a number of structures; or else
      budget: a budget of costs, see `quests_jax.cover.budget`.
      labels: one label per structure, S in all.
      bandwidth: not used.
      reference: not used.

    Raises:
      InputError: not one label per structure, or a size out of range.
    """
    del bandwidth, reference
    if len(labels) != envs.n_structures:
        raise InputError(f"labels: expected {envs.n_structures}, one per structure, got {len(labels)}.")
    generator = generator_of(key)
    group = np.unique(np.asarray(labels, str), return_inverse=True)[1]
    place = np.empty(envs.n_structures)
    for members in members_of(group):
        place[generator.permutation(members)] = (np.arange(len(members)) + generator.random()) / len(members)
    limit = budget_of_choice(envs.n_structures, size=size, budget=budget)
    return listed(first_affordable(np.argsort(place), limit), "stratified")


@follows_dtype
def farthest_point(
    envs: Environments,
    *,
    size: float | Size | None = None,
    budget: Budget | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """Farthest points with QUESTS' distance of structures, the mean over all pairs of environments.

        S_1 = argmax_S H_S,    S_{t+1} = argmax_S min_{T in C_t} (1/n_S n_T) Σ_{i in S, j in T} |x_i − x_j|

    A reference counts as one structure that is chosen already.

    Args:
      envs: environments of S structures.
      size: fraction of the structures, or a number of structures; or else
      budget: a budget of costs, see `quests_jax.cover.budget`.
      bandwidth: h of the entropies H_S, in Å⁻¹.
      reference: environments that are known already, shape [r, d], Å⁻¹.
    """
    x = apart(envs, bandwidth)
    known = known_environments(reference, envs)
    limit = budget_of_choice(envs.n_structures, size=size, budget=budget)
    center = x.mean(axis=0, keepdims=True)
    centered = jnp.asarray(x - center)
    rows = jnp.pad(centered, ((0, BLOCK), (0, 0)))
    ends = np.concatenate([[0], np.cumsum(envs.counts)])
    counts = np.maximum(envs.counts, 1)

    def mean_distance(other: jax.Array, first: int, last: int) -> np.ndarray:
        total = np.asarray(_summed_distance(centered, other, jnp.int32(first), jnp.int32(last)))
        sums = np.bincount(np.asarray(envs.structure_id), total, minlength=envs.n_structures)
        return sums / (counts * max(last - first, 1))

    def to_structure(s: int) -> np.ndarray:
        return mean_distance(rows, ends[s], ends[s + 1])

    if not len(known):
        entropy = np.round(structure_entropies(envs, bandwidth=bandwidth), DECIMALS)
        return _farthest(limit, to_structure, entropy, "fps")
    others = jnp.pad(jnp.asarray(apart(known, bandwidth) - center), ((0, BLOCK), (0, 0)))
    start = mean_distance(others, 0, len(known))
    return _farthest(limit, to_structure, start, "fps", known=True)


@follows_dtype
def mean_farthest_point(
    envs: Environments,
    *,
    key: jax.Array | None = None,
    size: float | Size | None = None,
    budget: Budget | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """Farthest points among mean descriptors, from a random one or from the mean of the reference."""
    del bandwidth
    known = known_environments(reference, envs)
    means, known_mean = means_of(envs, known)
    limit = budget_of_choice(envs.n_structures, size=size, budget=budget)

    def to_structure(s: int) -> np.ndarray:
        return distances(means, means[s])

    if known_mean is None:
        open_ = _open(limit, spending_limit(limit))
        drawn = np.zeros(len(means))
        drawn[open_[generator_of(key).integers(len(open_))]] = 1.0
        return _farthest(limit, to_structure, drawn, "mean-fps")
    return _farthest(limit, to_structure, distances(means, known_mean), "mean-fps", known=True)


@follows_dtype
def mean_facility_location(
    envs: Environments,
    *,
    size: float | Size | None = None,
    budget: Budget | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """Greedy facility location of mean descriptors: the chosen ones are near to all.

        max Σ_s [R − min_{t in C} |x̄_s − x̄_t|]⁺,    R = the largest distance to the mean of all, doubled

    Monotone and submodular; the search is lazy and keeps no matrix of distances. A reference counts as one
    structure, at its mean.
    """
    del bandwidth
    known = known_environments(reference, envs)
    means, known_mean = means_of(envs, known)
    limit = budget_of_choice(envs.n_structures, size=size, budget=budget)
    nearest = np.full(len(means), 2.0 * distances(means, means.mean(axis=0)).max())
    if known_mean is not None:
        nearest = np.minimum(nearest, distances(means, known_mean))
    cost = np.asarray(limit.cost)
    left = spending_limit(limit)
    queue = [(-np.inf, s, -1) for s in range(len(means))]  # −gain, structure, picks it was computed for
    selected, gains = [], []
    while queue:
        gain, s, known_for = heapq.heappop(queue)
        if cost[s] > left:
            continue
        distance = distances(means, means[s])
        if known_for < len(selected):
            gain = -float(np.maximum(nearest - distance, 0.0).sum())
            heapq.heappush(queue, (gain, s, len(selected)))
            continue
        nearest = np.minimum(nearest, distance)
        selected.append(s)
        gains.append(-gain)
        left -= cost[s]
    return listed(selected, "facility", gains)


# --- farthest points -----------------------------------------------------------------------------------


def _farthest(
    budget: Budget,
    to_structure: Callable[[int], np.ndarray],
    start: np.ndarray,
    method: str,
    *,
    known: bool = False,
) -> Selection:
    """Farthest points within a budget.

    The first is the largest of `start`, shape [S]: distances that are `known`, or else any scores, which then
    count for the first pick only.
    """
    cost = np.asarray(budget.cost)
    left = spending_limit(budget)
    selected = []
    gains = []
    nearest = start
    while len(open_ := np.setdiff1d(_open(budget, left), selected)):
        s = int(open_[np.argmax(_rounded(nearest[open_]))])
        gains.append(float(nearest[s]) if known or selected else 0.0)
        nearest = np.minimum(nearest, to_structure(s)) if known or selected else to_structure(s)
        selected.append(s)
        left -= cost[s]
    return listed(selected, method, gains)


def _rounded(scores: np.ndarray) -> np.ndarray:
    """Scores in units of the largest, with rounding errors taken away."""
    largest = np.abs(scores[np.isfinite(scores)]).max(initial=0.0)
    return np.round(scores / largest if largest > 0 else scores, DECIMALS)


def _open(budget: Budget, left: float) -> np.ndarray:
    """Numbers of the structures that the rest of the budget pays for."""
    return np.flatnonzero(np.asarray(budget.cost) <= left)


@jax.jit
def _summed_distance(x: jax.Array, rows: jax.Array, first: jax.Array, last: jax.Array) -> jax.Array:
    """Σ_j |x_i − y_j| over rows first..last, shape [n]; `rows` has BLOCK more at its end."""
    norms = jnp.sum(x**2, axis=1)

    def add(block, total):
        begin = first + block * BLOCK
        y = jax.lax.dynamic_slice_in_dim(rows, begin, BLOCK)
        squared = norms[:, None] + jnp.sum(y**2, axis=1)[None] - 2.0 * dot(x, y.T)
        own = begin + jnp.arange(BLOCK, dtype=first.dtype) < last
        return total + jnp.sum(jnp.where(own[None], jnp.sqrt(jnp.maximum(squared, 0.0)), 0.0), axis=1)

    return jax.lax.fori_loop(0, -(-(last - first) // BLOCK), add, jnp.zeros(len(x), x.dtype))
