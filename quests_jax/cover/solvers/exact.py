"""Proven optima by mixed-integer programming (HiGHS through SciPy), for some hundreds of structures.

A full cover has one row per environment, but few rows matter: the program starts with the environments
that are hardest to cover and grows by those that its own answer leaves uncovered, until there are none.
Its optimum is then the optimum of the whole, and what it proves is proven at every stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.optimize
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint

from quests_jax.base.checks import InputError, check_positive
from quests_jax.base.precision import follows_dtype
from quests_jax.cover.bounds.certificate import cap
from quests_jax.cover.budget import COST_ROUNDING, Budget, first_affordable
from quests_jax.cover.masses.sharded import Masses
from quests_jax.cover.problem import COVERED, CoverProblem, make_budget
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.cover.solvers.relaxed import in_greedy_order, relaxed_cover

FIRST, MORE = 500, 300  # environments in the first program, and the most that join at a time
NEGLIGIBLE = 1e-6  # masses below this are left out of a program, in favor of its bound
LARGEST = 1e6  # coefficient of the objective that HiGHS sees: its tolerances are absolute
GAP = 1e-6  # HiGHS drops what could improve its best answer by no more than this
DUAL = 1e-7  # what HiGHS takes for 0 in a reduced cost, once for each variable
WHOLE = 0.5  # a solver's 0 and 1 are rounded here
HIGHS: Any = scipy.optimize  # its solvers have no types, and pyright takes long to find some


class Program(NamedTuple):
    """Rows of a covering program: A w ≥ b."""

    a: sp.csr_matrix  # [rows, S]
    b: np.ndarray  # [rows]


@follows_dtype
def exact_cover(
    problem: CoverProblem,
    *,
    size: float | None = None,
    cost_budget: float | None = None,
    coverage: float | None = None,
    time_limit: float = 60.0,
) -> Selection:
    """The best choice of a size or a cost, or the cheapest that reaches a coverage.

        max f(w)  s.t.  c·w ≤ B        or        min c·w  s.t.  f(w) ≥ coverage,        w in {0, 1}^S

    Args:
      problem: the cover problem, from `cover_problem`.
      size: number or fraction of structures; or else
      cost_budget: largest sum of costs; or else
      coverage: fraction of the weighted environments; 1 means that every environment has mass 1.
      time_limit: limit of the solver, in seconds; afterwards the best known choice is returned.

    Returns:
      `Selection` in greedy order with `upper_bound` (size, cost_budget) or `cost_bound` (coverage): the
      choice is optimal where its coverage or cost equals them.

    Raises:
      InputError: none or several of the three, or one out of range.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> sorted(qj.exact_cover(problem, coverage=1.0).selected.tolist())
    [1, 2]
    """
    if sum(limit is not None for limit in (size, cost_budget, coverage)) != 1:
        raise InputError("give one of size, cost_budget and coverage.")
    time_limit = check_positive("time_limit", time_limit)
    if coverage is not None:
        return _cheapest(problem, coverage, time_limit)
    return _fullest(problem, size, cost_budget, time_limit)


@follows_dtype
def minimum_cover_bound(problem: CoverProblem, *, capped: bool = True) -> float:
    """Cost that no full cover can be below: min c·w s.t. M w ≥ 1 − r, 0 ≤ w ≤ 1, through its dual.

        D(y) = Σ_i y_i (1 − r_i) + Σ_s min(0, c_s − Σ_i M_si y_i),    y ≥ 0

    D(y) is such a cost for any y ≥ 0; it is evaluated here at the multipliers that the solver reports.

    Args:
      problem: the cover problem, from `cover_problem`.
      capped: whether masses are capped at 1 − r_i first, which makes the bound tighter.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> round(float(qj.cover.minimum_cover_bound(problem)), 3)  # no cover of all has fewer structures
    2.0
    """
    bound = 0.0

    def solve(program: Program) -> np.ndarray:
        nonlocal bound
        result = HIGHS.linprog(_cost(problem), A_ub=-program.a, b_ub=-program.b, bounds=(0, 1))  # by HiGHS
        y = np.maximum(-result.ineqlin.marginals, 0.0)
        pull = program.a.T @ y
        value = float(y @ program.b + np.minimum(0.0, _cost(problem) - pull).sum())
        terms = np.sum(np.abs(y * program.b)) + np.sum(np.maximum(pull, _cost(problem)))
        bound = max(bound, value - (len(y) + len(pull)) * np.finfo(float).eps * float(terms))
        return result.x

    _grow(problem, cap(problem) if capped else problem.masses, solve)
    return bound


# --- cheapest choice that covers -------------------------------------------------------------------------


def _cheapest(problem: CoverProblem, coverage: float, time_limit: float) -> Selection:
    known = greedy_cover(problem, coverage=coverage)
    solve = _full_cover if coverage == 1 else _partial_cover
    w, bound = solve(problem, coverage, time_limit)
    found = greedy_cover(problem, coverage=coverage, include=np.flatnonzero(w > WHOLE).tolist())
    best = min(found, known, key=lambda answer: _cost(problem)[answer.selected].sum())
    whole = np.all(_cost(problem) == np.round(_cost(problem)))
    bound = float(np.ceil(bound)) if whole and np.isfinite(bound) else bound
    reached = float(_cost(problem)[best.selected].sum())
    return in_greedy_order(problem, best.selected)._replace(method="exact", cost_bound=min(bound, reached))


def _full_cover(problem: CoverProblem, coverage: float, time_limit: float) -> tuple[np.ndarray, float]:
    del coverage
    bound = 0.0
    end = time.monotonic() + time_limit

    def solve(program: Program) -> np.ndarray | None:
        nonlocal bound
        if (left := end - time.monotonic()) <= 0:
            return None
        # SciPy's default for lb is a number, so pyright takes arrays for a mistake.
        limits = LinearConstraint(program.a, lb=program.b)  # pyright: ignore[reportArgumentType]
        w, proven = _milp(_cost(problem), [limits], problem.n_structures, left)
        bound = max(bound, proven)
        return w

    w = _grow(problem, cap(problem), solve)
    return w, bound


def _grow(problem: CoverProblem, masses: Masses, solve: Callable[[Program], np.ndarray | None]) -> np.ndarray:
    """Solve on more and more environments until the answer covers all; zeros if the solver gives up."""
    room = np.where(np.asarray(problem.weights) > 0, 1.0 - np.asarray(problem.reference_mass), 0.0)
    short = room > COVERED
    w = np.zeros(problem.n_structures)
    rows = np.zeros(0, int)
    ease = np.asarray(masses.total(jnp.ones(problem.n_structures)))
    fresh = np.argsort(np.where(short, ease, np.inf))[: min(FIRST, int(short.sum()))]
    while len(fresh):
        rows = np.concatenate([rows, fresh])
        if (answer := solve(_program(problem, masses, rows, room[rows]))) is None:
            break
        w = answer
        missing = room - np.asarray(masses.total(jnp.asarray(w))) - float(problem.dropped)
        missing[rows] = 0.0
        fresh = np.argsort(-missing)[:MORE]
        fresh = fresh[missing[fresh] > COVERED]
    return w


def _program(problem: CoverProblem, masses: Masses, rows: np.ndarray, room: np.ndarray) -> Program:
    """Rows of some environments; what is left out of them is taken off what they demand."""
    a = np.asarray(masses.columns(jnp.asarray(rows))).T
    small = a < NEGLIGIBLE
    left_out = np.where(small, a, 0.0).sum(axis=1) + float(problem.dropped) + COVERED
    return Program(sp.csr_matrix(np.where(small, 0.0, a)), room - left_out)


# --- choices by coverage: one variable per environment ---------------------------------------------------


def _fullest(
    problem: CoverProblem, size: float | None, cost_budget: float | None, time_limit: float
) -> Selection:
    budget = make_budget(problem, size=size, cost_budget=cost_budget)
    known = relaxed_cover(problem, size=size, cost_budget=cost_budget)
    link, gain, offset = _coverage_program(problem)
    share = np.concatenate([np.asarray(budget.cost) / float(budget.limit), np.zeros(len(gain))])
    within = LinearConstraint(sp.csr_matrix(share), ub=1.0)
    objective = np.concatenate([np.zeros(problem.n_structures), -gain])
    w, proven = _milp(objective, [link, within], problem.n_structures, time_limit)
    bound = min(known.upper_bound or 1.0, offset - proven + float(problem.dropped))
    chosen = np.zeros(0, int) if w is None else np.flatnonzero(w[: problem.n_structures] > WHOLE)
    found = greedy_cover(problem, size=size, cost_budget=cost_budget, include=_affordable(chosen, budget))
    best = in_greedy_order(problem, max(found, known, key=_reached).selected)
    return best._replace(method="exact", upper_bound=max(min(1.0, bound), _reached(best)))


def _affordable(chosen: np.ndarray, budget: Budget) -> np.ndarray:
    """The choice of the solver, which may exceed a budget by its tolerance."""
    return first_affordable(chosen, Budget(budget.cost, budget.limit / (1 + COST_ROUNDING)))


def _reached(selection: Selection) -> float:
    return selection.coverage or 0.0


def _partial_cover(problem: CoverProblem, coverage: float, time_limit: float) -> tuple[np.ndarray, float]:
    link, gain, offset = _coverage_program(problem)
    least = coverage - offset - COVERED - float(problem.dropped)
    enough = LinearConstraint(sp.csr_matrix(np.concatenate([np.zeros(problem.n_structures), gain])), lb=least)
    objective = np.concatenate([_cost(problem), np.zeros(len(gain))])
    w, proven = _milp(objective, [link, enough], problem.n_structures, time_limit)
    return np.zeros(problem.n_structures) if w is None else w[: problem.n_structures], max(0.0, proven)


def _coverage_program(problem: CoverProblem) -> tuple[LinearConstraint, np.ndarray, float]:
    """Covered parts y_i in [0, 1] of the rooms: room_i y_i ≤ Σ_s min(M_si, room_i) w_s.

    Returns the rows, what y_i = 1 adds to the coverage, and the coverage of the reference plus what the
    masses that are left out could add.
    """
    u = np.asarray(problem.weights) / float(np.sum(problem.weights))
    room = np.maximum(1.0 - np.asarray(problem.reference_mass), 0.0)
    rows = np.flatnonzero((u > 0) & (room > COVERED))
    a = np.asarray(cap(problem).columns(jnp.asarray(rows))).T
    small = a < NEGLIGIBLE
    link = sp.hstack([sp.csr_matrix(np.where(small, 0.0, a)), -sp.diags_array(room[rows])], format="csr")
    left_out = u[rows] @ np.where(small, a, 0.0).sum(axis=1)
    offset = float(u @ (1.0 - room) + u[room <= COVERED] @ room[room <= COVERED] + left_out)
    return LinearConstraint(link, lb=0.0), u[rows] * room[rows], offset


# --- HiGHS -----------------------------------------------------------------------------------------------


def _milp(
    objective: np.ndarray, rows: list[LinearConstraint], n_whole: int, time_limit: float
) -> tuple[np.ndarray | None, float]:
    """Minimize over [0, 1]^k with the first `n_whole` variables in {0, 1}.

    Returns the best answer known, if any, and a lower bound of the objective: that of HiGHS less what its
    tolerances may hide, -inf where the time ran out before there was one.
    """
    whole = np.arange(len(objective)) < n_whole
    options = {"time_limit": time_limit, "mip_rel_gap": 0.0}
    largest = float(np.max(np.abs(objective)))
    scale = LARGEST / largest if largest > 0 else 1.0
    result = HIGHS.milp(
        scale * objective,
        integrality=whole.astype(int),
        bounds=Bounds(0, 1),
        constraints=rows,
        options=options,
    )
    bound = result.get("mip_dual_bound")
    if bound is None:
        return result.x, -np.inf
    hidden = GAP + DUAL * len(objective) + 4 * np.finfo(float).eps * scale * np.sum(np.abs(objective))
    return result.x, (float(bound) - hidden) / scale


def _cost(problem: CoverProblem) -> np.ndarray:
    return np.asarray(problem.cost)
