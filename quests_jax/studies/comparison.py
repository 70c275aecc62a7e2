"""Every rule of choice at several sizes on one data set: rows of numbers for a table, a figure or a study."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from ase import Atoms
from scipy.special import logsumexp

from quests_jax.atoms.describe import environments
from quests_jax.atoms.labels import find_labels
from quests_jax.base.defaults import DEFAULT_CUTOFF, DEFAULT_K
from quests_jax.base.environments import Environments, apart, lacking
from quests_jax.base.json_values import plain
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.selection_size import Size, as_size
from quests_jax.cover import CoverProblem, Selection, certify, cover_problem, greedy_cover, make_budget, relax
from quests_jax.cover.budget import atom_costs, cost_budget
from quests_jax.cover.problem import coverage, indicator
from quests_jax.cover.rules.baselines import stratified
from quests_jax.cover.rules.registry import RULES, Rule, find_rule
from quests_jax.information import DEFAULT_BANDWIDTH
from quests_jax.studies.force_tails import norms_of

SIZES = (0.05, 0.1, 0.25, 0.5)
TAIL = 0.999  # quantile of all forces above which a structure belongs to the force tail
CUTOFF = 1e-12  # what the masses of a problem may lack, besides what pruning dropped
TRUSTED = 1e3  # a mass this many times larger is right to 0.001 nats; smaller ones are summed again
ROWS = 1024  # environments whose masses are summed again at a time

REPEATED = ("random", "stratified")  # rules that are repeated with several seeds
STEPS = 500  # of the solver, for each bound


@follows_dtype
def compare(
    structures: Sequence[Atoms] | Environments,
    *,
    sizes: Sequence[float | Size] = SIZES,
    methods: Sequence[str] | None = None,
    k: int = DEFAULT_K,
    cutoff: float = DEFAULT_CUTOFF,
    bandwidth: float = DEFAULT_BANDWIDTH,
) -> list[dict[str, Any]]:
    """Measure what each method keeps of a data set at each size.

    Args:
      structures: the data set, or its environments if they are known already.
      sizes: fractions (floats) or numbers of structures (ints).
      methods: names of rules, or "stratified" (by `info["config_type"]`); all that apply where not given.
      k: number of neighbors of the descriptor.
      cutoff: cutoff radius of the descriptor, in Å.
      bandwidth: width of the kernel, in Å⁻¹.

    Returns:
      One row per size and method, with these numbers of the choice: `size` and `fraction` (structures),
      `environments`, `overlap`, `coverage` (saturated), `entropy`, `diversity`, `max_delta_entropy` and
      `delta_entropy_999` (its 99.9 % quantile over all environments), in nats; `force_tail`, the share kept
      of the structures with a force above the 99.9 % quantile of all forces (None without forces);
      `upper_bound`: no choice of this size can cover more; and `certified_ratio`; `seconds`.
      A method whose smaller choices are prefixes of its larger ones runs once, for all its sizes.

    Raises:
      InputError: an unknown method, or a size, parameter or structure that `environments` refuses.
    """
    if isinstance(structures, Environments):
        return compare_environments(structures, sizes=sizes, methods=methods, bandwidth=bandwidth)
    return compare_environments(
        environments(structures, k=k, cutoff=cutoff),
        sizes=sizes,
        methods=methods,
        bandwidth=bandwidth,
        tail=force_tail(structures),
        labels=config_types(structures),
    )


@follows_dtype
def compare_environments(
    envs: Environments,
    *,
    sizes: Sequence[float | Size] = SIZES,
    methods: Sequence[str] | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    tail: np.ndarray | None = None,
    labels: Sequence[str] | None = None,
    bounds: bool = True,
    equal: str = "structures",
    seeds: int = 1,
    told: Callable[[str, int, Selection], None] | None = None,
) -> list[dict[str, Any]]:
    """`compare` for environments, with what is known of their structures: `force_tail`, `config_types`.

    Without `bounds`, which take longest, `upper_bound` and `certified_ratio` are None. With `equal` "atoms",
    sizes count atoms, and rules that cannot keep such a budget are left out. Random choices are repeated
    with `seeds` seeds: rows hold means, and standard deviations in `spread`. `told(name, size, selection)`
    is called for each choice.
    """
    rules = find_rules(methods, labels)
    if equal == "atoms":
        rules = {name: rule for name, rule in rules.items() if rule.budgeted}
    total = envs.n_structures if equal == "structures" else int(envs.counts.sum())
    limits = sorted({as_size(size).of(total, equal) for size in sizes})
    cost = None if equal == "structures" else atom_costs(envs)
    problem = cover_problem(envs, bandwidth=bandwidth, cost=cost)
    bound_of = _bounds(problem, limits, equal) if bounds else {}
    rows = []
    for name, rule in rules.items():
        repeats = seeds if name in REPEATED else 1
        found: dict[int, list[dict[str, Any]]] = {limit: [] for limit in limits}
        for seed in range(repeats):
            choose = partial(rule.choose, envs, bandwidth=bandwidth, reference=None)
            if repeats > 1:
                choose = partial(choose, key=jax.random.key(seed))
            for limit, selection, seconds in _choices(choose, limits, cost, rule.nested):
                if told is not None:
                    told(name, limit, selection)
                row = measure(problem, envs, selection.selected)
                row |= {"chosen": len(selection.selected), "force_tail": _kept(tail, selection.selected)}
                row["upper_bound"] = _smaller(bound_of.get(limit), selection.upper_bound)
                row["seconds"] = seconds
                found[limit].append(row)
        for limit, each in found.items():
            rows.append(plain(_row(name, limit, total, each)))
        advance("comparison", len(rows), len(rules) * len(limits))
    return sorted(rows, key=lambda row: row["asked"])


def _row(name: str, limit: int, total: int, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means of what a rule keeps over its repetitions, and their spread."""
    known = [key for key, value in found[0].items() if value is not None]
    means = {key: float(np.mean([row[key] for row in found])) for key in known}
    spread = {key: float(np.std([row[key] for row in found], ddof=1)) for key in known if len(found) > 1}
    row: dict[str, Any] = dict.fromkeys(found[0]) | means | {"spread": spread or None, "repeats": len(found)}
    size = round(row.pop("chosen"))
    bound = row["upper_bound"]
    row["environments"] = round(row["environments"])
    ratio = None if bound is None else min(1.0, row["coverage"] / bound)
    head = {"method": name, "asked": limit, "size": size, "fraction": limit / total}
    return head | row | {"certified_ratio": ratio}


