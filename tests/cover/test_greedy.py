from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_covers import BANDWIDTH, COUNTS, affordable, known, loop_coverage, toy, toy_problem, uneven

from quests_jax.base.checks import InputError
from quests_jax.base.environments import make_environments
from quests_jax.cover import cover_problem, greedy_cover, make_quota, relaxed_cover
from quests_jax.cover.masses import dense_or_sparse as masses
from quests_jax.cover.masses import sparse

S = len(COUNTS)
seeds = st.integers(0, 10_000)


def plain_greedy(problem, price, affords) -> list[int]:
    """Compare every structure before every pick."""
    chosen: list[int] = []
    while left := [s for s in range(problem.n_structures) if s not in chosen and affords([*chosen, s])]:
        now = loop_coverage(problem, chosen)
        gains = {s: (loop_coverage(problem, [*chosen, s]) - now) / price[s] for s in left}
        best = max(gains.values())
        chosen.append(next(s for s in left if gains[s] > best - 1e-13))
    return chosen


@given(seeds)
@settings(max_examples=40)
def test_lazy_picks_are_those_of_plain_greedy(seed):
    problem = toy_problem(seed, weights=uneven(seed)["weights"])
    answer = greedy_cover(problem, size=5)
    adding = 5 if answer.saturated is None else answer.saturated
    expected = plain_greedy(problem, np.ones(S), lambda chosen: len(chosen) <= 5)
    assert answer.selected[:adding].tolist() == expected[:adding]
    assert len(answer.selected) == 5
    assert answer.coverage == pytest.approx(loop_coverage(problem, answer.selected), rel=1e-12)
    assert answer.gains.sum() == pytest.approx(answer.coverage, rel=1e-12)


@given(seeds)
@settings(max_examples=40)
def test_with_costs_gains_are_compared_per_cost_and_the_budget_is_kept(seed):
    problem = toy_problem(seed, **uneven(seed))
    cost = np.asarray(problem.cost)
    expected = plain_greedy(problem, cost, lambda chosen: cost[chosen].sum() <= 4)
    answer = greedy_cover(problem, cost_budget=4.0).selected.tolist()
    assert answer == expected[: len(answer)]  # what plain greedy adds beyond gains nothing
    assert loop_coverage(problem, answer) == pytest.approx(loop_coverage(problem, expected), rel=1e-12)


@given(seeds)
@settings(max_examples=20)
def test_greedy_is_within_its_guarantee(seed):
    problem = toy_problem(seed)
    best = max(loop_coverage(problem, choice) for choice in affordable(problem, 3))
    answer = known(greedy_cover(problem, size=3).coverage)
    assert (1 - 1 / np.e) * best <= answer <= best * (1 + 1e-12)


@given(seeds)
@settings(max_examples=20)
def test_every_prefix_is_an_answer(seed):
    problem = toy_problem(seed)
    everything = greedy_cover(problem, size=S).selected
    assert sorted(everything) == list(range(S))
    for size in (1, 4):
        assert greedy_cover(problem, size=size).selected.tolist() == everything[:size].tolist()


@given(seeds)
@settings(max_examples=20)
def test_renumbering_structures_renumbers_the_answer(seed):
    envs, order = toy(seed), np.random.default_rng(seed).permutation(S)
    rows = [np.flatnonzero(np.asarray(envs.structure_id) == s) for s in order]
    counts = [len(r) for r in rows]
    moved = make_environments(np.asarray(envs.x)[np.concatenate(rows)], np.repeat(np.arange(S), counts))
    problems = [cover_problem(e, bandwidth=BANDWIDTH) for e in (envs, moved)]
    first, second = (greedy_cover(problem, size=4) for problem in problems)
    np.testing.assert_allclose(first.gains, second.gains, rtol=1e-10)
    # The picks themselves may differ where two structures gain the same up to rounding.
    assert loop_coverage(problems[0], order[second.selected]) == pytest.approx(first.coverage, rel=1e-12)


@given(seeds)
@settings(max_examples=10)
def test_coverage_one_covers_every_environment(seed):
    problem = toy_problem(seed)
    answer = greedy_cover(problem, coverage=1.0)
    mass = np.asarray(problem.masses.values)[answer.selected].sum(axis=0)
    assert mass.min() >= 1 - 1e-9
    before_last = np.asarray(problem.masses.values)[answer.selected[:-1]].sum(axis=0)
    assert before_last.min() < 1 - 1e-9


def test_a_coverage_is_reached_with_the_fewest_picks_of_greedy():
    problem = toy_problem(4)
    answer, order = greedy_cover(problem, coverage=0.8), greedy_cover(problem, size=S)
    needed = int(np.searchsorted(np.cumsum(order.gains), 0.8 - 1e-9)) + 1
    assert answer.selected.tolist() == order.selected[:needed].tolist()


