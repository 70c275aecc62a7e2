"""Relaxed covers: the choice may be fractional, which gives a bound; rounding gives a choice back.

For choices in {0, 1} the masses may be capped first, M_si → min(M_si, 1 − r_i): no coverage of a choice
changes, and the relaxation becomes much tighter. Where its bound is still far from the choice, `pairs` has a
better one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.checks import InputError, check_positive
from quests_jax.base.compiled_programs import jit
from quests_jax.base.defaults import key_or_default
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.selection_size import Size, check_size
from quests_jax.cover.bounds import relaxation as saddle
from quests_jax.cover.bounds.pairwise import MOST_STRUCTURES, pair_bound
from quests_jax.cover.bounds.relaxation import Data, Relaxation
from quests_jax.cover.budget import COST_ROUNDING, Budget
from quests_jax.cover.masses.sharded import Masses
from quests_jax.cover.objectives.mass_functions import SATURATED, Measure, check_measure
from quests_jax.cover.objectives.objective import Objective, mean_value, submodular_bound
from quests_jax.cover.problem import CoverProblem, coverage, indicator
from quests_jax.cover.quota import Quota, leaving_room
from quests_jax.cover.selection import Selection, check_structures
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.cover.solvers.rounding import pipage_round, swap, threshold_round

TOLERANCE = 1e-3  # relative gap between relaxed value and bound that is good enough
DRAWS = 4  # random roundings
CLOSE = 0.99  # of the bound: a choice that reaches it needs no better bound


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
    bound = _bound(problem, budget, relaxation, _covered(ordered))
    return ordered._replace(method="relaxed", upper_bound=bound, weights=w)


@follows_dtype
def certify(
    problem: CoverProblem,
    selection: Selection,
    *,
    measure: Measure | Objective = SATURATED,
    max_steps: int = 500,
    seconds: float | None = None,
) -> Selection:
    """The selection with its coverage, and with a bound on what any choice of the same cost could cover.

    The bound is a proof (see `relaxation` and `pairwise`), whatever rule made the selection, and also for
    choices that must meet quotas: those are some of all choices.

    Args:
      problem: the cover problem, from `cover_problem`; its costs say what "the same cost" means.
      selection: a choice of structures of this problem.
      measure: the objective to bound, instead of the coverage; a `Measure` or an `Objective`.
      max_steps: iteration limit of the solver; more steps bring the bound closer to that of the relaxation.
      seconds: after which no further step is begun; what was found by then holds all the same.

    Raises:
      InputError: structures that do not exist or come twice, or a measure whose bound would not hold.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> first = qj.greedy_cover(problem, size=1)
    >>> round(qj.certify(problem, first).certified_ratio, 3)
    1.0
    """
    selected = check_structures("selection", selection.selected, problem.n_structures)
    w = indicator(problem, selected)
    spent = np.sum(np.asarray(problem.cost)[selected])
    budget = Budget(problem.cost, jax.device_put(spent * (1 + COST_ROUNDING)))
    if isinstance(measure, Objective):
        value, bound = submodular_bound(problem, budget, measure, selected)
        return selection._replace(coverage=value, upper_bound=bound)
    until = math.inf if seconds is None else time.monotonic() + seconds
    relaxation = relax(problem, budget, measure=measure, max_steps=max_steps, start=w, until=until)
    covered = float(mean_value(problem, w, measure=measure))
    if measure is SATURATED:
        bound = _bound(problem, budget, relaxation, covered, until)
    else:
        slopes = jnp.sum(problem.weights * relaxation.multipliers) / jnp.sum(problem.weights)
        bound = float(relaxation.upper_bound + problem.dropped * slopes)
    return selection._replace(coverage=covered, upper_bound=max(bound, covered))


@follows_dtype
def make_budget(
    problem: CoverProblem, *, size: float | Size | None = None, cost_budget: float | None = None
) -> Budget:
    """The constraint that `size` (number or fraction of structures) or else `cost_budget` stands for.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> budget = qj.cover.make_budget(problem, size=2)
    >>> budget.cost.tolist(), float(budget.limit)
    ([1.0, 1.0, 1.0], 2.0)
    """
    if (size is None) == (cost_budget is None):
        raise InputError("give either size or cost_budget, and not both.")
    if size is not None:
        count = check_size(size, problem.n_structures)
        return Budget(jnp.ones_like(problem.cost), jnp.asarray(float(count)))
    return Budget(problem.cost, jnp.asarray(check_positive("cost_budget", cost_budget) * (1 + COST_ROUNDING)))


@follows_dtype
def relax(
    problem: CoverProblem,
    budget: Budget,
    *,
    measure: Measure = SATURATED,
    max_steps: int = 2000,
    start: jax.Array | None = None,
    until: float = math.inf,
) -> Relaxation:
    """Solve the relaxed cover by the primal-dual hybrid gradient method [chambolle:11, pock:11].

        w ← Π[w + τ M(uθ)],      θ ← argmin_t { t m̄ + ψ(t) + (t − θ)²/2σ },   m̄ = r + M(2w − w_old)

    with Π the projection onto the budget, diagonal steps τ and σ, reflected and restarted (see `saddle`).
    Matrix-free: one product with M and one with its transpose per step.

    Args:
      problem: the cover problem, from `cover_problem`.
      budget: the limit of the costs, from `make_budget`.
      measure: SATURATED (whose masses are capped), LOG_MASS or another one.
      max_steps: after which the best bound so far is returned; it holds all the same.
      start: first w, shape [S]; the even choice where not given.
      until: time of `time.monotonic` after which the best bound so far is returned.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> found = qj.cover.relax(problem, qj.cover.make_budget(problem, size=2))
    >>> round(float(found.upper_bound), 3)
    1.0
    """
    check_measure(measure)
    data = _data(problem, budget, measure)
    if start is None:
        start = jnp.full_like(problem.cost, jnp.minimum(budget.limit / jnp.sum(budget.cost), 1.0))
    best, iterate = saddle.begin(data, start, measure=measure)
    for done in range(0, max_steps, saddle.STEPS):
        best, iterate = saddle.improve(data, best, iterate, measure=measure)
        advance("relaxation", done + saddle.STEPS, max_steps)
        bound = float(best.upper_bound)
        if bound - float(best.value) <= TOLERANCE * abs(bound) or time.monotonic() > until:
            break
    bound = np.asarray(best.upper_bound)
    rounding = len(problem.weights) * np.finfo(problem.weights.dtype).eps * np.abs(bound)
    return best._replace(upper_bound=jax.device_put(bound + rounding))


@jit
def cap(problem: CoverProblem) -> Masses:
    """Masses min(M_si, 1 − r_i), with which every choice in {0, 1} covers the same."""
    return problem.masses.capped(jnp.maximum(1.0 - problem.reference_mass, 0.0))


def _data(problem: CoverProblem, budget: Budget, measure: Measure) -> Data:
    masses = cap(problem) if measure.capped else problem.masses
    u = np.asarray(problem.weights)
    return Data(masses, jax.device_put(u / u.sum()), problem.reference_mass, budget)


def _bound(
    problem: CoverProblem, budget: Budget, relaxation: Relaxation, reached: float, until: float = math.inf
) -> float:
    """Upper bound of the coverage with all masses, also those that pruning dropped.

    That of the relaxation, or that of pairs where the first is far from what was reached.
    """
    bound = float(relaxation.upper_bound)
    owner = np.repeat(np.arange(problem.n_structures, dtype=np.int32), problem.counts)
    if (
        reached < CLOSE * bound
        and problem.n_structures <= MOST_STRUCTURES
        and len(owner) == len(problem.weights)
    ):
        data = _data(problem, budget, SATURATED)
        bound = min(bound, pair_bound(data, jax.device_put(owner), relaxation, until=until))
    return min(1.0, bound + float(problem.dropped))


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
