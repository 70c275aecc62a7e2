"""How a choice is made: a rule, limits and quotas.

Structures chosen earlier count as part of the reference. The greedy cover knows quotas; for other rules they
are chosen first, by the same rule within each group, and the rest of the choice complements them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.checks import InputError, check_count, check_positive
from quests_jax.base.environments import Environments, joined, of_structures
from quests_jax.base.selection_size import Size
from quests_jax.base.wording import agreeing, counted
from quests_jax.cover.budget import atom_costs, check_cost, cost_budget
from quests_jax.cover.group_quotas import make_quota
from quests_jax.cover.posing import Posed, pose
from quests_jax.cover.rules.baselines import stratified
from quests_jax.cover.rules.registry import RULES, Rule, find_rule
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.cover.solvers.relaxed import relaxed_cover

COVER = "cover"
SOLVERS = {COVER: greedy_cover, "relaxed": relaxed_cover}  # rules that know quotas
STRATIFIED = "stratified"  # the rule that needs labels
BLIND = ("random", STRATIFIED)  # rules that look at no environments


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


class Data(NamedTuple):
    """What is chosen from."""

    envs: Environments  # of S structures
    reference: Environments | None = None
    cost: np.ndarray | None = None  # [S]

    def without(self, chosen: np.ndarray) -> tuple[Data, np.ndarray]:
        """The structures that are left, with the chosen ones added to the reference; and their numbers."""
        rest = np.setdiff1d(np.arange(self.envs.n_structures), chosen)
        cost = None if self.cost is None else self.cost[rest]
        return Data(of_structures(self.envs, rest), self.known_with(chosen), cost), rest

    def known_with(self, chosen: np.ndarray) -> Environments | None:
        """The reference and the environments of some structures; None if there are none."""
        parts = [] if self.reference is None else [self.reference]
        if len(chosen):
            parts.append(of_structures(self.envs, np.sort(chosen)))
        return joined(parts) if parts else None


class Amount(NamedTuple):
    """How much to choose, as a person says it: fractions are of what there is to choose from."""

    size: Size | int | None = None  # structures; a number once it is resolved
    atoms: Size | None = None
    budget: Size | None = None  # sum of the costs
    cost: ArrayLike | None = None  # of each structure of the whole data set
    coverage: float | None = None
    min_gain: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing says where to end."""
        return self._replace(cost=None) == Amount()

    @property
    def by_coverage(self) -> bool:
        """Whether the coverage decides, which only a greedy cover looks at."""
        return self.coverage is not None or self.min_gain is not None

    def resolved(self, n_structures: int) -> Amount:
        """The same with the size as a number; raises `InputError` for more structures than there are."""
        return self._replace(size=self.size.of(n_structures)) if isinstance(self.size, Size) else self

    def costs(self, envs: Environments, numbers: np.ndarray) -> np.ndarray | None:
        """Cost of each structure of `envs`, which have these numbers in the whole; None if each costs 1."""
        if self.atoms is not None:
            if self.budget is not None or self.cost is not None:
                raise InputError(
                    "atoms are a budget of their own; give either atoms or a cost and its budget."
                )
            return atom_costs(envs)
        if self.cost is None:
            if self.budget is not None:
                raise InputError("a budget needs to know what structures cost; give a cost for each.")
            return None
        cost = np.asarray(self.cost, float)
        if cost.ndim != 1 or len(cost) <= numbers.max():
            raise InputError(f"cost: expected a number for each structure, got shape {cost.shape}.")
        return check_cost(cost[numbers], len(numbers))

    def limits(self, data: Data) -> Limits:
        """The same in numbers."""
        count = self.resolved(data.envs.n_structures).size
        assert not isinstance(count, Size)
        total = data.envs.n_structures if data.cost is None else float(data.cost.sum())
        budget = self.budget if self.atoms is None else self.atoms
        if self.coverage is not None and not 0 < check_positive("coverage", self.coverage) <= 1:
            raise InputError(f"coverage must be in (0, 1], got {self.coverage}.")
        return Limits(
            count,
            None if budget is None else budget.part_of(total),
            self.coverage,
            self.min_gain,
        )


class Groups(NamedTuple):
    """Labels of structures, and how many of each are chosen at least."""

    labels: Sequence[str]  # [S]
    at_least: int = 1


