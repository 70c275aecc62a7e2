"""Relaxed covers: a fractional choice that is rounded, filled up greedily and improved by swaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.defaults import key_or_default
from quests_jax.base.precision import follows_dtype
from quests_jax.base.selection_size import Size
from quests_jax.cover.bounds.certificate import bound_with_dropped, relax
from quests_jax.cover.budget import Budget
from quests_jax.cover.group_quotas import Quota, leaving_room
from quests_jax.cover.problem import CoverProblem, coverage, make_budget
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.cover.solvers.rounding import pipage_round, swap, threshold_round

DRAWS = 4  # random roundings


@follows_dtype
def relaxed_cover(
    problem: CoverProblem,
    *,
    size: float | Size | None = None,
    cost_budget: float | None = None,
    key: jax.Array | None = None,
    quota: Quota | None = None,
) -> Selection:
    """Choose structures by relaxing, rounding and swapping, with a proof of how good the choice is.

    The relaxed choice is rounded several times (by threshold, and at random within the budget) and filled up
    greedily. The greedy choice and the best of these are improved by swaps until no swap helps, so the
    answer never covers less than greedy.

    Args:
      problem: the cover problem, from `cover_problem`.
      size: fraction or number of structures; or else
      cost_budget: largest sum of costs.
      key: random key for the roundings; default `jax.random.key(0)`.
      quota: numbers of each group to choose at least, from `make_quota`. The relaxed cover and its bound
        ignore them, and the bound stays valid: quotas only restrict the choice.

    Returns:
      `Selection` in greedy order, with upper_bound, certified_ratio and the relaxed weights [S].

    Raises:
      InputError: both limits or none, one out of range, or quotas that cannot be met.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> relaxed = qj.relaxed_cover(problem, size=2)
    >>> sorted(relaxed.selected.tolist()), round(relaxed.certified_ratio, 3)
    ([1, 2], 1.0)
    """
    budget = make_budget(problem, size=size, cost_budget=cost_budget)
    relaxation = relax(problem, budget)
    fill = partial(_filled, problem, budget, size=size, cost_budget=cost_budget, quota=quota)
    w = np.asarray(relaxation.weights)
    draws = jax.random.split(key_or_default(key), DRAWS)
    rounded = [threshold_round(w, budget), *(pipage_round(w, budget, key=draw) for draw in draws)]
    starts = fill(), max((fill(include=chosen) for chosen in rounded), key=_covered)
    best = max((_swapped(problem, budget, fill, start, quota) for start in starts), key=_covered)
    ordered = in_greedy_order(problem, best.selected)
    bound = bound_with_dropped(problem, budget, relaxation, _covered(ordered))
    return ordered._replace(method="relaxed", upper_bound=bound, weights=w)


def _covered(selection: Selection) -> float:
    return selection.coverage or 0.0


def _filled(
    problem: CoverProblem,
    budget: Budget,
    *,
    size: float | Size | None,
    cost_budget: float | None,
    quota: Quota | None,
    include: Sequence[int] | np.ndarray = (),
) -> Selection:
    """Greedy cover with as many of these structures, in their order, as leave room for the quotas."""
    if quota is not None:
        include = leaving_room(quota, np.asarray(budget.cost), include, float(budget.limit))
    return greedy_cover(problem, size=size, cost_budget=cost_budget, include=include, quota=quota)


def _swapped(
    problem: CoverProblem,
    budget: Budget,
    fill: Callable[..., Selection],
    best: Selection,
    quota: Quota | None,
) -> Selection:
    """Swap and fill until nothing is gained."""
    while _covered(better := fill(include=swap(problem, budget, best.selected, quota))) > _covered(best):
        best = better
    return best


def in_greedy_order(problem: CoverProblem, selected: np.ndarray) -> Selection:
    """The same structures in the order in which greedy would choose among them, with gains and coverage."""
    if not len(selected):
        nothing = jnp.zeros_like(problem.cost)
        return Selection(np.zeros(0, int), np.zeros(0), "cover", float(coverage(problem, nothing)))
    others = np.setdiff1d(np.arange(problem.n_structures), selected)
    return greedy_cover(problem, size=len(selected), exclude=others.tolist())
