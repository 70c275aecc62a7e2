"""How a choice is made: a rule, limits, quotas, and what comes next where a cover is complete.

What is known already is complemented, like a reference. Quotas are chosen first, by the same rule within each
group, and the rest of the choice complements those. Once every environment is covered no structure adds
anything to a cover: then the farthest mean descriptors come next, never the order of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from quests_jax.base.checks import InputError, check_count
from quests_jax.base.environments import Environments, joined, of_structures
from quests_jax.base.sizes import Size
from quests_jax.cover.budget import cost_budget
from quests_jax.cover.problem import cover_problem
from quests_jax.cover.rules.baselines import mean_farthest_point, stratified
from quests_jax.cover.rules.registry import Rule, find_rule
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover

COVERS = ("cover", "diversity", "relaxed")  # rules whose gains are coverage
NOTHING = 1e-9  # coverage that is rounding of a sum
STRATIFIED = "stratified"  # the rule that needs labels


class Limits(NamedTuple):
    """Where a choice ends: at the first that is reached. At least one is given."""

    count: int | None = None  # structures
    budget: float | None = None  # sum of costs
    coverage: float | None = None  # share of the environments, in (0, 1]
    min_gain: float | None = None  # coverage that a structure must add

    @property
    def by_coverage(self) -> bool:
        """Whether the coverage decides, which only a greedy cover looks at."""
        return self.coverage is not None or self.min_gain is not None


class Groups(NamedTuple):
    """Labels of structures, and how many of each are chosen at least."""

    labels: Sequence[str]  # [S]
    at_least: int = 1


class Choice(NamedTuple):
    """A selection, and where it stopped adding coverage."""

    selection: Selection
    saturated: int | None = None  # picks after which nothing was left to cover; None if something was


def choose(
    envs: Environments,
    *,
    method: str,
    limits: Limits,
    bandwidth: float,
    reference: Environments | None = None,
    cost: np.ndarray | None = None,
    groups: Groups | None = None,
    seed: int = 0,
) -> Choice:
    """Choose structures of `envs`.

    Args:
      envs: environments of the S structures that are open to choice.
      method: name of a rule, or "stratified", which needs groups.
      limits: where to end.
      bandwidth: h in Å⁻¹.
      reference: environments that are known already.
      cost: of each structure, shape [S], for a budget and for a coverage; 1 where not given.
      groups: quotas.
      seed: of rules that are random.

    Raises:
      InputError: limits that the rule cannot keep, or quotas that do not fit into them.
    """
    pick = _Pick(method, _rule(method, groups), bandwidth, seed)
    pick.check(limits)
    data = Data(envs, reference, cost)
    first = _quotas(data, limits, groups, pick)
    if limits.by_coverage or (method == "cover" and len(first)):
        found = _greedy(data, limits, first, bandwidth)
    else:
        found = _completed(data, limits, first, pick)
    if method not in COVERS:
        return Choice(found._replace(method=method))
    return _filled(data, found._replace(method=method), seed)


class Data(NamedTuple):
    """What is chosen from."""

    envs: Environments  # of S structures
    reference: Environments | None = None
    cost: np.ndarray | None = None  # [S]

    def without(self, chosen: np.ndarray) -> tuple[Data, np.ndarray]:
        """The other structures, to which those chosen are known, and their numbers."""
        rest = np.setdiff1d(np.arange(self.envs.n_structures), chosen)
        cost = None if self.cost is None else self.cost[rest]
        return Data(of_structures(self.envs, rest), self.known_with(chosen), cost), rest

    def known_with(self, chosen: np.ndarray) -> Environments | None:
        """The reference and the environments of some structures; None if there are none."""
        parts = [] if self.reference is None else [self.reference]
        if len(chosen):
            parts.append(of_structures(self.envs, np.sort(chosen)))
        return joined(parts) if parts else None


class _Pick(NamedTuple):
    """A rule, and what it is always called with."""

    method: str
    rule: Rule
    bandwidth: float
    seed: int

    def __call__(self, data: Data, limits: Limits) -> Selection:
        """The choice of the rule within the limits."""
        asked: dict[str, Any] = {"bandwidth": self.bandwidth, "reference": rows_of(data.reference)}
        if limits.budget is None:
            asked["size"] = limits.count
        else:
            cost = np.ones(data.envs.n_structures) if data.cost is None else data.cost
            asked["budget"] = cost_budget(cost, limits.budget)
        if self.rule.seeded:
            asked["key"] = jax.random.key(self.seed)
        found = self.rule.choose(data.envs, **asked)
        return found if limits.count is None else first_of(found, limits.count)

    def check(self, limits: Limits) -> None:
        """Raise `InputError` for limits that the rule cannot keep."""
        if limits == Limits():
            raise InputError("say when to stop: give a size, atoms, a budget, a coverage or a least gain.")
        if limits.by_coverage and self.method != "cover":
            raise InputError(
                f"{self.method} does not look at coverage; use cover with a coverage or a least gain."
            )
        if limits.budget is not None and not self.rule.budgeted:
            raise InputError(f"{self.method} cannot keep a budget; give a size, or use another rule.")


def _rule(method: str, groups: Groups | None) -> Rule:
    if method != STRATIFIED:
        return find_rule(method)
    if groups is None:
        raise InputError(
            "stratified draws of each label in proportion; say which label with --by KEY (by=...)."
        )
    return Rule(partial(stratified, labels=groups.labels), "", budgeted=True, seeded=True)


def _greedy(data: Data, limits: Limits, first: np.ndarray, bandwidth: float) -> Selection:
    """Greedy cover until the first of all limits."""
    known = rows_of(data.reference)
    problem = cover_problem(data.envs, bandwidth=bandwidth, reference=known, cost=data.cost)
    return greedy_cover(
        problem,
        size=limits.count,
        coverage=limits.coverage,
        cost_budget=limits.budget,
        min_gain=limits.min_gain,
        include=first.tolist(),
    )


def _quotas(data: Data, limits: Limits, groups: Groups | None, pick: _Pick) -> np.ndarray:
    """`at_least` structures of each group, the smallest group first."""
    if groups is None or pick.method == STRATIFIED:
        return np.zeros(0, int)
    labels = np.asarray(groups.labels)
    names, counts = np.unique(labels, return_counts=True)
    wanted = np.minimum(counts, check_count("at_least", groups.at_least))
    if limits.count is not None and wanted.sum() > limits.count:
        raise InputError(
            f"{len(names)} groups of at least {groups.at_least} need {wanted.sum()} structures and only "
            f"{limits.count} are asked for; raise the size or lower --at-least."
        )
    first = np.zeros(0, int)
    for place in np.argsort(counts, kind="stable"):
        members = np.flatnonzero(labels == names[place])
        group = Data(of_structures(data.envs, members), data.known_with(first))
        found = pick(group, Limits(int(wanted[place])))
        first = np.concatenate([first, members[found.selected]])
    spent = len(first) if data.cost is None else data.cost[first].sum()
    if limits.budget is not None and spent > limits.budget:
        raise InputError(f"the quotas cost {spent:g}, more than the budget of {limits.budget:g}; raise it.")
    return first


def _completed(data: Data, limits: Limits, first: np.ndarray, pick: _Pick) -> Selection:
    """The first picks, and what the rule adds to them within the limits."""
    if not len(first):
        return pick(data, limits)
    others, rest = data.without(first)
    spent = len(first) if data.cost is None else data.cost[first].sum()
    left = Limits(
        None if limits.count is None else limits.count - len(first),
        None if limits.budget is None else limits.budget - spent,
    )
    cheapest = 1.0 if others.cost is None else others.cost.min(initial=np.inf)
    if not len(rest) or left.count == 0 or (left.budget is not None and left.budget < cheapest):
        return Selection(first, np.zeros(len(first)), pick.method)
    found = pick(others, left)
    gains = np.concatenate([np.zeros(len(first)), found.gains])
    return found._replace(selected=np.concatenate([first, rest[found.selected]]), gains=gains)


def _filled(data: Data, found: Selection, seed: int) -> Choice:
    """The picks of a cover; those that add nothing give way to the farthest mean descriptors."""
    adding = np.flatnonzero(found.gains > NOTHING)
    count = int(adding[-1]) + 1 if len(adding) else 0
    if count == len(found.selected):
        return Choice(found)
    others, rest = data.without(found.selected[:count])
    asked: dict[str, Any] = {"size": len(found.selected) - count}
    if data.cost is not None and others.cost is not None:
        asked = {"budget": cost_budget(others.cost, float(data.cost[found.selected[count:]].sum()))}
    known, key = rows_of(others.reference), jax.random.key(seed)
    more = mean_farthest_point(others.envs, reference=known, key=key, **asked)
    selected = np.concatenate([found.selected[:count], rest[more.selected]])
    gains = np.pad(found.gains[:count], (0, len(more.selected)))
    return Choice(found._replace(selected=selected, gains=gains), count)


def rows_of(known: Environments | None) -> np.ndarray | None:
    """A reference as rules take it."""
    return None if known is None else np.asarray(known.x)


def first_of(selection: Selection, count: int) -> Selection:
    """The first picks."""
    return selection._replace(selected=selection.selected[:count], gains=selection.gains[:count])


def limits_of(
    n_structures: int,
    *,
    size: Size | None,
    budget: Size | None,
    total_cost: float,
    coverage: float | None,
    min_gain: float | None,
) -> Limits:
    """Limits in numbers; a size is a share of the structures, a budget of the sum of all costs."""
    return Limits(
        None if size is None else size.of(n_structures),
        None if budget is None else budget.part_of(total_cost),
        coverage,
        min_gain,
    )