def choose(
    data: Data,
    *,
    method: str,
    limits: Limits,
    bandwidth: float,
    groups: Groups | None = None,
    seed: int = 0,
    posed: Posed | None = None,
) -> Selection:
    """Choose structures of a data set.

    Args:
      data: the S structures that are open to choice, what is known already, and what each costs.
      method: name of a rule, or "stratified", which needs groups.
      limits: where to end.
      bandwidth: h in Å⁻¹.
      groups: quotas.
      seed: random seed, for rules that draw.
      posed: the cover problem of `data`, if it is there already.

    Raises:
      InputError: limits that the rule cannot keep, or quotas that do not fit into them.
    """
    pick = _Pick(method, _rule(method, groups), bandwidth, seed)
    pick.check(limits)
    if limits.by_coverage or (groups is not None and method in SOLVERS):
        return _solved(data, method, limits, groups, bandwidth, posed)
    if groups is None or method == STRATIFIED:
        return pick(data, limits, posed)._replace(method=method)
    first = _quotas(data, limits, groups, pick)
    return _completed(data, limits, first, pick)._replace(method=method)


class _Pick(NamedTuple):
    """A rule, and what it is always called with."""

    method: str
    rule: Rule
    bandwidth: float
    seed: int

    def __call__(self, data: Data, limits: Limits, posed: Posed | None = None) -> Selection:
        """The choice of the rule within the limits."""
        asked: dict[str, Any] = {"bandwidth": self.bandwidth, "reference": data.reference}
        if limits.budget is None:
            asked["size"] = limits.count
        else:
            cost = np.ones(data.envs.n_structures) if data.cost is None else data.cost
            asked["budget"] = cost_budget(cost, limits.budget)
        if self.rule.seeded:
            asked["key"] = jax.random.key(self.seed)
        if self.rule.poses:
            asked["posed"] = posed
        found = self.rule.choose(data.envs, **asked)
        return found if limits.count is None else first_of(found, limits.count)

    def check(self, limits: Limits) -> None:
        """Raise `InputError` for limits that the rule cannot keep."""
        if limits == Limits():
            raise InputError("say when to stop: give a size, atoms, a budget, a coverage or a least gain.")
        if limits.by_coverage and self.method != COVER:
            raise InputError(
                f"{self.method} does not look at coverage; use cover with a coverage or a least gain."
            )
        if limits.budget is not None and not self.rule.budgeted:
            able = ", ".join(name for name, rule in RULES.items() if rule.budgeted)
            raise InputError(f"{self.method} cannot keep a budget; give a size, or use one of {able}.")


def _rule(method: str, groups: Groups | None) -> Rule:
    if method != STRATIFIED:
        return find_rule(method)
    if groups is None:
        raise InputError(
            "stratified draws of each label in proportion; say which label with --by KEY (by=...)."
        )
    return Rule(partial(stratified, labels=groups.labels), "", budgeted=True, seeded=True)


def _solved(
    data: Data,
    method: str,
    limits: Limits,
    groups: Groups | None,
    bandwidth: float,
    posed: Posed | None,
) -> Selection:
    """A cover until the first of all limits, quotas met."""
    if posed is None:
        posed = pose(data.envs, bandwidth=bandwidth, reference=data.reference, cost=data.cost)
    asked: dict[str, Any] = {"size": limits.count, "cost_budget": limits.budget}
    if groups is not None:
        asked["quota"] = make_quota(groups.labels, posed.problem.cost, groups.at_least)
    if method == COVER:
        asked |= {"coverage": limits.coverage, "min_gain": limits.min_gain}
    return posed.of_all(SOLVERS[method](posed.problem, **asked))


def _quotas(data: Data, limits: Limits, groups: Groups, pick: _Pick) -> np.ndarray:
    """`at_least` structures of each group, the smallest group first."""
    labels = np.asarray(groups.labels)
    names, counts = np.unique(labels, return_counts=True)
    wanted = np.minimum(counts, check_count("at_least", groups.at_least))
    if limits.count is not None and wanted.sum() > limits.count:
        need = f"{agreeing(len(names), 'needs', 'need')} {counted(wanted.sum(), 'structure')}"
        raise InputError(
            f"{counted(len(names), 'group')} of at least {groups.at_least} {need}, more than the "
            f"{limits.count} asked for; raise the size or lower --at-least."
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


def poses(method: str) -> bool:
    """Whether a rule needs the cover problem."""
    return method != STRATIFIED and find_rule(method).poses


def first_of(selection: Selection, count: int) -> Selection:
    """The first picks."""
    return selection._replace(selected=selection.selected[:count], gains=selection.gains[:count])
