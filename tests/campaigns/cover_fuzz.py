"""Random small cover problems by brute force: no bound is below the optimum, no choice breaks its limits.

    python tests/campaigns/cover_fuzz.py --problems 10000 --seed 0

Every problem has 8 structures with 20 environments, so programs are compiled once; what is random is where
the environments lie (some of them up to 10⁸ bandwidths away), their weights and the costs (over up to 16
powers of ten, some weights 0), a reference, the limit (a size, a budget that some choice spends exactly, a
coverage) and quotas. Masses, coverages and optima are formed again in extended precision from the positions.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from quests_jax.base.checks import InputError
from quests_jax.base.environments import make_environments
from quests_jax.cover import (
    FACILITY_LOCATION,
    CoverProblem,
    Selection,
    certify,
    cover_problem,
    exact_cover,
    greedy_cover,
    make_quota,
    minimum_cover_bound,
    relaxed_cover,
)

BANDWIDTH = 0.1
COUNTS = np.array([3, 2, 4, 1, 3, 2, 3, 2])
S, N = len(COUNTS), int(COUNTS.sum())
KNOWN = 4  # environments of a reference
CHOICES = np.array(list(itertools.product([0, 1], repeat=S)), np.longdouble)
ROUNDING = 1e-13  # relative; sums of 20 terms in float64
COST_ROUNDING = 1e-9  # by which a sum of costs may exceed a budget
FULL = 1e-9  # an environment with this much less than mass 1 is covered
LABELS = list("aabbbbca")
Wide = np.longdouble


class Case(NamedTuple):
    """A problem, and what it is worth in extended precision."""

    problem: CoverProblem
    cost: np.ndarray  # [S]
    coverage: np.ndarray  # [256], of every choice
    facility: np.ndarray  # [256]
    shortest: np.ndarray  # [256], smallest mass of an environment that counts
    spent: np.ndarray  # [256]
    rng: np.random.Generator


def make_case(rng: np.random.Generator, *, capped: bool = False) -> Case:
    """One of all; with `capped` masses its small ones are dropped, and the others are float32."""
    x = rng.uniform(0, rng.choice([2.0, 5.0, 20.0]) * BANDWIDTH, (N, 2))
    far = rng.random(N) < rng.choice([0.0, 0.2])
    x[far] += BANDWIDTH * 10 ** rng.uniform(0, 8, (int(far.sum()), 1))
    if rng.random() < 0.2:  # copies
        x[rng.integers(0, N, 6)] = x[rng.integers(0, N, 6)]
    known = rng.uniform(0, 5 * BANDWIDTH, (KNOWN, 2)) if rng.random() < 0.4 else None
    if known is not None and rng.random() < 0.3:
        known = x[rng.integers(0, N, KNOWN)]
    u, cost = _spread(rng, N), _spread(rng, S)
    u[rng.random(N) < rng.choice([0.0, 0.2])] = 0.0
    u[rng.integers(0, N)] += 1.0 if not u.any() else 0.0
    envs = make_environments(x, np.repeat(np.arange(S), COUNTS), S)
    options = {"bandwidth": BANDWIDTH, "weights": u, "cost": cost, "reference": known}
    problem = cover_problem(envs, capped=capped, **options)
    kernel = _kernel(x, x)
    M = np.stack([kernel[np.asarray(envs.structure_id) == s].sum(axis=0) for s in range(S)])
    r = np.zeros(N, Wide) if known is None else _kernel(known, x).sum(axis=0)
    mass, share = r + CHOICES @ M, Wide(1) * u / (Wide(1) * u).sum()
    nearest = np.maximum(np.max(CHOICES[:, :, None] * np.minimum(M, 1)[None], axis=1), np.minimum(r, 1))
    return Case(
        problem,
        cost,
        np.minimum(mass, 1) @ share,
        nearest @ share,
        mass[:, u > 0].min(axis=1),
        CHOICES @ (Wide(1) * cost),
        rng,
    )


def _spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """Positive numbers: all alike, or over one or 16 powers of ten."""
    powers = rng.choice([0.0, 0.5, 8.0])
    return 10 ** rng.uniform(-powers, powers, count)


def _kernel(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    squared = np.sum((Wide(1) * y[:, None] - x[None]) ** 2, axis=-1)
    return np.exp(-squared / (2 * Wide(BANDWIDTH) ** 2))


# --- limits ----------------------------------------------------------------------------------------------


def _limit(case: Case) -> dict[str, float]:
    if case.rng.random() < 0.5:
        return {"size": int(case.rng.integers(1, S + 1))}
    spent = case.spent[case.rng.integers(1, len(CHOICES))]
    return {"cost_budget": float(spent * case.rng.choice([1.0, case.rng.uniform(0.5, 2)]))}


def _within(case: Case, limit: dict[str, float], slack: float = 0.0) -> np.ndarray:
    """Mask of the choices that keep a limit."""
    if "size" in limit:
        return CHOICES.sum(axis=1) <= limit["size"]
    return case.spent <= limit["cost_budget"] * (1 + Wide(slack))


def _number(selected: np.ndarray) -> int:
    """Row of a selection among all choices."""
    return int(np.sum(2 ** (S - 1 - np.asarray(selected, int))))


# --- checks: each returns what is wrong, or nothing ------------------------------------------------------


def _check_answer(case: Case, answer: Selection, limit: dict[str, float], values: np.ndarray) -> list[str]:
    row, wrong = _number(answer.selected), []
    if (
        abs(float(answer.coverage or 0) - float(values[row]))
        > 1e-11 * max(1e-300, float(values[row])) + 1e-15
    ):
        wrong.append(f"coverage {answer.coverage} for {float(values[row])}")
    if not _within(case, limit, 3 * COST_ROUNDING)[row]:
        wrong.append("the limit is not kept")
    return wrong


def _check_bound(bound: float | None, optimum: float, what: str) -> list[str]:
    if bound is None or not bound >= float(optimum) * (1 - ROUNDING):
        return [f"{what} {bound} is below the optimum {float(optimum)}"]
    return []


def _greedy(case: Case) -> list[str]:
    limit = _limit(case)
    answer = greedy_cover(case.problem, **limit)
    row = _number(answer.selected)
    certified = certify(case.problem, answer, max_steps=int(case.rng.choice([0, 50, 200])))
    best = case.coverage[case.spent <= case.spent[row]].max()
    return _check_answer(case, answer, limit, case.coverage) + _check_bound(
        certified.upper_bound, best, "certify"
    )


def _capped(case: Case) -> list[str]:
    limit, dropped = _limit(case), float(case.problem.dropped)
    answer = greedy_cover(case.problem, **limit)
    row = _number(answer.selected)
    certified = certify(case.problem, answer, max_steps=50)
    best = case.coverage[case.spent <= case.spent[row]].max()
    wrong = _check_bound(certified.upper_bound, best, "certify")
    if not abs(float(answer.coverage or 0) - float(case.coverage[row])) <= dropped:
        wrong.append(f"coverage {answer.coverage} for {float(case.coverage[row])}")
    return wrong


def _any_choice(case: Case) -> list[str]:
    row = int(case.rng.integers(0, len(CHOICES)))
    selected = np.flatnonzero(CHOICES[row])
    answer = certify(case.problem, Selection(selected, np.zeros(len(selected)), "any"), max_steps=50)
    best = case.coverage[case.spent <= case.spent[row]].max()
    return _check_bound(answer.upper_bound, best, "certify")


def _facility(case: Case) -> list[str]:
    limit = {"size": int(case.rng.integers(1, S))}
    answer = greedy_cover(case.problem, measure=FACILITY_LOCATION, **limit)
    certified = certify(case.problem, answer, measure=FACILITY_LOCATION)
    best = case.facility[case.spent <= case.spent[_number(answer.selected)]].max()
    return _check_answer(case, answer, limit, case.facility) + _check_bound(
        certified.upper_bound, best, "facility"
    )


def _relaxed(case: Case) -> list[str]:
    limit = _limit(case)
    answer = relaxed_cover(case.problem, **limit)
    wrong = _check_answer(case, answer, limit, case.coverage)
    return wrong + _check_bound(answer.upper_bound, case.coverage[_within(case, limit)].max(), "relaxed")


def _exact(case: Case) -> list[str]:
    limit = _limit(case)
    answer = exact_cover(case.problem, **limit)
    wrong = _check_answer(case, answer, limit, case.coverage)
    wrong += _check_bound(answer.upper_bound, float(answer.coverage or 0), "exact of itself")
    return wrong + _check_bound(answer.upper_bound, case.coverage[_within(case, limit)].max(), "exact")


def _cheapest(case: Case) -> list[str]:
    full = case.rng.random() < 0.5 and case.shortest[-1] >= 1
    target = 1.0 if full else float(case.coverage[-1] * Wide(case.rng.uniform(0.3, 0.999)))
    reach = case.shortest >= 1 if full else case.coverage >= target
    cheapest = float(case.spent[reach].min())
    answer = exact_cover(case.problem, coverage=target)
    row, wrong = _number(answer.selected), []
    if case.coverage[row] < target - 2 * FULL or (full and case.shortest[row] < 1 - 2 * FULL):
        wrong.append("the coverage is not reached")
    for bound in [answer.cost_bound, *([minimum_cover_bound(case.problem)] if full else [])]:
        if bound is None or not bound <= cheapest * (1 + ROUNDING):
            wrong.append(f"cost bound {bound} is above the cheapest {cheapest}")
    return wrong


def _quotas(case: Case) -> list[str]:
    at_least = {"a": int(case.rng.integers(0, 3)), "b": int(case.rng.integers(0, 3)), "c": 1}
    limit, quota = _limit(case), make_quota(LABELS, case.cost, at_least)
    met = np.ones(len(CHOICES), bool)
    for label, least in at_least.items():
        met &= CHOICES[:, [one == label for one in LABELS]].sum(axis=1) >= least
    possible = met & _within(case, limit)
    solve = relaxed_cover if case.rng.random() < 0.2 else greedy_cover
    try:
        answer = solve(case.problem, quota=quota, **limit)
    except InputError:
        return ["quotas refused that can be met"] if possible.any() else []
    wrong = _check_answer(case, answer, limit, case.coverage)
    if not met[_number(answer.selected)]:
        wrong.append("a quota is not met")
    if answer.upper_bound is not None and possible.any():
        wrong += _check_bound(answer.upper_bound, case.coverage[possible].max(), "with quotas")
    return wrong


CHECKS: dict[str, tuple[Callable[[Case], list[str]], float]] = {  # and how often each is made
    "greedy": (_greedy, 0.15),
    "any choice": (_any_choice, 0.1),
    "capped": (_capped, 0.1),
    "facility": (_facility, 0.1),
    "relaxed": (_relaxed, 0.1),
    "exact": (_exact, 0.15),
    "cheapest": (_cheapest, 0.15),
    "quotas": (_quotas, 0.15),
}


def check_problem(seed: int, number: int) -> tuple[str, list[str]]:
    """The check that was made of a problem, and what is wrong."""
    rng = np.random.default_rng([seed, number])
    name = str(rng.choice(list(CHECKS), p=[often for _, often in CHECKS.values()]))
    return name, CHECKS[name][0](make_case(rng, capped=name == "capped"))


def main() -> int:
    """Run the campaign; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts, seconds, failures = Counter(), Counter(), 0
    for number in range(options.first, options.first + options.problems):
        start = time.process_time()
        try:
            name, wrong = check_problem(options.seed, number)
        except Exception as error:  # an error of any kind is a finding
            name, wrong = "error", [repr(error)[:300]]
        counts[name] += 1
        seconds[name] += time.process_time() - start
        failures += bool(wrong)
        if wrong:
            print(f"problem {number} ({name}): {'; '.join(wrong)}", flush=True)
        if (number + 1) % 500 == 0:
            mean = {key: round(seconds[key] / counts[key], 3) for key in counts}
            print(f"{number + 1} problems, {failures} wrong; {dict(counts)}; seconds each {mean}", flush=True)
    print(f"{options.problems} problems, {failures} wrong: {dict(counts)}")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
