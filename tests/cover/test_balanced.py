"""The cover of environments and whole structures at once, against the equation written as loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase.build import bulk

import quests_jax as qj
from quests_jax.base.checks import InputError
from quests_jax.cover.rules import balanced as module
from quests_jax.cover.rules.balanced import balanced, balanced_problem

pytestmark = pytest.mark.slow

H = 0.1


def kernel(a: np.ndarray, b: np.ndarray, h: float = H) -> float:
    return float(np.exp(-np.sum((a - b) ** 2) / (2 * h**2)))


def value(envs: qj.Environments, chosen: list[int], reference: qj.Environments | None = None) -> float:
    """F of the docstring of the module, environment by environment; elements told apart where they are."""
    x, own = np.asarray(envs.x), np.asarray(envs.structure_id)
    z = np.zeros(len(x)) if envs.elements is None else np.asarray(envs.elements)
    present = [s for s in range(envs.n_structures) if np.any(own == s)]
    known = [] if reference is None else list(range(reference.n_structures))
    there = {} if reference is None else {s: reference.x[reference.structure_id == s] for s in known}
    found = 0.0
    for h in (H, 2 * H):
        total, weights = 0.0, 0.0
        for i in range(len(x)):
            alike = [j for j in range(len(x)) if z[i] == z[j]]
            u = 1 / sum(kernel(x[i], x[j], h) for j in alike)
            m = sum(kernel(x[i], x[j], h) for j in alike if own[j] in chosen)
            m += sum(kernel(x[i], y, h) for s in known for y in there[s])
            total += u * min(1.0, m)
            weights += u
        found += 0.25 * total / weights
    mean = {s: x[own == s].mean(axis=0) for s in present}
    structures = 0.0
    for s in present:
        mu = sum(kernel(mean[s], mean[t]) for t in chosen if t in mean)
        mu += sum(kernel(mean[s], there[t].mean(axis=0)) for t in known)
        structures += min(1.0, mu)
    return found + 0.5 * structures / len(present)


def greedy(envs: qj.Environments, size: int, cost: np.ndarray | None = None) -> list[int]:
    """Choose by gain per cost, with F by loops."""
    chosen: list[int] = []
    cost = np.ones(envs.n_structures) if cost is None else cost
    for _ in range(size):
        rest = [s for s in range(envs.n_structures) if s not in chosen]
        before = value(envs, chosen)
        chosen.append(max(rest, key=lambda s: (value(envs, [*chosen, s]) - before) / cost[s]))
    return chosen


@pytest.fixture(scope="module")
def envs() -> qj.Environments:
    generator = np.random.default_rng(3)
    number = np.repeat(np.arange(8), [1, 3, 2, 4, 1, 2, 3, 2])
    return qj.make_environments(generator.normal(size=(18, 2)) * 2 * H, number)


@pytest.fixture(scope="module")
def elements(envs: qj.Environments) -> qj.Environments:
    labels = np.where(np.arange(len(envs)) % 3 == 0, 8, 14)
    return qj.Environments(envs.x, envs.structure_id, envs.n_structures, labels)


@pytest.mark.parametrize("kind", ["envs", "elements"])
def test_the_coverage_is_that_of_the_equation(kind, request):
    data = request.getfixturevalue(kind)
    problem = balanced_problem(data, bandwidth=H)
    for chosen in ([], [3], [0, 5, 6], list(range(8))):
        w = np.isin(np.arange(8), chosen).astype(float)
        np.testing.assert_allclose(float(qj.cover.coverage(problem, w)), value(data, chosen), rtol=1e-12)


def test_greedy_chooses_by_the_equation(envs):
    assert balanced(envs, size=5, bandwidth=H).selected.tolist() == greedy(envs, 5)


def test_a_budget_counts_what_structures_cost(envs):
    budget = qj.cover.atom_budget(envs, 9)
    chosen = balanced(envs, budget=budget, bandwidth=H).selected
    assert envs.counts[chosen].sum() <= 9
    assert chosen[0] == greedy(envs, 1, envs.counts)[0]


def test_a_reference_covers_environments_and_means(envs):
    known = qj.make_environments(np.asarray(envs.x)[[0, 4, 5]], [0, 1, 1])
    problem = balanced_problem(envs, bandwidth=H, reference=known)
    np.testing.assert_allclose(
        float(qj.cover.coverage(problem, np.zeros(8))), value(envs, [], known), rtol=1e-12
    )


def test_an_array_as_reference_has_no_structures(envs):
    problem = balanced_problem(envs, bandwidth=H, reference=np.asarray(envs.x)[:3])
    mean = module.stacked(envs, H).kind == module.MEAN
    assert np.all(np.asarray(problem.reference_mass)[mean] == 0)
    assert np.all(np.asarray(problem.reference_mass)[~mean][:2] > 0.99)


def test_certificates_hold(envs):
    """No choice of three structures is above the bound, by trying all 56."""
    problem = balanced_problem(envs, bandwidth=H)
    found = qj.certify(problem, balanced(envs, size=3, bandwidth=H))
    best = max(value(envs, list(chosen)) for chosen in itertools.combinations(range(8), 3))
    assert found.upper_bound >= best - 1e-12
    assert found.coverage <= best + 1e-12


def test_a_structure_without_atoms_has_no_mean(envs):
    holed = qj.Environments(envs.x, np.asarray(envs.structure_id) + 1, 10)
    problem = balanced_problem(holed, bandwidth=H)
    w = np.isin(np.arange(10), [4]).astype(float)
    np.testing.assert_allclose(float(qj.cover.coverage(problem, w)), value(envs, [3]), rtol=1e-12)


def test_a_sample_of_environments_keeps_all_means(envs, monkeypatch):
    monkeypatch.setattr(module, "ALL", 10)
    monkeypatch.setattr(module, "TARGETS", 9)
    monkeypatch.setattr(module, "fits", lambda both: False)
    problem = balanced_problem(envs, bandwidth=H)
    assert len(problem.weights) < 2 * len(envs) + 8
    assert np.sum(np.isclose(problem.weights, 0.5 / 8, rtol=1e-12)) == 8
    np.testing.assert_allclose(float(problem.weights.sum()), 1.0, rtol=1e-12)


def test_it_is_a_rule_of_compress():
    copper = [bulk("Cu", a=a, cubic=True) for a in (3.5, 3.55, 3.6, 3.65, 3.7)]
    found = qj.compress(copper, size=2, k=8, method="balanced")
    assert len(found.selection.selected) == 2
    assert found.summary["method"] == "balanced"


def test_both_limits_are_refused(envs):
    with pytest.raises(InputError, match="either size or budget"):
        balanced(envs, size=2, budget=qj.cover.atom_budget(envs, 9), bandwidth=H)
