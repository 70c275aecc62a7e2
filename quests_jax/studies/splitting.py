"""Training, validation and test sets that do not know each other, from blocks of similar structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.progress import advance
from quests_jax.information import DEFAULT_BANDWIDTH, structure_masses

FRACTIONS = (0.8, 0.1, 0.1)
QUERIES = 4096  # environments whose masses are held at a time
ALL_PAIRS = 20_000  # structures of which all pairs fit in memory
FINEST = 1e-9  # likeness below which structures have nothing to do with each other


class Split(NamedTuple):
    """Parts of a data set of S structures."""

    parts: tuple[np.ndarray, ...]  # ascending numbers of the structures of each part
    blocks: np.ndarray  # [S] block of each structure; a block is never divided
    level: float | None  # no structure is more like one of another block than this; None for given groups

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(np.unique(self.blocks))


def likeness(envs: Environments, *, bandwidth: float = DEFAULT_BANDWIDTH) -> np.ndarray:
    """How much of each structure each other one covers, the larger of both directions; shape [S, S].

        A_st = (1/n_t) Σ_{i in t} min(1, M_is),    likeness = max(A_st, A_ts)

    with the masses M of the cover problem; 1 on the diagonal, 0 for structures without atoms.
    """
    S, counts = envs.n_structures, envs.counts
    if S > ALL_PAIRS:
        raise InputError(f"{S:,} structures are too many to compare all pairs; use --group KEY.")
    shares = np.zeros((S, S))
    number = np.asarray(envs.structure_id)
    for start in range(0, len(envs), QUERIES):
        rows = slice(start, start + QUERIES)
        masses = structure_masses(envs.take(rows), envs, number, S, bandwidth=bandwidth)
        own = number[rows]
        borders = np.flatnonzero(np.diff(own, prepend=-1))
        shares[:, own[borders]] += np.add.reduceat(np.minimum(np.asarray(masses), 1.0), borders, axis=1)
        advance("likeness", min(start + QUERIES, len(envs)), len(envs))
    shares /= np.maximum(counts, 1)
    alike = np.clip(np.maximum(shares, shares.T), 0.0, 1.0)
    np.fill_diagonal(alike, 1.0)
    return alike


def split(
    envs: Environments,
    fractions: Sequence[float] = FRACTIONS,
    *,
    groups: Sequence[object] | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    seed: int = 0,
) -> Split:
    """Divide structures into parts so that no part covers much of another.

    Structures are joined into blocks wherever one covers more of another than a level (the connected parts
    of that graph), and each block goes undivided to the part that is furthest below its size. The level is
    the smallest at which no block exceeds the largest part and there are at least as many blocks as parts.
    Isolated atoms always go to the first part: potentials take their energies from there.

    Args:
      envs: environments of S structures.
      fractions: shares of the structures, in the order of the parts; they add up to 1.
      groups: a label per structure that makes the blocks instead, shape [S].
      bandwidth: h in Å⁻¹.
      seed: random seed for the order of blocks of equal size.

    Raises:
      InputError: fractions that do not add up, fewer blocks than parts, or labels that do not fit.

    >>> from quests_jax.base.environments import make_environments
    >>> envs = make_environments(np.array([[1.0], [1.01], [5.0], [5.01]]), np.arange(4))
    >>> [part.tolist() for part in split(envs, (0.5, 0.5), bandwidth=0.1).parts]
    [[0, 1], [2, 3]]
    """
    share = np.asarray(fractions, float)
    if len(share) < 2 or not np.all(share > 0) or abs(share.sum() - 1) > 1e-6:
        raise InputError(
            f"fractions must be positive and add up to 1, as 0.8,0.1,0.1; got {list(fractions)}."
        )
    wanted = share * envs.n_structures
    level = None
    if groups is not None:
        if len(groups) != envs.n_structures:
            raise InputError(f"groups: expected {envs.n_structures} labels, got {len(groups)}.")
        blocks = np.unique(np.array([str(group) for group in groups]), return_inverse=True)[1]
    else:
        alike = likeness(envs, bandwidth=bandwidth)
        blocks, level = _blocks(alike, int(np.ceil(wanted.max())), len(share))
    count = len(np.unique(blocks))
    if count < len(share):
        raise InputError(f"{count} blocks cannot make {len(share)} parts; give more structures or groups.")
    return Split(_shared_out(blocks, wanted, isolated(envs), seed), blocks, level)


def isolated(envs: Environments) -> np.ndarray:
    """Which structures are single atoms without neighbors: one environment that is 0; shape [S]."""
    alone = np.zeros(envs.n_structures, bool)
    alone[np.asarray(envs.structure_id)] = ~np.asarray(envs.x).any(axis=1)
    return alone & (envs.counts == 1)


def _blocks(alike: np.ndarray, most: int, parts: int) -> tuple[np.ndarray, float]:
    """Connected structures at the smallest level with blocks for all parts that hold `most` each, and it."""
    if len(alike) < 2:
        return np.zeros(len(alike), int), 0.0
    tree = linkage(squareform(1.0 - alike, checks=False), "single")
    heights = np.unique(np.concatenate([[1.0 - FINEST], tree[:, 2]]))[::-1]
    low = 0
    high = len(heights)  # blocks shrink as the height falls
    while low < high:
        middle = (low + high) // 2
        blocks = fcluster(tree, heights[middle], "distance")
        sizes = np.bincount(blocks)[1:]
        fine = sizes.max() <= most and len(sizes) >= parts
        low, high = (low, middle) if fine else (middle + 1, high)
    if low == len(heights):  # structures that are alike in every way are kept together as long as possible
        return np.arange(len(alike)), 1.0
    below = 1.0 - heights[low - 1] if low else 0.0
    return fcluster(tree, heights[low], "distance"), float(max(below, 0.0))


def _shared_out(
    blocks: np.ndarray, wanted: np.ndarray, single: np.ndarray, seed: int
) -> tuple[np.ndarray, ...]:
    """Blocks to parts, the largest first, each to the part furthest below its size; isolated atoms first.

    A part that got nothing takes the smallest block of the part with the most blocks.
    """
    names, sizes = np.unique(blocks, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    left = wanted.astype(float)
    part_of = {}
    for place in order:
        fits = np.flatnonzero(left >= sizes[place] - 0.5)
        part = int(fits[(left[fits] / wanted[fits]).argmax()]) if len(fits) else int(left.argmax())
        part_of[names[place]] = part
        left[part] -= sizes[place]
    for empty in sorted(set(range(len(wanted))) - set(part_of.values())):
        held = [part_of[name] for name in names]
        giver = int(np.bincount(held).argmax())
        smallest = min((size, place) for place, size in enumerate(sizes) if held[place] == giver)[1]
        part_of[names[smallest]] = empty
    part = np.array([part_of[block] for block in blocks])
    part[single] = 0
    return tuple(np.flatnonzero(part == number) for number in range(len(wanted)))
