"""What any choice of the same cost could cover at most: the certificate that `certify` adds to a selection.

For choices in {0, 1} the masses may be capped first, M_si → min(M_si, 1 − r_i): no coverage of a choice
changes, and the relaxation becomes much tighter. Where its bound is still far from the choice, `pairwise` has
a better one.
"""

from __future__ import annotations

import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.compiled_programs import jit
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.cover.bounds import relaxation
from quests_jax.cover.bounds.pairwise import MOST_STRUCTURES, pair_bound
from quests_jax.cover.bounds.relaxation import Data, Relaxation
from quests_jax.cover.budget import COST_ROUNDING, Budget
from quests_jax.cover.masses.sharded import Masses
from quests_jax.cover.objectives.mass_functions import SATURATED, Measure, check_measure
from quests_jax.cover.objectives.objective import Objective, mean_value, submodular_bound
from quests_jax.cover.problem import CoverProblem, check_masses, indicator
from quests_jax.cover.selection import Selection, check_structures

TOLERANCE = 1e-3  # relative gap between relaxed value and bound that is good enough
CLOSE = 0.99  # of the bound: a choice that reaches it needs no better bound


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
        check_masses(problem, saturated=False)
        value, bound = submodular_bound(problem, budget, measure, selected)
        return selection._replace(coverage=value, upper_bound=bound)
    until = math.inf if seconds is None else time.monotonic() + seconds
    relaxed = relax(problem, budget, measure=measure, max_steps=max_steps, start=w, until=until)
    covered = float(mean_value(problem, w, measure=measure))
    if measure is SATURATED:
        bound = bound_with_dropped(problem, budget, relaxed, covered, until)
    else:
        slopes = jnp.sum(problem.weights * relaxed.multipliers) / jnp.sum(problem.weights)
        bound = float(relaxed.upper_bound + problem.dropped * slopes)
    return selection._replace(coverage=covered, upper_bound=max(bound, covered))


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

    with Π the projection onto the budget, diagonal steps τ and σ, reflected and restarted (see `relaxation`).
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
    check_masses(problem, saturated=measure.capped)
    data = _data(problem, budget, measure)
    if start is None:
        start = jnp.full_like(problem.cost, jnp.minimum(budget.limit / jnp.sum(budget.cost), 1.0))
    best, iterate = relaxation.begin(data, start, measure=measure)
    for done in range(0, max_steps, relaxation.STEPS):
        best, iterate = relaxation.improve(data, best, iterate, measure=measure)
        advance("relaxation", done + relaxation.STEPS, max_steps)
        bound = float(best.upper_bound)
        if bound - float(best.value) <= TOLERANCE * abs(bound) or time.monotonic() > until:
            break
    bound = np.asarray(best.upper_bound)
    rounding = len(problem.weights) * np.finfo(problem.weights.dtype).eps * np.abs(bound)
    return best._replace(upper_bound=jax.device_put(bound + rounding))


def cap(problem: CoverProblem) -> Masses:
    """Masses min(M_si, 1 − r_i), with which every choice in {0, 1} covers the same."""
    return problem.masses if problem.capped else capped_copy(problem)


@jit
def capped_copy(problem: CoverProblem) -> Masses:
    """`cap` of masses that are not capped yet."""
    return problem.masses.capped(jnp.maximum(1.0 - problem.reference_mass, 0.0))


def bound_with_dropped(
    problem: CoverProblem, budget: Budget, relaxed: Relaxation, reached: float, until: float = math.inf
) -> float:
    """Upper bound of the coverage with all masses, also those that pruning dropped.

    That of the relaxation, or that of pairs where the first is far from what was reached.
    """
    bound = float(relaxed.upper_bound)
    owner = np.repeat(np.arange(problem.n_structures, dtype=np.int32), problem.counts)
    if (
        reached < CLOSE * bound
        and problem.n_structures <= MOST_STRUCTURES
        and len(owner) == len(problem.weights)
    ):
        data = _data(problem, budget, SATURATED)
        bound = min(bound, pair_bound(data, jax.device_put(owner), relaxed, until=until))
    return min(1.0, bound + float(problem.dropped))


def _data(problem: CoverProblem, budget: Budget, measure: Measure) -> Data:
    masses = cap(problem) if measure.capped else problem.masses
    u = np.asarray(problem.weights)
    return Data(masses, jax.device_put(u / u.sum()), problem.reference_mass, budget)
