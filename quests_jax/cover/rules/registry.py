"""The rules of choice by name: the one place where a name stands for an algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from jax.typing import ArrayLike

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.base.selection_size import Size
from quests_jax.cover.budget import Budget, budget_of_choice
from quests_jax.cover.posing import Posed, pose
from quests_jax.cover.problem import CoverProblem, distinct_weights
from quests_jax.cover.rules.balanced import balanced
from quests_jax.cover.rules.baselines import (
    farthest_point,
    mean_facility_location,
    mean_farthest_point,
    random_choice,
)
from quests_jax.cover.rules.clusters import direct, k_means, k_means_entropy
from quests_jax.cover.rules.msc import msc
from quests_jax.cover.rules.pareto_exchanges import pareto_msc
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.cover.solvers.relaxed import relaxed_cover
from quests_jax.information import DEFAULT_BANDWIDTH

Known = ArrayLike | Environments | None  # environments that are there already


class Rule(NamedTuple):
    """A rule of choice, and what may be asked of it."""

    choose: Callable[..., Selection]  # (envs, *, size or budget, bandwidth, reference) -> Selection
    summary: str  # one line for --help
    nested: bool = False  # smaller choices are the first picks of larger ones
    budgeted: bool = False  # takes `budget` (of atoms, say) in place of `size`
    seeded: bool = False  # takes `key`; the answer is random
    complements: bool = False  # a reference changes the choice
    poses: bool = False  # takes `posed`, the cover problem, if it is there already


def find_rule(name: str) -> Rule:
    """The rule called `name`; raises `InputError` with the names that exist."""
    if name not in RULES:
        raise InputError(f"method {name!r} is not known; choose one of {', '.join(RULES)}.")
    return RULES[name]


class Solver(Protocol):
    """What solves a cover problem within a number of structures or a budget."""

    def __call__(
        self,
        problem: CoverProblem,
        *,
        size: float | Size | None = None,
        cost_budget: float | None = None,
    ) -> Selection:
        """The chosen structures."""
        ...


class CoverRule(NamedTuple):
    """A rule that solves the cover problem of environments that count alike, or by their distinctness."""

    solve: Solver
    distinct: bool = False  # environments count by 1/p_i; then no coverage is told

    @follows_dtype
    def __call__(
        self,
        envs: Environments,
        *,
        size: float | Size | None = None,
        budget: Budget | None = None,
        bandwidth: float = DEFAULT_BANDWIDTH,
        reference: Known = None,
        posed: Posed | None = None,
    ) -> Selection:
        """The choice within `size` structures or a budget; `posed` is the problem if it is there already."""
        limit = budget_of_choice(envs.n_structures, size=size, budget=budget)
        if posed is None:
            weights = distinct_weights(envs, bandwidth=bandwidth) if self.distinct else None
            posed = pose(envs, cost=limit.cost, weights=weights, bandwidth=bandwidth, reference=reference)
        asked: dict[str, Any] = {"size": size} if budget is None else {"cost_budget": float(limit.limit)}
        found = posed.of_all(self.solve(posed.problem, **asked))
        return found._replace(coverage=None) if self.distinct else found


RULES: dict[str, Rule] = {
    "msc": Rule(
        msc,
        "most novel environment plus entropy of its structure: QUESTS' rule; keeps outliers",
        nested=True,
        budgeted=True,
        complements=True,
    ),
    "pareto": Rule(
        pareto_msc,
        "msc, then exchanges of structures that worsen none of five measures; small sets",
        budgeted=True,
        complements=True,
    ),
    "cover": Rule(
        CoverRule(greedy_cover),
        "greedy set cover: most environments covered, within 1 - 1/e of the best",
        nested=True,
        budgeted=True,
        complements=True,
        poses=True,
    ),
    "diversity": Rule(
        CoverRule(greedy_cover, distinct=True),
        "greedy set cover in which rare environments count as much as common ones",
        nested=True,
        budgeted=True,
        complements=True,
    ),
    "balanced": Rule(
        balanced,
        "greedy set cover of distinct environments and of whole structures: forces and energies",
        nested=True,
        budgeted=True,
        complements=True,
    ),
    "relaxed": Rule(
        CoverRule(relaxed_cover),
        "relaxed set cover, rounded and improved by swaps: never below cover, slower",
        budgeted=True,
        complements=True,
        poses=True,
    ),
    "random": Rule(random_choice, "structures at random", nested=True, budgeted=True, seeded=True),
    "fps": Rule(
        farthest_point,
        "farthest points by the mean distance of environments",
        nested=True,
        budgeted=True,
        complements=True,
    ),
    "mean-fps": Rule(
        mean_farthest_point,
        "farthest points among mean descriptors",
        nested=True,
        seeded=True,
        budgeted=True,
        complements=True,
    ),
    "k-means": Rule(k_means, "a random structure of each k-means cluster of mean descriptors", seeded=True),
    "k-means-H": Rule(
        k_means_entropy,
        "the structure of largest entropy of each k-means cluster",
        seeded=True,
    ),
    "direct": Rule(
        direct,
        "DIRECT sampling: principal components of mean descriptors, clusters, their centers",
        seeded=True,
    ),
    "facility": Rule(
        mean_facility_location,
        "facility location: mean descriptors of the chosen are near to those of all",
        nested=True,
        budgeted=True,
        complements=True,
    ),
}