def _smaller(first: float | None, second: float | None) -> float | None:
    return first if first is None or second is None else min(first, second)


def find_rules(methods: Sequence[str] | None, labels: Sequence[str] | None) -> dict[str, Rule]:
    """The rules of these names, or all; "stratified" is one if there are labels."""
    by_label = {} if labels is None else {"stratified": _stratified_by(labels)}
    available = RULES | by_label
    return {name: available.get(name) or find_rule(name) for name in methods or available}


def _stratified_by(labels: Sequence[str]) -> Rule:
    choose = partial(stratified, labels=labels)
    return Rule(choose, "structures at random, of each label in proportion", budgeted=True, seeded=True)


@follows_dtype
def measure(problem: CoverProblem, envs: Environments, selected: np.ndarray) -> dict[str, Any]:
    """What a choice keeps of a data set, from masses that are known already.

        overlap = mean [δH_i ≤ tolerance],    H = ln n_C + mean_{i in C} δH_i,    D = ln Σ_{i in C} exp δH_i

    with δH_i = −ln Σ_{s in C} M_si. A problem with a reference is not meant here.
    """
    x = apart(envs, float(problem.bandwidth))
    chosen = np.isin(envs.structure_id, selected)
    w = indicator(problem, selected)
    mass = np.array(problem.masses.total(w))
    far = mass < TRUSTED * (CUTOFF + float(problem.dropped))
    dH = -np.log(np.where(far, 1.0, mass))
    dH[far] = _delta_entropy(x[far], x[chosen], float(problem.bandwidth))
    dH[lacking(envs, envs.take(chosen))] = np.inf
    return {
        "environments": chosen.sum(),
        "overlap": (dH < overlap_tolerance(x.dtype)).mean(),
        "coverage": float(coverage(problem, w)),
        "entropy": np.log(chosen.sum()) + dH[chosen].mean(),
        "diversity": np.logaddexp.reduce(dH[chosen]),
        "max_delta_entropy": dH.max(initial=-np.inf, where=np.isfinite(dH)),
        "delta_entropy_999": np.quantile(dH, TAIL),
    }


