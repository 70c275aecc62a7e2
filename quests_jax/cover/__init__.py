"""Numbers choose a subset: one cover problem, several solvers, one result."""

from quests_jax.cover.greedy import greedy_cover
from quests_jax.cover.novelty import msc
from quests_jax.cover.problem import CoverProblem, atom_costs, cover_problem, coverage, distinct_weights
from quests_jax.cover.selection import Selection

__all__ = [
    "CoverProblem",
    "Selection",
    "atom_costs",
    "cover_problem",
    "coverage",
    "distinct_weights",
    "greedy_cover",
    "msc",
]
