"""Potentials on compressed data: features, models, choices, learned weights, and the study as a whole."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from smoke import Smoke, run_smoke

import quests_jax as qj
from quests_jax.base.json_values import as_columns

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "potentials"
MODULES = (
    "features",
    "ridge",
    "neural",
    "selecting",
    "measures",
    "data",
    "study",
    "summary",
    "tables",
    "bilevel",
)
CUTOFF, SALT = 4.0, (11, 17)


@pytest.fixture(scope="module")
def lab() -> Iterator[SimpleNamespace]:
    """The modules of the experiment, importable as long as these tests run."""
    if not FOLDER.exists():
        pytest.skip("no experiment beside these tests")
    sys.path.insert(0, str(FOLDER))
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # habits of jax-md
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    sys.path.remove(str(FOLDER))
    for name in MODULES:
        sys.modules.pop(name, None)


def salt(seed: int = 0, *, repeat: int = 1) -> Atoms:
    """Two or more atoms in a skewed cell that is much smaller than the cutoff, with labels."""
    generator = np.random.default_rng(seed)
    atoms = bulk("NaCl", "rocksalt", a=4.4).repeat((repeat, 1, 1))
    atoms.set_cell(atoms.cell.array + 0.1 * generator.normal(size=(3, 3)), scale_atoms=True)
    atoms.rattle(0.1, rng=generator)
    labels = {"energy": generator.normal(), "forces": generator.normal(size=(len(atoms), 3))}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def moved(atoms: Atoms, atom: int, axis: int, by: float) -> Atoms:
    other = atoms.copy()
    other.positions[atom, axis] += by
    return other


def differences(energies, atoms: Atoms, step: float = 1e-4) -> np.ndarray:
    """−∂E/∂R by central differences; `energies` of many structures at once."""
    places = list(np.ndindex(len(atoms), 3))
    ahead, behind = (energies([moved(atoms, *place, by) for place in places]) for by in (step, -step))
    return -(ahead - behind).reshape(-1, 3) / (2 * step)


def cut(r: float) -> float:
    return 0.5 * (1 + np.cos(np.pi * r / CUTOFF)) if r < CUTOFF else 0.0


def triple(v: np.ndarray, w: np.ndarray, eta: float, lam: float, zeta: float) -> float:
    """The angular term of two neighbors, from the equation."""
    a, b, c = np.linalg.norm(v), np.linalg.norm(w), np.linalg.norm(v - w)
    angle = 2.0 ** (1 - zeta) * (1 + lam * (v @ w) / (a * b)) ** zeta
    return angle * np.exp(-eta * (a**2 + b**2 + c**2)) * cut(a) * cut(b) * cut(c)


def test_symmetry_functions_are_those_of_the_equations(lab):
    generator = np.random.default_rng(0)
    cluster = Atoms("Na2Cl3", 1.2 * generator.normal(size=(5, 3)))
    (found,) = lab.features.features([cluster], SALT, cutoff=CUTOFF)
    vectors = np.delete(cluster.positions - cluster.positions[2], 2, axis=0)
    kinds, r = np.array([0, 0, 1, 1]), np.linalg.norm(vectors, axis=1)
    expected = [
        sum(np.exp(-eta * r[j] ** 2) * cut(r[j]) for j in range(4) if kinds[j] == z)
        for eta in lab.features.RADIAL
        for z in (0, 1)
    ]
    for p in lab.features.ANGULAR:
        T = np.array([[triple(v, w, *p) if np.any(v != w) else 0 for v in vectors] for w in vectors])
        expected += [T[np.ix_(kinds == a, kinds == b)].sum() for a, b in ((0, 0), (0, 1), (1, 1))]
    np.testing.assert_allclose(found.values[2], expected, rtol=1e-10, atol=1e-15)


def test_the_angular_term_is_that_of_jax_md(lab):
    from jax_md.nn import behler_parrinello

    v, w = np.array([1.0, 0.3, -0.2]), np.array([-0.4, 1.1, 0.5])
    for p in lab.features.ANGULAR:
        theirs = behler_parrinello.single_pair_angular_symmetry_function(v, w, *map(float, p), CUTOFF)
        assert float(theirs) == pytest.approx(triple(v, w, *p), rel=1e-5)  # they add 1e-7 Å to lengths


def test_a_cell_smaller_than_the_cutoff_is_its_supercell(lab):
    small = salt()
    one, four = lab.features.features([small, small.repeat((2, 2, 1))], SALT, cutoff=CUTOFF)
    np.testing.assert_allclose(np.tile(one.values, (4, 1)), four.values, rtol=1e-10, atol=1e-13)


def linear_model(lab, structures):
    found = lab.features.features(structures, SALT, cutoff=CUTOFF)
    basis = lab.ridge.make_basis(found, 2, n_hidden=7, seed=0)
    shifts = lab.ridge.fit_shifts(structures, SALT)
    return basis, lab.ridge.rows(found, basis, lab.ridge.targets(structures, SALT, shifts))


def test_forces_of_the_linear_model_are_derivatives_of_its_energy(lab):
    atoms = salt(1, repeat=2)
    basis, model = linear_model(lab, [salt(2), atoms])
    theta = np.random.default_rng(0).normal(size=model.energy.shape[1])

    def energies(others: list[Atoms]) -> np.ndarray:
        found = lab.features.features(others, SALT, cutoff=CUTOFF)
        return np.array([lab.ridge.design(one, basis)[0] @ theta for one in found])

    expected = differences(energies, atoms)
    forces = lab.ridge.predict(model, theta).forces[2:]
    np.testing.assert_allclose(forces, expected, rtol=1e-6, atol=1e-5 * abs(expected).max())


def test_ridge_solves_the_weighted_least_squares_problem(lab):
    structures = [salt(seed, repeat=1 + seed % 2) for seed in range(5)]
    _, model = linear_model(lab, structures)
    chosen, penalty = np.array([0, 3, 4]), 0.5
    part = model.take(chosen)
    each = lab.ridge.ENERGY / np.sqrt(part.atoms)
    rows = np.concatenate([each[:, None] * part.energy, part.force / np.sqrt(3)])
    aims = np.concatenate([each * part.targets.energies, part.targets.forces.reshape(-1) / np.sqrt(3)])
    rows = np.concatenate([rows, np.sqrt(penalty) * np.eye(rows.shape[1])])
    expected = np.linalg.lstsq(rows, np.concatenate([aims, np.zeros(rows.shape[1])]))[0]
    theta = lab.ridge.fit(lab.ridge.equations(model), chosen, penalty)
    np.testing.assert_allclose(theta, expected, rtol=1e-6, atol=1e-8)


def padded(lab, structures, dtype):
    found = lab.features.features(structures, SALT, cutoff=CUTOFF)
    basis = lab.ridge.make_basis(found, 2, n_hidden=0, seed=0)
    shifts = lab.ridge.fit_shifts(structures, SALT)
    return basis, lab.neural.pad(found, basis, lab.ridge.targets(structures, SALT, shifts), dtype=dtype)


def network(lab, data, **training):
    training = lab.neural.Training(**({"hidden": (6,), "steps": 20, "batch": 2, "chunk": 5} | training))
    return training, lab.neural.make_network(data.values.shape[2], 2, training)


def test_forces_of_the_network_are_derivatives_of_its_energy(lab):
    atoms = salt(1, repeat=2)
    basis, data = padded(lab, [salt(2), atoms], np.float64)
    net = network(lab, data)[1]
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), net.start(0).params)

    def energies(others: list[Atoms]) -> np.ndarray:
        found = lab.features.features(others, SALT, cutoff=CUTOFF)
        aims = lab.ridge.Targets(np.zeros(len(others)), np.zeros((sum(map(len, others)), 3)))
        return np.asarray(net.predict(params, lab.neural.pad(found, basis, aims, dtype=np.float64))[0])

    expected = differences(energies, atoms)
    np.testing.assert_allclose(net.predict(params, data)[1][1], expected, rtol=1e-6, atol=1e-6)


def test_float32_forces_are_those_of_float64(lab):
    structures = [salt(2), salt(1, repeat=2)]
    (_, single), (_, double) = (padded(lab, structures, dtype) for dtype in (np.float32, np.float64))
    net = network(lab, single)[1]
    params = net.start(0).params
    exact = net.predict(jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params), double)[1]
    np.testing.assert_allclose(net.predict(params, single)[1], exact, atol=1e-4 * float(abs(exact).max()))


def test_the_slope_of_the_training_loss_is_exact(lab):
    _, data = padded(lab, [salt(2), salt(1, repeat=2)], np.float64)
    net = network(lab, data)[1]
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), net.start(0).params)
    along = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=float)).reshape(leaf.shape), params)

    def ahead(h: float) -> float:
        return float(net.loss(jax.tree.map(lambda p, d: p + h * d, params, along), data))

    pairs = zip(jax.tree.leaves(jax.grad(net.loss)(params, data)), jax.tree.leaves(along), strict=True)
    slope = sum(float(jnp.vdot(a, b)) for a, b in pairs)
    assert slope == pytest.approx((ahead(1e-5) - ahead(-1e-5)) / 2e-5, rel=1e-6)


def test_training_goes_on_from_a_checkpoint_as_if_nothing_had_happened(lab, tmp_path):
    _, data = padded(lab, [salt(seed) for seed in range(5)], np.float32)
    training, net = network(lab, data)
    given = {"training": training, "seed": 3}
    split = lab.neural.Split(np.arange(4), np.array([4]))
    whole = lab.neural.train(net, data, split, **given)
    half = given | {"training": training._replace(steps=10), "checkpoint": tmp_path / "half.npz"}
    lab.neural.train(net, data, split, **half)
    resumed = lab.neural.train(net, data, split, **given, checkpoint=half["checkpoint"])
    for a, b in zip(*map(jax.tree.leaves, (whole, resumed)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_stops_early_and_learns(lab):
    _, data = padded(lab, [salt(0)] * 2, np.float32)
    training, net = network(lab, data, steps=400, chunk=10, patience=3)
    split = lab.neural.Split(np.array([0]), np.array([1]))
    state = lab.neural.train(net, data, split, training=training, seed=0)
    assert float(state.best_loss) < 0.1 * float(net.loss(net.start(0).params, data))
    endless = training._replace(steps=10**6)
    stopped = lab.neural.train(net, data, split, training=endless, seed=0)
    assert int(stopped.stale) == 3


def quadratic(lab, n: int = 6, width: int = 4):
    generator = np.random.default_rng(0)
    rows, aims = generator.normal(size=(n, 5, width)), generator.normal(size=(n, 5))
    grams = np.einsum("sri,srj->sij", rows, rows)
    outer = rows[0].T @ rows[0], rows[0].T @ (aims[0] + 0.3), float(((aims[0] + 0.3) ** 2).sum())
    moments = np.einsum("sri,sr->si", rows, aims)
    return lab.bilevel.Quadratic(jnp.asarray(grams), jnp.asarray(moments), 0.1, *map(jnp.asarray, outer))


def test_the_implicit_gradient_of_selection_weights_is_exact(lab):
    problem, w = quadratic(lab), jnp.linspace(0.1, 0.9, 6)
    slope = jax.grad(lambda w: lab.bilevel.outer_loss(problem, w))(w)
    for s, unit in enumerate(np.eye(6)):
        ends = [float(lab.bilevel.outer_loss(problem, w + h * unit)) for h in (1e-5, -1e-5)]
        assert float(slope[s]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)
    theta = lab.bilevel.solution(problem, w)
    u = jnp.linalg.solve(
        jnp.tensordot(w, problem.grams, 1) + 0.1 * jnp.eye(4), 2 * (problem.gram @ theta - problem.moment)
    )
    np.testing.assert_allclose(slope, (problem.moments - problem.grams @ theta) @ u, rtol=1e-9)


def test_weights_are_projected_onto_the_nearest_point_of_the_budget(lab):
    from scipy.optimize import minimize

    for seed in range(5):
        z = 2 * np.random.default_rng(seed).normal(size=6) - 1
        w = np.asarray(lab.bilevel.onto_budget(jnp.asarray(z), 2))
        whole = {"type": "eq", "fun": lambda v: v.sum() - 2}
        exact = {"bounds": [(0, 1)] * 6, "constraints": whole, "options": {"ftol": 1e-14}}
        best = minimize(lambda v, z=z: ((v - z) ** 2).sum(), np.full(6, 1 / 3), **exact)
        assert w.sum() == pytest.approx(2, abs=1e-9)
        np.testing.assert_allclose(w, best.x, atol=1e-5)


def test_learning_lowers_the_loss_and_ends_at_whole_weights(lab):
    problem = quadratic(lab, n=30)
    w, losses = lab.bilevel.learn(problem, 5, steps=300)
    assert w.sum() == pytest.approx(5)
    assert losses[-1] < 0.7 * losses[0]
    assert ((w > 0.01) & (w < 0.99)).mean() < 0.1


def test_choices_keep_their_budgets(lab):
    generator = np.random.default_rng(0)
    counts = generator.integers(2, 9, 20)
    envs = qj.make_environments(
        0.05 * generator.normal(size=(counts.sum(), 3)), np.repeat(np.arange(20), counts)
    )
    found = list(lab.selecting.choices(envs, ("random", "k-means", "msc", "cover"), (0.2, 0.5), 0))
    assert len(found) == 4 * 2 * 2 + 2
    for choice in found:
        assert len(np.unique(choice.selected)) == len(choice.selected)
        if choice.budget == "structures":
            assert len(choice.selected) == round(choice.size * 20)
        else:
            assert counts[choice.selected].sum() <= choice.size * counts.sum()
    again = list(lab.selecting.choices(envs, ("random", "k-means"), (0.2, 0.5), 0))
    for a, b in zip(found[:8], again[:8], strict=True):
        np.testing.assert_array_equal(a.selected, b.selected)


def test_errors_are_measured_where_they_are(lab):
    forces = np.zeros((4, 3))
    forces[3, 0] = 10.0
    aim = lab.ridge.Targets(np.array([1.0, 2.0]), forces)
    wrong = lab.ridge.Targets(np.array([1.0, 2.02]), forces + np.array([[0.0], [0.0], [0.0], [3.0]]))
    found = lab.measures.measure(wrong, aim, np.array([2, 2]), np.array([-1.0, 0.0, 0.0, 5.0]))
    assert found["force_rmse_tail"] == pytest.approx(3.0)
    assert found["force_rmse_bulk"] == 0
    assert found["force_rmse"] == pytest.approx(1.5)
    assert found["energy_rmse"] == pytest.approx(10 / np.sqrt(2))
    assert found["covered"] == 0.75
    assert found["correlation"] > 0.5


def test_delta_entropies_of_a_choice_are_those_of_the_package(lab):
    generator = np.random.default_rng(0)
    parts = [0.02 * generator.normal(size=(3, 4)) for _ in range(5)]
    y = 0.02 * generator.normal(size=(6, 4))
    found = lab.measures.delta_entropy(lab.measures.masses(y, parts), np.array([1, 4]))
    expected = qj.delta_entropy(y, np.concatenate([parts[1], parts[4]]))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_tests_are_disjoint_from_the_training_set(lab):
    structures = [salt(seed) for seed in range(20)]
    for number, atoms in enumerate(structures):
        atoms.info["config_type"] = "rare" if number % 4 == 3 else "common"
    part = lab.data.Part(structures, list(range(20)), list(range(20)))
    repeats = lab.data.Part([salt(0), salt(99)], [0, 99], [0, 99])
    data = lab.data.DataSet("salt", SALT, CUTOFF, "all", outside=("x/others",), without=("rare",))
    train, tests = lab.data.split(data, lambda name, most: {"all": part, "x/others": repeats}[name])
    assert tests["rare"].x == [3, 7, 11, 15, 19]
    assert tests["others"].x == [99]  # the other one is trained on
    assert sorted(train.x + tests["in"].x + tests["rare"].x) == list(range(20))
    assert len(tests["in"].x) == 3


def test_ratios_to_another_method_are_paired_by_seed(lab):
    def row(method: str, error: float) -> dict:
        return {"budget": "structures", "method": method, "size": 0.1, "tests": {"in": {"force_rmse": error}}}

    records = {
        f"a / ridge / {seed}": {"rows": as_columns([row("random", 2.0**seed), row("msc", 0.5 * 2.0**seed)])}
        for seed in range(3)
    }
    found = lab.summary.collect(records)
    case = lab.summary.Case("a", "ridge", "structures", "msc", 0.1)
    ratio = lab.summary.ratio_to(found, [case], "random", "in", "force_rmse")
    assert ratio.mean == pytest.approx(0.5)
    assert lab.summary.ratio_to(found, [case], "random", "out", "force_rmse") is None


def test_the_tables_say_what_the_results_say(lab):
    records = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))["records"]
    tables = lab.tables.text(records)
    assert (FOLDER / "TABLES.md").read_text(encoding="utf-8") == tables + "\n"
    rows = [
        line for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if "| msc |" in line
    ]
    assert len(rows) > 10
    assert set(rows) <= set(tables.splitlines())


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    return run_smoke("potentials", tmp_path_factory.mktemp("potentials"))


def test_the_smoke_version_runs(smoke):
    results, printed, folder = smoke
    assert results.keys() >= {"protocol", "parameters", "dtype", "device", "versions", "records"}
    assert {key.split(" / ")[1] for key in results["records"]} == {"ridge", "neural", "learned"}
    for name in ("figure.png", "errors.png", "toy.png", "TABLES.md"):
        assert (folder / name).stat().st_size > 0
    for method in ("random", "k-means", "msc", "cover", "full", "learned in"):
        assert f"| {method} |" in printed


def test_a_run_that_was_stopped_goes_on_and_finds_the_same(smoke):
    results, printed, folder = smoke
    path = folder / "results.json"
    lost = results["records"].pop("silicon / ridge / 1")
    path.write_text(json.dumps(results), encoding="utf-8")
    again = run_smoke("potentials", folder)
    assert again.results["records"]["silicon / ridge / 1"]["rows"] == lost["rows"]
    assert sorted(again.printed.splitlines()) == sorted(printed.splitlines())
