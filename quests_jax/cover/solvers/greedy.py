"""Greedy covers: limits of a choice on the host, around the lazy search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quests_jax.base.checks import InputError, check_positive
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.selection_size import Size, check_size
from quests_jax.base.wording import agreeing, counted
from quests_jax.cover.budget import COST_ROUNDING
from quests_jax.cover.group_quotas import Quota, check_quota
from quests_jax.cover.objectives.mass_functions import SATURATED, Measure, check_measure
from quests_jax.cover.objectives.objective import Objective, as_objective
from quests_jax.cover.problem import CoverProblem, check_masses, is_covered, placed
from quests_jax.cover.problem import saturated as mean_saturated
from quests_jax.cover.selection import Selection, check_structures
from quests_jax.cover.solvers import lazy

SEGMENT = 64  # picks between two reports of progress
NEGLIGIBLE = 1e-15  # of the coverage: a gain that no sum in float64 shows
NEVER = 2.0  # a coverage that is not reached


@follows_dtype
def greedy_cover(
    problem: CoverProblem,
    *,
    size: float | Size | None = None,
    coverage: float | None = None,
    cost_budget: float | None = None,
    min_gain: float | None = None,
    include: Sequence[int] | np.ndarray = (),
    exclude: Sequence[int] | np.ndarray = (),
    quota: Quota | None = None,
    measure: Measure | Objective = SATURATED,
) -> Selection:
    """Choose structures by their gain in saturated coverage, until the first of the limits is met.

    s_{t+1} = argmax_s [f(C_t + s) − f(C_t)] / c_s, where c = 1 unless a coverage or a cost budget is asked
    for. Within 1 − 1/e of the best coverage for its size, and for coverage 1 within a logarithmic factor of
    the smallest cost [nemhauser:78, wolsey:82]. Picks are in order, so every prefix is an answer; ties go
    to the lowest number. Where a size is the only limit and no structure adds anything any more, the farthest
    ones fill it up (see `lazy`), with gain 0.

    Args:
      problem: the cover problem, from `cover_problem`.
      size: fraction or number of structures; exactly as many are returned, unless another limit is met.
      coverage: fraction of the weighted environments; 1 means that every environment has mass 1.
      cost_budget: largest sum of costs.
      min_gain: coverage below which (or at which) a structure is not worth choosing.
      include: structures that are chosen first, in this order.
      exclude: structures that are never chosen.
      quota: numbers of each group to choose at least, from `make_quota`, whatever they add.
      measure: the objective, instead of the coverage; a `Measure` or an `Objective`.

    Returns:
      `Selection` whose gains are what each structure added to the coverage, and whose `saturated` says how
      many picks added anything, where that is known.

    Raises:
      InputError: no limit given, limits out of range, structures that do not exist or do not fit, quotas that
        cannot be met, or a coverage that the structures left cannot reach (the message names environments).

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> greedy = qj.greedy_cover(problem, size=2)
    >>> greedy.selected.tolist(), greedy.gains.round(2).tolist(), greedy.coverage
    ([1, 2], [0.75, 0.25], 1.0)
    """
    if isinstance(measure, Measure):
        check_measure(measure)
    check_masses(problem, saturated=measure is SATURATED)
    if coverage is not None and measure is not SATURATED:
        raise InputError("coverage is a limit of the saturated coverage only; give size or cost_budget.")
    first = check_structures("include", include, problem.n_structures)
    never = check_structures("exclude", exclude, problem.n_structures)
    if len(both := np.intersect1d(first, never)):
        raise InputError(f"structure {both[0]} is both in include and in exclude; leave it out of one.")
    stop = _picks(problem, size, first, never)
    only_size = coverage is cost_budget is min_gain is None
    least = NEGLIGIBLE if only_size else 0.0 if min_gain is None else check_positive("min_gain", min_gain)
    limits = lazy.Limits(
        price=placed(np.ones(problem.n_structures)) if coverage is cost_budget is None else problem.cost,
        budget=placed(_budget(problem, first, size, coverage, cost_budget, min_gain)),
        picks=placed(np.int32(stop)),
        target=placed(NEVER if coverage is None else float(coverage)),
        min_gain=placed(float(least)),
        quota=quota,
    )
    if quota is not None:
        check_quota(quota, np.asarray(problem.cost), first, never, (stop, float(limits.budget)))
    objective = as_objective(measure)
    state = lazy.start(problem, objective, limits, *_padded(problem, first, never))
    state = _run(lazy.choose, problem, objective, limits, state, stop)
    covered = measure is SATURATED and _is_all_covered(problem, state)
    saturated = covered or (min_gain is None and bool(state.saturated))
    if int(state.count) < stop and (only_size or quota is not None):
        state = _run(lazy.fill, problem, objective, limits, state, stop, placed(not only_size))
    if coverage is not None and size is None and cost_budget is None:
        _check_reached(problem, coverage, state)
    chosen = np.asarray(state.selected, int)[: int(state.count)]
    gains = np.asarray(state.gains)[: int(state.count)]
    value = float(objective.value(problem, state.level))
    return Selection(chosen, gains, "cover", value, saturated=_adding(gains) if saturated else None)


def _run(search, problem, objective, limits, state, stop, *how) -> lazy.State:
    """A search in segments, between which progress is reported."""
    while True:
        segment = np.int32(min(int(state.count) + SEGMENT, stop))
        state = search(problem, objective, limits, state, segment, *how)
        advance("selection", int(state.count), stop)
        if bool(state.done) or int(state.count) >= stop:
            return state


def _adding(gains: np.ndarray) -> int:
    """How many picks there are up to the last that adds anything."""
    adds = np.flatnonzero(gains > 0)
    return int(adds[-1]) + 1 if len(adds) else 0


def _picks(problem: CoverProblem, size: float | Size | None, first: np.ndarray, never: np.ndarray) -> int:
    """How many structures to choose at most."""
    available = problem.n_structures - len(never)
    if size is None:
        return available
    count = check_size(size, problem.n_structures)
    if count > available:
        raise InputError(
            f"size {count} is more than the {counted(available, 'structure')} not excluded; lower it."
        )
    if count < len(first):
        raise InputError(
            f"size {count} is less than the {counted(len(first), 'structure')} to include; raise it."
        )
    return count


def _budget(
    problem: CoverProblem,
    first: np.ndarray,
    size: float | Size | None,
    coverage: float | None,
    cost_budget: float | None,
    min_gain: float | None,
) -> float:
    """The largest sum of costs, after a look at the limits."""
    if size is coverage is cost_budget is min_gain is None:
        raise InputError("say when to stop: give size, coverage, cost_budget or min_gain.")
    if coverage is not None and not 0 < check_positive("coverage", coverage) <= 1:
        raise InputError(f"coverage must be in (0, 1], got {coverage}.")
    budget = np.inf if cost_budget is None else check_positive("cost_budget", cost_budget)
    if (needed := float(np.asarray(problem.cost)[first].sum())) > budget * (1 + 2 * COST_ROUNDING):
        raise InputError(f"include costs {needed:g}, more than cost_budget {budget:g}; raise the budget.")
    return budget * (1 + COST_ROUNDING)


def _padded(problem: CoverProblem, first: np.ndarray, never: np.ndarray) -> tuple:
    """Structures to begin with [S], how many they are, and which may not be chosen [S]."""
    order = np.zeros(problem.n_structures, np.int32)
    order[: len(first)] = first
    closed = np.isin(np.arange(problem.n_structures), never)
    return placed(order), placed(np.int32(len(first))), placed(closed)


def _is_all_covered(problem: CoverProblem, state: lazy.State) -> bool:
    return bool(np.all(is_covered(np.asarray(state.level)) | (np.asarray(problem.weights) == 0)))


def _check_reached(problem: CoverProblem, coverage: float, state: lazy.State) -> None:
    if bool(lazy.is_reached(problem, placed(float(coverage)), state.level)):
        return
    short = np.flatnonzero(np.asarray(~is_covered(state.level) & (problem.weights > 0)))
    shown = ", ".join(map(str, short[:10])) + (", ..." if len(short) > 10 else "")
    reached = float(mean_saturated(problem.weights, state.level))
    environments, are = counted(len(short), "environment"), agreeing(len(short), "is", "are")
    raise InputError(
        f"coverage {coverage:g} cannot be reached, only {reached:.6g}: {environments} ({shown}) {are} not "
        "covered by all structures together; exclude fewer structures or ask for less."
    )