def test_small_gains_are_not_worth_a_pick():
    order = greedy_cover(toy_problem(5), size=S)
    answer = greedy_cover(toy_problem(5), min_gain=order.gains[3] * (1 + 1e-9))
    assert answer.selected.tolist() == order.selected[:3].tolist()


def test_included_structures_come_first_and_excluded_ones_never():
    free = greedy_cover(toy_problem(6), size=3).selected
    answer = greedy_cover(toy_problem(6), size=5, include=[7, 2], exclude=free[:1].tolist())
    assert answer.selected[:2].tolist() == [7, 2]
    assert len(answer.selected) == 5
    assert free[0] not in answer.selected


def test_a_copy_is_taken_last_and_the_lower_number_first():
    x = np.concatenate([toy(7).x, np.asarray(toy(7).x)[-2:]])  # structure 8 repeats structure 7
    copied = make_environments(x, np.append(toy(7).structure_id, [8, 8]))
    order = greedy_cover(cover_problem(copied, bandwidth=BANDWIDTH), size=9).selected.tolist()
    assert order.index(7) < order.index(8)


def test_structures_without_environments_gain_nothing():
    envs = make_environments(toy(8).x, np.asarray(toy(8).structure_id) * 2, 16)
    answer = greedy_cover(cover_problem(envs, bandwidth=BANDWIDTH), coverage=1.0)
    assert (answer.selected % 2 == 0).all()


@pytest.mark.slow
def test_sparse_masses_give_the_same_picks(monkeypatch):
    dense = greedy_cover(toy_problem(9), size=S)
    monkeypatch.setattr(masses, "DENSE", 50)
    monkeypatch.setattr(sparse, "CHUNK", 4)
    jax.clear_caches()
    assert greedy_cover(toy_problem(9), size=S).selected.tolist() == dense.selected.tolist()


def covered_twice(seed: int):
    """A toy and a reference that holds all of it: no structure adds anything."""
    return toy(seed), cover_problem(toy(seed), bandwidth=BANDWIDTH, reference=toy(seed).x)


@given(seeds)
@settings(max_examples=15)
def test_where_nothing_adds_anything_the_farthest_come_next(seed):
    envs, problem = covered_twice(seed)
    answer = greedy_cover(problem, size=S)
    masses, mass = np.asarray(problem.masses.values), np.asarray(problem.reference_mass)
    assert answer.saturated == 0
    assert answer.gains.tolist() == [0.0] * S
    assert sorted(answer.selected) == list(range(envs.n_structures))
    for done, s in enumerate(answer.selected):
        nearness = masses @ mass / masses.sum(axis=1)
        assert nearness[s] <= nearness[answer.selected[done:]].min() * (1 + 1e-12)
        mass = mass + masses[s]


def test_it_says_how_many_picks_add_anything():
    x = np.concatenate([toy(7).x, np.asarray(toy(7).x)[::-1]])  # every environment twice
    number = np.concatenate([toy(7).structure_id, 2 * S - 1 - np.asarray(toy(7).structure_id)[::-1]])
    order = np.argsort(number, kind="stable")
    problem = cover_problem(make_environments(x[order], number[order]), bandwidth=BANDWIDTH)
    answer = greedy_cover(problem, size=1.0)
    adding = known(answer.saturated)
    assert adding <= S < len(answer.selected)
    assert (answer.gains[:adding] > 0).all()
    assert not answer.gains[adding:].any()
    assert answer.selected[adding:].tolist() != sorted(answer.selected[adding:])
    assert greedy_cover(problem, size=adding - 1).saturated is None
    assert greedy_cover(problem, size=adding).saturated == adding


QUOTA = {"a": 2, "c": 1}
LABELS = list("aabbbbca")


def in_quota(choice) -> bool:
    return all(sum(LABELS[s] == label for s in choice) >= least for label, least in QUOTA.items())


@pytest.mark.slow
@given(seeds, st.floats(4.0, 8.0))
@settings(max_examples=25)
def test_quotas_are_met_within_the_budget(seed, limit):
    problem = toy_problem(seed, **uneven(seed))
    cost = np.asarray(problem.cost)
    quota = make_quota(LABELS, problem.cost, QUOTA)
    choices = [choice for choice in affordable(problem, limit) if in_quota(choice)]
    if not choices:
        with pytest.raises(InputError, match="the quotas cost at least"):
            greedy_cover(problem, cost_budget=limit, quota=quota)
        return
    answer = greedy_cover(problem, cost_budget=limit, quota=quota)
    assert in_quota(answer.selected)
    assert cost[answer.selected].sum() <= limit * (1 + 1e-8)
    best = max(loop_coverage(problem, choice) for choice in choices)
    assert known(answer.coverage) <= best * (1 + 1e-12)
    relaxed = relaxed_cover(problem, cost_budget=limit, quota=quota)
    assert in_quota(relaxed.selected)
    assert cost[relaxed.selected].sum() <= limit * (1 + 1e-8)
    assert best <= known(relaxed.upper_bound) + 1e-12
    assert known(relaxed.coverage) >= known(answer.coverage) - 1e-12


