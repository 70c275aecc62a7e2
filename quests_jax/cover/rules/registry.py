"""The rules of choice by name: the one place where a name stands for an algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jax.typing import ArrayLike

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.cover.problem import cover_problem, distinct_weights
from quests_jax.cover.rules.baselines import (
    facility_location,
    farthest_point,
    mean_farthest_point,
    random_choice,
)
from quests_jax.cover.rules.clusters import direct, k_means, k_means_entropy
from quests_jax.cover.rules.msc import msc
from quests_jax.cover.rules.pareto import pareto_msc
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.cover.solvers.relaxed import relaxed_cover


class Rule(NamedTuple):
    """A rule of choice, and what may be asked of it."""

    choose: Callable[..., Selection]  # (envs, *, size, bandwidth, reference) -> Selection
    summary: str  # one line for --help
    nested: bool = False  # smaller choices are the first picks of larger ones
    budgeted: bool = False  # takes `budget` (atoms, for one) in place of `size`
    seeded: bool = False  # takes `key`; the answer is random
    complements: bool = False  # a reference changes the choice


def find_rule(name: str) -> Rule:
    """The rule called `name`; raises `InputError` with the names that exist."""
    if name not in RULES:
        raise InputError(f"method {name!r} is not known; choose one of {', '.join(RULES)}.")
    return RULES[name]


def _cover(envs: Environments, *, size: float, bandwidth: float, reference: ArrayLike | None) -> Selection:
    return greedy_cover(cover_problem(envs, bandwidth=bandwidth, reference=reference), size=size)


def _diversity_cover(
    envs: Environments, *, size: float, bandwidth: float, reference: ArrayLike | None
) -> Selection:
    u = distinct_weights(envs, bandwidth=bandwidth)
    problem = cover_problem(envs, bandwidth=bandwidth, weights=u, reference=reference)
    return greedy_cover(problem, size=size)._replace(coverage=None)


def _relaxed(envs: Environments, *, size: float, bandwidth: float, reference: ArrayLike | None) -> Selection:
    return relaxed_cover(cover_problem(envs, bandwidth=bandwidth, reference=reference), size=size)


RULES: dict[str, Rule] = {
    "msc": Rule(
        msc,
        "most novel environment plus entropy of its structure: QUESTS' rule; keeps outliers",
        nested=True,
        complements=True,
    ),
    "pareto": Rule(
        pareto_msc,
        "msc, then exchanges of structures that worsen none of five measures; small sets",
        complements=True,
    ),
    "cover": Rule(
        _cover,
        "greedy set cover: most environments covered, within 1 - 1/e of the best",
        nested=True,
        complements=True,
    ),
    "diversity": Rule(
        _diversity_cover,
        "greedy set cover in which rare environments count as much as common ones",
        nested=True,
        complements=True,
    ),
    "relaxed": Rule(
        _relaxed,
        "relaxed set cover, rounded and improved by swaps: never below cover, slower",
        complements=True,
    ),
    "random": Rule(random_choice, "structures at random", nested=True, seeded=True),
    "fps": Rule(
        farthest_point,
        "farthest points by the mean distance of environments",
        nested=True,
        complements=True,
    ),
    "mean-fps": Rule(
        mean_farthest_point,
        "farthest points among mean descriptors",
        nested=True,
        seeded=True,
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
        facility_location,
        "facility location: mean descriptors of the chosen are near to those of all",
        nested=True,
        complements=True,
    ),
}
