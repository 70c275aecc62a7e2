"""Every platform sums the same pairs, in steps of its own, and few of them on an accelerator."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import kernel_oracle as oracle
import numpy as np
import pytest

import quests_jax as qj
from quests_jax.base.step_sizes import ACCELERATOR, computing_as
from quests_jax.cover.rules import msc
from quests_jax.information import (
    cross_kernel_sums,
    delta_entropy,
    delta_entropy_of_others,
    diversity,
    entropy,
    kernel_product,
    structure_masses,
)
from quests_jax.information.sums import log_sums, structure_sums, tile_by_tile

pytestmark = pytest.mark.slow

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "benchmarks"))
from accelerator import counted, programs  # noqa: E402  # pyright: ignore[reportMissingImports]
from steps import count  # noqa: E402  # pyright: ignore[reportMissingImports]

N, M, D, H = 700, 300, 3, 0.7
BATCHES = ACCELERATOR._replace(pairs=8, listed=9)  # two bands of query tiles and several batches
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)) * np.where(RNG.random((N, 1)) < 0.3, 1, 30)
Y = X[RNG.integers(N, size=M)] + RNG.normal(size=(M, D))
W, G, V = RNG.uniform(size=N), RNG.normal(size=N), RNG.normal(size=(N, 2))
GROUP = np.arange(N) // 7
COUNT, COUNTS, ONE = np.int32(N), np.array([M, N], np.int32), np.zeros(N)
SUMS = {
    "log_sum": (COUNTS, Y, X, ONE, np.array([0.5 * H, H])),
    "self_force": (COUNT, X, W, G, H),
    "self_sum": (COUNT, X, W, np.array([0.5 * H, H])),
    "product": (COUNTS, Y, X, V, np.zeros(M), ONE, H),
}
POWERS = {"self_force": {"power": 1}, "self_sum": {"power": 0}, "product": {"power": 1}}


def force(_, x: np.ndarray, w: np.ndarray, g: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Σ_j (q_kj − 2) K_kj (g_k w_j + g_j w_k)(x_j − x_k) / h², with q − 2 the slope of a power of 1."""
    s = oracle.exponents(x, x, h)
    pull = (-2 * s - 2) * np.exp(s) * (g[:, None] * w[None] + w[:, None] * g[None])
    return (pull @ x - pull.sum(axis=1)[:, None] * x) / h**2


EQUATIONS = {
    "log_sum": lambda _, y, x, shift, hs: np.stack([oracle.log_sum(y, x, h) for h in hs]),  # shifts are 0
    "self_force": force,
    "self_sum": lambda _, x, w, hs: np.stack([oracle.kernel(x, x, h) @ w for h in hs]),
    "product": lambda _, y, x, v, a, b, h: -2 * oracle.exponents(y, x, h) * oracle.kernel(y, x, h) @ v,
}


@pytest.mark.parametrize(("name", "dtype"), [*((name, np.float64) for name in SUMS), ("log_sum", np.float32)])
def test_batches_of_listed_pairs_sum_what_all_pairs_do(name: str, dtype: type) -> None:
    given = [np.asarray(a, dtype) if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in SUMS[name]]
    how = POWERS.get(name, {})
    found = jax.jit(
        partial(getattr(log_sums if name == "log_sum" else tile_by_tile, name), at=BATCHES, **how)
    )(*given)
    expected = EQUATIONS[name](*(a.astype(float) for a in given))
    scale = np.abs(expected).max()
    assert np.abs(np.asarray(found) - expected).max() <= (1e-11 if dtype is np.float64 else 2e-5) * scale


def test_masses_and_cross_sums_in_batches() -> None:
    given = COUNTS, jnp.asarray(Y), jnp.asarray(X)
    K = oracle.kernel(Y, X, H)
    own = jax.jit(partial(structure_sums.masses, n_structures=100, error=1e-12, at=BATCHES))
    expected = np.stack([K[:, s == GROUP].sum(axis=1) for s in range(100)], axis=1)
    assert np.allclose(own(*given, jnp.asarray(GROUP, np.int32), H), expected, rtol=1e-11, atol=1e-11)
    of_y, of_x = jax.jit(partial(tile_by_tile.cross_sums, at=BATCHES))(*given, H)
    assert np.allclose(of_y, K.sum(axis=1), rtol=1e-11, atol=1e-11)
    assert np.allclose(of_x, K.sum(axis=0), rtol=1e-11, atol=1e-11)


LARGE, TARGETS = (jax.ShapeDtypeStruct((n, 63), jnp.float32) for n in (232_000, 32_768))
STRUCTURE = np.arange(232_000) * 3500 // 232_000
MOST_STEPS = {
    "entropy": (entropy, (LARGE,), 1000),
    "delta entropy": (delta_entropy, (LARGE, LARGE), 1000),
    "gradient of the entropy": (jax.grad(entropy), (LARGE,), 2000),
    "gradient of delta entropies by both": (
        jax.grad(lambda y, x: jnp.sum(delta_entropy(y, x)), (0, 1)),
        (LARGE, LARGE),
        2000,
    ),
    "diversity": (diversity, (LARGE,), 1000),
    "cross sums": (cross_kernel_sums, (LARGE, LARGE), 1000),
    "delta entropies of others": (lambda x: delta_entropy_of_others(x, STRUCTURE), (LARGE,), 1000),
    "product": (kernel_product, (LARGE, LARGE, jax.ShapeDtypeStruct((232_000, 8), jnp.float32)), 1000),
    "masses": (lambda y, x: structure_masses(y, x, STRUCTURE, 3500), (TARGETS, LARGE), 1000),
}


@pytest.mark.parametrize("name", MOST_STEPS)
def test_an_accelerator_takes_few_steps_however_many_pairs_are_near(name: str) -> None:
    f, arguments, most = MOST_STEPS[name]
    counted = count(f, *arguments, at=ACCELERATOR, platform="cuda")
    assert counted.steps <= most
    assert counted.flop > 1e12  # all pairs of rows, or those of one half


@pytest.mark.parametrize(("name", "most"), [("descriptors of one call", 1), ("relaxed cover, one step", 10)])
def test_descriptors_and_the_relaxed_cover_take_few_steps(name: str, most: int) -> None:
    with computing_as(ACCELERATOR):
        assert counted(programs()[name]).steps <= most


def test_msc_takes_few_steps_for_each_pick(monkeypatch: pytest.MonkeyPatch) -> None:
    advance, seen = msc._advance, []

    def watched(*args: Any, **options: Any) -> msc.State:
        state = advance(*args, **options)
        seen.append((int(state.count), int(state.steps)))
        return state

    monkeypatch.setattr(msc, "_advance", watched)
    envs = qj.make_environments(RNG.normal(scale=0.02, size=(400, D)), np.arange(400) // 2)
    with computing_as(ACCELERATOR):
        qj.msc(envs, size=0.1)
    picks, steps = seen[-1]
    assert picks == 20
    assert steps <= 20 * picks