def force_tail(structures: Sequence[Atoms]) -> np.ndarray | None:
    """Numbers of the structures with a force above the 99.9 % quantile of all known forces; None without."""
    norms = [np.zeros(0) if norm is None else norm for norm in norms_of(find_labels(structures))]
    norms = [norm[np.isfinite(norm)] for norm in norms]
    if not any(map(len, norms)):
        return None
    largest = np.array([norm.max(initial=0.0) for norm in norms])
    return np.flatnonzero(largest > np.quantile(np.concatenate(norms), TAIL))


def without_forces(structures: Sequence[Atoms]) -> list[int]:
    """Numbers of the structures with atoms whose forces are missing or not finite."""
    norms = norms_of(find_labels(structures))
    return [number for number, norm in enumerate(norms) if norm is None or not np.isfinite(norm).all()]


def config_types(structures: Sequence[Atoms]) -> list[str] | None:
    """`info["config_type"]` of each structure; None if some have none or all have the same."""
    labels = [str(atoms.info.get("config_type", "")) for atoms in structures]
    return labels if all(labels) and len(set(labels)) > 1 else None


def _choices(
    choose: Callable[..., Selection], limits: Sequence[int], cost: np.ndarray | None, nested: bool
) -> Iterator[tuple[int, Selection, float]]:
    """Limit, choice and seconds for each; smaller sizes of nested rules are prefixes of the largest."""
    selection, seconds = None, 0.0
    for limit in sorted(limits, reverse=nested):
        if selection is None or not nested or cost is not None:
            start = time.perf_counter()
            selection = choose(size=limit) if cost is None else choose(budget=cost_budget(cost, limit))
            seconds = round(time.perf_counter() - start, 3)
        if cost is None:
            yield limit, selection._replace(selected=selection.selected[:limit]), seconds
        else:
            yield limit, selection, seconds


def _bounds(problem: CoverProblem, limits: Sequence[int], equal: str) -> dict[int, float]:
    """What no choice within each limit can cover more than."""
    if equal == "atoms":
        budgets = {limit: make_budget(problem, cost_budget=float(limit)) for limit in limits}
        bounds = {limit: relax(problem, budget, max_steps=STEPS) for limit, budget in budgets.items()}
        return {
            limit: min(1.0, float(found.upper_bound + problem.dropped)) for limit, found in bounds.items()
        }
    greedy = greedy_cover(problem, size=max(limits))
    prefixes = {limit: greedy._replace(selected=greedy.selected[:limit]) for limit in limits}
    return {limit: certify(problem, prefix).upper_bound or 1.0 for limit, prefix in prefixes.items()}


def _delta_entropy(y: np.ndarray, x: np.ndarray, bandwidth: float) -> np.ndarray:
    """δH(y|x) on the host: the numbers of rows vary too much for compiled programs."""
    y, x = ((rows - x.mean(axis=0)) / bandwidth for rows in (y, x))
    half = 0.5 * (x**2).sum(axis=1)
    dH = np.empty(len(y))
    for first in range(0, len(y), ROWS):
        block = slice(first, first + ROWS)
        exponent = y[block] @ x.T - half - 0.5 * (y[block] ** 2).sum(axis=1, keepdims=True)
        dH[block] = -logsumexp(np.minimum(exponent, 0.0), axis=1)
    return dH


def _kept(tail: np.ndarray | None, selected: np.ndarray) -> float | None:
    return None if tail is None or not len(tail) else float(np.isin(tail, selected).mean())
