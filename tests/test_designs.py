"""Choices by the design matrix against refits of the linear model, and learned weights of stacked rows."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

import quests_jax as qj

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "potentials"
MODULES = ("ridge", "designs", "stacked_weights")


@pytest.fixture(scope="module")
def lab() -> Iterator[SimpleNamespace]:
    """The modules of the experiment, importable as long as these tests run."""
    if not FOLDER.exists():
        pytest.skip("no experiment beside these tests")
    known = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # habits of jax-md
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    sys.path.remove(str(FOLDER))
    for name in set(sys.modules) - known:
        if FOLDER in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
            del sys.modules[name]


@pytest.fixture(scope="module")
def model(lab):
    """Seven structures of one to four atoms, five columns: some have more rows than columns, some fewer."""
    generator, atoms = np.random.default_rng(3), np.array([1, 4, 2, 3, 1, 2, 4])
    aims = lab.ridge.Targets(generator.normal(size=7), generator.normal(size=(atoms.sum(), 3)))
    rows = generator.normal(size=(7, 5)), generator.normal(size=(3 * atoms.sum(), 5))
    return lab.ridge.Rows(*rows, aims, atoms)


def refit(lab, model, chosen):
    """G⁻¹ and θ of a choice, from its rows."""
    known = lab.ridge.equations(model)
    gram = lab.designs.PENALTY * np.eye(5) + sum((known.grams[s] for s in chosen), np.zeros((5, 5)))
    return np.linalg.inv(gram), lab.ridge.fit(known, np.array(chosen, int), lab.designs.PENALTY)


def state(lab, model, chosen):
    return lab.designs.State(*refit(lab, model, chosen))


def test_rows_give_the_loss_and_the_normal_equations(lab, model):
    theta = np.linspace(-1, 1, 5)
    losses = [((y - x @ theta) ** 2).sum() for x, y in lab.ridge.weighted_rows(model)]
    found = lab.ridge.predict(model, theta)
    total = lab.ridge.loss(found, model.targets, model.atoms) * model.atoms.sum()
    assert sum(losses) == pytest.approx(total, rel=1e-12)


def test_leverage_is_what_predictions_take_from_their_own_labels(lab, model):
    """ℓ_s = Σ ∂(X_s θ)/∂y_s over the rows of a structure, by changing each label."""
    pool = lab.designs.make_pool(model)
    rows = list(lab.ridge.weighted_rows(model))
    covariance, _ = refit(lab, model, range(7))
    expected = []
    for x, _ in rows:
        shares = [(x @ (covariance @ (x.T @ unit)))[i] for i, unit in enumerate(np.eye(len(x)))]
        expected.append(sum(shares))
    np.testing.assert_allclose(lab.designs.leverages(pool), expected, rtol=1e-10)
    assert sum(expected) == pytest.approx(5 - lab.designs.PENALTY * np.trace(covariance))


def test_cooks_distance_is_what_a_fit_without_the_structure_predicts_differently(lab, model):
    rows = np.concatenate([x for x, _ in lab.ridge.weighted_rows(model)])
    _, theta = refit(lab, model, range(7))
    without = [refit(lab, model, [t for t in range(7) if t != s])[1] for s in range(7)]
    expected = [((rows @ (theta - other)) ** 2).sum() for other in without]
    np.testing.assert_allclose(lab.designs.cook_distances(lab.designs.make_pool(model)), expected, rtol=1e-9)


def test_gains_are_those_of_fits_with_one_structure_more(lab, model):
    pool, before = lab.designs.make_pool(model), state(lab, model, [1, 2])
    after = [state(lab, model, [1, 2, s]) for s in range(7)]
    found = [gains(pool, before) for gains in (lab.designs.d_optimal, lab.designs.cook_stepwise)]
    logs = [np.linalg.slogdet(one.covariance)[1] for one in (before, *after)]
    np.testing.assert_allclose(found[0], logs[0] - np.array(logs[1:]), rtol=1e-9)
    moves = [(one.theta - before.theta, np.linalg.inv(one.covariance)) for one in after]
    np.testing.assert_allclose(found[1], [move @ gram @ move for move, gram in moves], rtol=1e-9)


def test_v_optimal_designs_lower_the_variances_of_predictions(lab, model):
    """Variances of all rows that are predicted, one by one."""
    pool, before = lab.designs.make_pool(model), state(lab, model, [0])
    after = [state(lab, model, [0, s]) for s in range(7)]

    def total(rows, one):
        return sum(row @ one.covariance @ row for row in rows)

    rows = np.concatenate([x for x, _ in lab.ridge.weighted_rows(model)])
    falls = [total(rows, before) - total(rows, one) for one in after]
    np.testing.assert_allclose(lab.designs.v_optimal(pool, before), falls, rtol=1e-9)
    kinds = model.energy / model.atoms[:, None], model.force
    logs = [sum(np.log(total(kind, one)) for kind in kinds) for one in (before, *after)]
    np.testing.assert_allclose(
        lab.designs.both_optimal(pool, before), logs[0] - np.array(logs[1:]), rtol=1e-9
    )


def test_greedy_designs_take_the_best_per_atom_that_fits(lab, model):
    pool, limit = lab.designs.make_pool(model), 7.0
    chosen: list[int] = []
    while True:
        left = limit - model.atoms[chosen].sum()
        rest = [s for s in range(7) if s not in chosen and model.atoms[s] <= left]
        if not rest:
            break
        sizes = {s: np.linalg.slogdet(refit(lab, model, [*chosen, s])[0])[1] for s in rest}
        now = np.linalg.slogdet(refit(lab, model, chosen)[0])[1] if chosen else 0.0
        chosen.append(max(rest, key=lambda s, now=now, sizes=sizes: (now - sizes[s]) / model.atoms[s]))
    assert lab.designs.greedy(lab.designs.d_optimal, pool, limit).tolist() == chosen


def test_no_choice_has_a_variance_below_the_bound(lab, model):
    pool, limit = lab.designs.make_pool(model), 7.0
    every = [
        np.array(w) for w in itertools.product((0.0, 1.0), repeat=7) if np.array(w) @ model.atoms <= limit
    ]
    found = [lab.designs.variance(pool, w) for w in every]
    rows = np.concatenate([x for x, _ in lab.ridge.weighted_rows(model)])
    covariance = refit(lab, model, np.flatnonzero(every[-1]))[0]
    assert found[-1] == pytest.approx(sum(row @ covariance @ row for row in rows))
    bound = lab.designs.variance_bound(pool, limit)
    assert bound <= min(found)
    within = {"type": "ineq", "fun": lambda w: limit - w @ pool.cost}
    given = {"bounds": [(0, 1)] * 7, "constraints": within}
    relaxed = minimize(lambda w: lab.designs.variance(pool, w), np.full(7, 0.4), **given).fun
    assert 0.95 * relaxed < bound <= relaxed * (1 + 1e-6)


def test_scores_are_drawn_in_proportion_and_keep_to_the_atoms(lab):
    scores, cost = np.array([1.0, 3.0, 0.0, 4.0]), np.array([1.0, 1.0, 1.0, 1.0])
    first = [lab.designs.drawn(scores, cost, 1.0, seed)[0] for seed in range(4000)]
    np.testing.assert_allclose(np.bincount(first, minlength=4) / 4000, scores / 8, atol=0.03)
    assert lab.designs.largest(scores, np.array([1.0, 2.0, 1.0, 4.0]), 3.0).tolist() == [1, 0]


@pytest.fixture(scope="module")
def lesson(lab, model):
    """Seven structures whose choice is learned; the same structures judge it."""
    generator = np.random.default_rng(5)
    x = 0.02 * generator.normal(size=(model.atoms.sum(), 3))
    envs = qj.make_environments(x, np.repeat(np.arange(7), model.atoms), 7)
    problem, kind = lab.stacked_weights.posed(envs)
    known = lab.ridge.equations(model)
    made = lab.stacked_weights.make_lesson(problem, kind, known, model, 0.4)
    return envs, lab.stacked_weights.at(made, 0.03)


def test_weights_of_balanced_are_those_of_the_rule(lab, lesson):
    envs, learned = lesson
    weights = lab.stacked_weights.of_balanced()
    problem, kind = lab.stacked_weights.posed(envs)
    cover = learned.cover
    u = lab.stacked_weights.row_weights(weights, cover.total, cover.kind)
    order = np.argsort(kind, kind="stable")  # lessons keep one kind after the other
    np.testing.assert_allclose(u, problem.weights[order], rtol=1e-6)
    expected = qj.cover.balanced(envs, budget=qj.cover.atom_budget(envs, 0.5)).selected
    assert lab.stacked_weights.chosen(problem, kind, weights, 0.5).tolist() == expected.tolist()


def test_the_soft_choice_is_the_maximum_and_its_slope_that_of_finite_differences(lab, lesson):
    """The conditions of the maximum in NumPy; the derivatives of J by every weight that is learned."""
    _, learned = lesson
    start, step, T = lab.stacked_weights.of_balanced(), 1e-5, float(lesson[1].cover.temperature)
    cover = learned.cover
    u = lab.stacked_weights.row_weights(start, cover.total, cover.kind)
    w, M, c = (
        np.asarray(each) for each in (lab.stacked_weights.soft_choice(u, cover), cover.masses, cover.cost)
    )
    assert w @ c == pytest.approx(0.4 * c.sum())
    slopes = 1 / (1 + np.exp(-(1 - w @ M) / T))  # φ_T'
    pressure = (M @ (np.asarray(u) * slopes)) / c - T / (0.4 * c.sum()) * np.log(w / (1 - w))
    np.testing.assert_allclose(pressure, pressure[0], rtol=1e-6)
    value_and_slope = jax.jit(jax.value_and_grad(lab.stacked_weights.loss))
    slope = value_and_slope(start, learned)[1]
    for field in ("logits", "rarity"):
        values = getattr(start, field)
        for k, along in enumerate(getattr(slope, field)):
            moved = [start._replace(**{field: values.at[k].add(sign * step)}) for sign in (1, -1)]
            ends = [float(value_and_slope(one, learned)[0]) for one in moved]
            assert float(along) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-8)
    assert float(slope.logits.sum()) == pytest.approx(0.0, abs=1e-9)  # shares sum to 1


PROGRAMS = {
    "fresh": "balanced",
    "design_screen": "V-optimal",
    "design_gap": "V-optimal",
    "design_bounds": "median",
    "weights_screen": "learned on design, T = 0.03",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_tables_are_made_from_what_is_stored(lab, capsys, program):
    module = importlib.import_module(program)
    assert module.main(["--summary"]) == 0
    assert f"\n| {PROGRAMS[program]} |" in capsys.readouterr().out
