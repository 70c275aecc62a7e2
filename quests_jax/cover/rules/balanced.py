"""A cover of environments and of whole structures at once, for potentials that fit energies and forces.

    F(C) = ¼ Σ_i u_i min(1, m_i) / Σ_i u_i + ¼ Σ_i v_i min(1, n_i) / Σ_i v_i + ½ Σ_s min(1, μ_s) / S

    m_i = r_i + Σ_{t in C} Σ_{j in t} K_h(x_i, x_j),     u_i = 1/p_i with p_i = Σ_j K_h(x_i, x_j) over all j
    n_i, v_i: the same with the bandwidth 2h
    μ_s = ρ_s + Σ_{t in C} K_h(x̄_s, x̄_t),              x̄_s the mean descriptor of structure s

The first two parts count each distinct environment once, so that rare ones are kept: forces need them. The
third counts structures, so that each phase and each strained or cold cell is kept in proportion: energies
need those. All are rows of one cover problem: a structure brings its environments, the same at half the
scale, and its mean; rows of different kinds have nothing in common. F is monotone and submodular; greedy
choices, bounds and certificates are those of `cover`.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.environments import APART, Environments, structure_means
from quests_jax.base.precision import follows_dtype
from quests_jax.base.selection_size import Size
from quests_jax.cover.bounds.sampling import draw_targets
from quests_jax.cover.budget import Budget, budget_of_choice
from quests_jax.cover.known_environments import known_environments
from quests_jax.cover.posing import ALL, TARGETS, fits
from quests_jax.cover.problem import CoverProblem, cover_problem
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.information import DEFAULT_BANDWIDTH

FINE, COARSE, MEAN = 0, 1, 2  # kinds of rows
SHARES = {FINE: 0.25, COARSE: 0.25, MEAN: 0.5}  # of F
COARSER = 2.0  # the bandwidth of coarse rows over that of fine ones
LEAST_MASS = 0.5  # p_i is at least K(x_i, x_i) = 1; pruned masses may be somewhat smaller


class Stacked(NamedTuple):
    """Rows of several kinds as environments of the same structures."""

    envs: Environments  # with a column more
    kind: np.ndarray  # [n]


@follows_dtype
def balanced_problem(
    envs: Environments,
    *,
    bandwidth: float = DEFAULT_BANDWIDTH,
    cost: ArrayLike | None = None,
    reference: ArrayLike | Environments | None = None,
    seed: int = 0,
) -> CoverProblem:
    """The cover problem whose coverage is F, for any solver and for `certify`.

    Args:
      envs: environments of S structures, n in all.
      bandwidth: h in Å⁻¹.
      cost: cost of each structure, shape [S]; 1 where not given.
      reference: environments that are there already; `Environments` bring the means of their structures.
      seed: random seed for the sample of environments that stands for a large data set.

    Raises:
      InputError: what `cover_problem` refuses.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover.balanced_problem(envs, bandwidth=0.1)
    >>> problem.weights.shape, round(float(problem.weights.sum()), 6)  # 4 + 4 environments, 3 means
    ((11,), 1.0)
    """
    there = known_environments(reference, envs)
    known = stacked(there, bandwidth, means=isinstance(reference, Environments)).envs
    data = stacked(envs, bandwidth)
    if fits(data.envs) or len(data.envs) <= ALL:
        stands_for = np.ones(len(data.envs))
    else:
        stands_for = _sample(data, seed)
    rows = np.flatnonzero(stands_for)
    problem = cover_problem(
        data.envs, targets=data.envs.take(rows), bandwidth=bandwidth, cost=cost, reference=known
    )
    return dataclasses.replace(problem, weights=_weights(problem, data.kind[rows], stands_for[rows]))


@follows_dtype
def balanced(
    envs: Environments,
    *,
    size: float | Size | None = None,
    budget: Budget | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: ArrayLike | Environments | None = None,
) -> Selection:
    """Choose structures greedily by F; each prefix is a choice too.

    Args:
      envs: environments of S structures.
      size: a fraction or a number of structures; or else
      budget: costs of the structures and their limit, such as `atom_budget(envs, 0.1)`.
      bandwidth: h in Å⁻¹.
      reference: environments that are there already; the choice complements them.

    Raises:
      InputError: both limits or none, or what `cover_problem` refuses.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> qj.cover.balanced(envs, size=2, bandwidth=0.1).selected.tolist()
    [1, 2]
    """
    limit = budget_of_choice(envs.n_structures, size=size, budget=budget)
    problem = balanced_problem(envs, bandwidth=bandwidth, cost=limit.cost, reference=reference)
    if budget is None:
        found = greedy_cover(problem, size=size)
    else:
        found = greedy_cover(problem, cost_budget=float(limit.limit))
    return found._replace(method="balanced", coverage=None)


def stacked(envs: Environments, bandwidth: float, *, means: bool = True) -> Stacked:
    """The environments, the same for the bandwidth 2h, and the mean of each structure that has any.

    K_2h(x, y) = K_h(x/2, y/2). A column more keeps the kinds `APART` bandwidths from each other.
    """
    x, number = np.asarray(envs.x, np.float64), np.asarray(envs.structure_id)
    filled = np.flatnonzero(envs.counts) if means else np.zeros(0, int)
    parts = [x, x / COARSER, structure_means(x, number, envs.n_structures)[filled]]
    kind = np.repeat([FINE, COARSE, MEAN], [len(part) for part in parts])
    place = (APART * bandwidth * kind)[:, None]
    of = np.concatenate([number, number, filled]).astype(np.int32)
    order = np.argsort(of, kind="stable")
    labels = None
    if envs.elements is not None:
        own = np.asarray(envs.elements)
        labels = np.concatenate([own, own, np.zeros(len(filled), own.dtype)])[order]
    rows = np.concatenate([np.concatenate(parts), place], axis=1)[order]
    return Stacked(Environments(rows, of[order], envs.n_structures, labels), kind[order])


def _sample(data: Stacked, seed: int) -> np.ndarray:
    """How many rows each row stands for: those of a sample of the environments, and every mean."""
    stands_for = (data.kind == MEAN).astype(float)
    for kind in (FINE, COARSE):
        rows = np.flatnonzero(data.kind == kind)
        counts = np.bincount(np.asarray(data.envs.structure_id)[rows], minlength=data.envs.n_structures)
        drawn = draw_targets(counts, TARGETS // 2, seed=seed)
        stands_for[rows[drawn.rows]] = drawn.weights
    return stands_for


def _weights(problem: CoverProblem, kind: np.ndarray, stands_for: np.ndarray) -> jax.Array:
    """Shares of the kinds; distinct environments count alike, and so do structures."""
    p = np.asarray(problem.masses.total(jnp.ones(problem.n_structures)))
    u = np.where(kind == MEAN, 1.0, stands_for / np.maximum(p, LEAST_MASS))
    return jnp.asarray(sum(share * u * (kind == k) / u[kind == k].sum() for k, share in SHARES.items()))
