"""What is computed follows the dtype of the input, whatever the process has chosen for JAX."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk
from scipy.spatial.distance import cdist

import quests_jax as qj
from quests_jax.atoms import Neighbors, find_neighbors
from quests_jax.atoms.descriptors import descriptors
from quests_jax.cover import coverage, mass, soft_weights
from quests_jax.cover.solvers.soft import soft_cover
from quests_jax.generate import delta_entropies, known_environments
from quests_jax.information import (
    cross_kernel_sums,
    kernel_product,
    log_kernel_sum,
    over_devices,
    self_kernel_sum,
)

H = 0.3
IMPORT = """
import jax
before = jax.random.normal(jax.random.key(0)), jax.config.jax_logging_level
import quests_jax
assert not jax.config.jax_enable_x64
assert jax.random.normal(jax.random.key(0)) == before[0]
assert jax.config.jax_logging_level == before[1]
"""


@pytest.fixture
def off() -> Iterator[None]:
    """A process that has not switched on float64."""
    with jax.enable_x64(False):
        yield


def rows(n: int, seed: int = 0) -> np.ndarray:
    """Of nine features, like those of `tests/information`: the programs are the same."""
    return np.random.default_rng(seed).normal(0, 0.3, (n, 9))


def both(f, *arguments):
    """What f returns with float64 switched on, and with it switched off."""
    with jax.enable_x64(True):
        on = jax.tree.map(np.asarray, f(*arguments))
    with jax.enable_x64(False):
        return on, jax.tree.map(np.asarray, f(*arguments))


def test_the_import_changes_nothing_in_jax():
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SUMS = {
    "entropy": lambda y, x: qj.entropy(x, bandwidth=H),
    "diversity": lambda y, x: qj.diversity(x, bandwidth=H),
    "delta entropy": lambda y, x: qj.delta_entropy(y, x, bandwidth=H),
    "overlap": lambda y, x: qj.overlap(y, x, bandwidth=H),
    "weights": lambda y, x: log_kernel_sum(y, x, bandwidth=H, weights=np.ones(len(x))),
    "product": lambda y, x: kernel_product(y, x, np.ones((len(x), 4)), bandwidth=H),
    "devices": lambda y, x: over_devices(log_kernel_sum)(y, x, bandwidth=H),
}


CASES = [(n, dtype, name) for n in (40, 700) for dtype in (np.float64, np.float32) for name in SUMS]
CASES.remove((700, np.float32, "devices"))  # dealing knows no dtype, and compiles for seconds


@pytest.mark.parametrize(("n", "dtype", "name"), CASES)
def test_sums_follow_their_input(name, dtype, n):
    y, x = rows(n, 1).astype(dtype), rows(n).astype(dtype)
    on, off = both(SUMS[name], y, x)
    assert on.dtype == off.dtype == dtype
    np.testing.assert_array_equal(on, off)


def test_lists_are_computed_in_float64(off):
    found = qj.delta_entropy([[0.0, 0.1]], [[0.0, 0.3], [1, 1]], bandwidth=H)
    assert found.dtype == np.float64


RESULTS = SUMS | {
    "cross sums": lambda y, x: cross_kernel_sums(y, x, bandwidth=H)[1],
    "soft weights": lambda y, x: soft_cover(envs_of(x), size=2.0, temperature=0.1, bandwidth=H).weights,
    "mass": lambda y, x: mass(qj.cover_problem(envs_of(x), bandwidth=H), np.ones(8)),
}


def envs_of(x: np.ndarray) -> qj.Environments:
    return qj.make_environments(x, np.arange(len(x)) // 5, 8)


@pytest.mark.parametrize("name", RESULTS)
def test_results_can_be_used_where_float64_is_off(off, name):
    """JAX has no float64 then: its own methods cut arrays of float64 to float32, with a warning."""
    y, x = rows(40, 1), rows(40)
    found = RESULTS[name](y, x)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    exact = np.asarray(found).astype(np.longdouble)
    assert float(found.max()) == float(exact.max())  # a warning is an error here
    assert float(found.sum()) == pytest.approx(float(exact.sum()), rel=1e-14)
    if name in SUMS:
        assert isinstance(RESULTS[name](*(side.astype(np.float32) for side in (y, x))), jax.Array)


@pytest.mark.parametrize("n", [40, 700])
def test_programs_and_gradients_of_float32_are_right_where_float64_is_off(off, n):
    y, x = rows(n, 1).astype(np.float32), rows(n).astype(np.float32)
    f = lambda x: qj.entropy(x, bandwidth=H) + jnp.sum(qj.delta_entropy(y, x, bandwidth=H))  # noqa: E731
    value, slope = jax.jit(jax.value_and_grad(f))(x)
    assert value.dtype == slope.dtype == np.float32
    K, own = (np.exp(-(cdist(side.astype(float), x.astype(float)) ** 2) / (2 * H**2)) for side in (y, x))
    exact = -np.log(own.mean(axis=1)).mean() - np.log(K.sum(axis=1)).sum()
    p, share = own.sum(axis=1), K / K.sum(axis=1, keepdims=True)
    pull = own * (1 / p[:, None] + 1 / p[None]) / n
    steep = x * pull.sum(axis=1, keepdims=True) - pull @ x + x * share.sum(axis=0)[:, None] - share.T @ y
    np.testing.assert_allclose(value, exact, rtol=1e-5)
    np.testing.assert_allclose(slope, steep / H**2, rtol=1e-3, atol=1e-4 * np.abs(steep).max() / H**2)


def test_a_whole_study_gives_the_same_numbers():
    structures = [bulk("Cu", a=a, cubic=True) for a in np.linspace(3.5, 3.8, 8)]
    for number, atoms in enumerate(structures):
        atoms.rattle(0.05, seed=number)

    def study():
        envs = qj.environments(structures, k=8)
        problem = qj.cover_problem(envs)
        chosen = [qj.greedy_cover(problem, size=3), qj.relaxed_cover(problem, size=3)]
        chosen += [qj.exact_cover(problem, size=3), qj.msc(envs, size=3)]
        w = soft_weights(envs, size=3.0, temperature=0.05, bandwidth=0.05)
        whole = qj.compress(structures, size=3, k=8)
        found = [np.asarray(each.selected) for each in chosen], [each.coverage for each in chosen]
        found += (qj.certify(problem, chosen[0]).upper_bound,)
        return (
            envs.x,
            found,
            w,
            coverage(problem, np.ones(8)),
            list(whole.selection.selected),
            whole.selection.coverage,
        )

    on, off = both(study)
    for a, b in zip(jax.tree.leaves(on), jax.tree.leaves(off), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_descriptors_and_biases_give_the_same_numbers():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=1)

    def study():
        neighbors = find_neighbors(atoms, k=8)
        assert isinstance(neighbors, Neighbors)
        known = known_environments([bulk("Si", cubic=True)], k=8)
        place = atoms.positions, atoms.cell.array, neighbors
        return descriptors(*place), delta_entropies(*place, known), self_kernel_sum(known.x)

    on, off = both(study)
    for a, b in zip(on, off, strict=True):
        assert a.dtype == b.dtype == np.float64
        np.testing.assert_array_equal(a, b)
