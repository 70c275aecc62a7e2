"""Numbers choose a subset: one cover problem, several solvers, one result."""

from quests_jax.cover.bounds.certificate import certify, relax
from quests_jax.cover.bounds.relaxation import Relaxation
from quests_jax.cover.budget import Budget, atom_budget, atom_costs, cost_budget
from quests_jax.cover.group_quotas import Quota, make_quota
from quests_jax.cover.masses.dense_or_sparse import DenseMasses
from quests_jax.cover.objectives.facility_location import FACILITY_LOCATION
from quests_jax.cover.objectives.mass_functions import LOG_MASS, SATURATED, Measure
from quests_jax.cover.objectives.objective import Objective
from quests_jax.cover.prefixes import Prefixes, prefix_metrics
from quests_jax.cover.problem import (
    CoverProblem,
    cover_problem,
    coverage,
    distinct_weights,
    make_budget,
    mass,
)
from quests_jax.cover.rules.balanced import balanced, balanced_problem
from quests_jax.cover.rules.msc import msc
from quests_jax.cover.rules.pareto_exchanges import pareto_msc
from quests_jax.cover.selection import Selection, knee
from quests_jax.cover.solvers.exact import exact_cover, minimum_cover_bound
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.cover.solvers.relaxed import relaxed_cover
from quests_jax.cover.solvers.soft import soft_weights
from quests_jax.cover.solvers.staged import staged_cover

__all__ = [
    "FACILITY_LOCATION",
    "LOG_MASS",
    "SATURATED",
    "Measure",
    "Objective",
    "Quota",
    "Budget",
    "CoverProblem",
    "DenseMasses",
    "Prefixes",
    "Relaxation",
    "Selection",
    "atom_budget",
    "atom_costs",
    "balanced",
    "balanced_problem",
    "certify",
    "cost_budget",
    "cover_problem",
    "coverage",
    "distinct_weights",
    "exact_cover",
    "greedy_cover",
    "knee",
    "make_budget",
    "make_quota",
    "mass",
    "minimum_cover_bound",
    "msc",
    "pareto_msc",
    "prefix_metrics",
    "relax",
    "relaxed_cover",
    "soft_weights",
    "staged_cover",
]