@given(seeds)
@settings(max_examples=15)
def test_with_a_size_and_quotas_greedy_is_within_a_half(seed):
    problem = toy_problem(seed)
    quota = make_quota(LABELS, problem.cost, QUOTA)
    answer = greedy_cover(problem, size=4, quota=quota)
    best = max(loop_coverage(problem, c) for c in affordable(problem, 4) if len(c) == 4 and in_quota(c))
    assert in_quota(answer.selected)
    assert len(answer.selected) == 4
    assert 0.5 * best <= known(answer.coverage) <= best * (1 + 1e-12)


def test_quotas_are_met_after_a_coverage_is_reached():
    problem = toy_problem(3)
    answer = greedy_cover(problem, coverage=0.3, quota=make_quota(LABELS, problem.cost, {"b": 4}))
    assert sum(LABELS[s] == "b" for s in answer.selected) == 4


BAD_QUOTAS = {
    "labels": (LABELS[:3], 1, {"size": 3}, "labels: expected 8, one per structure, got 3"),
    "unknown": (LABELS, {"z": 1}, {"size": 3}, "no structure has the label 'z'"),
    "fraction": (LABELS, 1.5, {"size": 3}, "quota must be a whole number"),
    "too many": (LABELS, 3, {"size": 3}, "the quotas need 7 structures, more than the 3 to choose"),
    "excluded": (LABELS, 1, {"size": 3, "exclude": [6]}, "group 2 has too few structures"),
}


@pytest.mark.parametrize("name", BAD_QUOTAS)
def test_quotas_that_cannot_be_met_are_refused(name):
    labels, at_least, options, message = BAD_QUOTAS[name]
    problem = toy_problem(0)
    with pytest.raises(InputError, match=message):
        greedy_cover(problem, quota=make_quota(labels, problem.cost, at_least), **options)


def test_an_uncoverable_environment_is_named():
    alone = make_environments(np.array([[0.0], [9.0], [9.0]]), np.array([0, 1, 2]))
    problem = cover_problem(alone, bandwidth=BANDWIDTH)
    with pytest.raises(InputError, match=r"coverage 1 cannot be reached.* 1 environment \(0\) is not"):
        greedy_cover(problem, coverage=1.0, exclude=[0])
    assert len(greedy_cover(problem, coverage=1.0, exclude=[1]).selected) == 2


BAD = {
    "no limit": ({}, "say when to stop"),
    "too many": ({"size": 9}, "size 9 is larger than the data set of 8"),
    "fraction": ({"size": 1.5}, "size as a fraction"),
    "coverage": ({"coverage": 1.2}, r"coverage must be in \(0, 1\]"),
    "budget": ({"cost_budget": -1.0}, "cost_budget must be a positive number"),
    "unknown structure": ({"size": 2, "include": [8]}, "include: structure 8 does not exist"),
    "half a structure": ({"size": 2, "include": [1.7]}, "include: expected whole numbers of structures, got"),
    "named twice": ({"size": 2, "include": [1, 1]}, "include: a structure is named twice"),
    "both": ({"size": 2, "include": [1], "exclude": [1]}, "structure 1 is both in include and in exclude"),
    "too few left": ({"size": 2, "exclude": [0, 1, 2, 3, 4, 5, 6]}, "more than the 1 structure not"),
    "too much included": ({"size": 1, "include": [0, 1]}, "less than the 2 structures to include"),
    "too costly": ({"cost_budget": 1.0, "include": [0, 1]}, "include costs 2, more than cost_budget 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_limits_are_refused_in_one_line(name):
    options, message = BAD[name]
    with pytest.raises(InputError, match=message) as error:
        greedy_cover(toy_problem(0), **options)
    assert "\n" not in str(error.value)


def test_a_second_answer_of_another_size_compiles_nothing(caplog):
    problem = toy_problem(1)
    greedy_cover(problem, size=2, include=[3])
    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        greedy_cover(problem, size=6, include=[3, 1], exclude=[0])
    assert not [
        record
        for record in caplog.records
        if record.message.startswith(("Compiling jit(choose)", "Compiling jit(start)", "Compiling jit(fill)"))
    ]
