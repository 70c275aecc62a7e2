"""Every compiled function can be lowered for GPUs and TPUs, without calls that only CPUs know.

Every product asks for the highest precision, so that none is rounded to TF32 or bfloat16.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import quests_jax as qj
from quests_jax.atoms import descriptor_batches
from quests_jax.atoms.descriptors import quests_descriptor
from quests_jax.base.step_sizes import CPU
from quests_jax.cover.bounds import certificate, pairwise, relaxation
from quests_jax.cover.budget import Budget
from quests_jax.cover.masses.sparse import in_blocks
from quests_jax.cover.objectives.mass_functions import LOG_MASS, SATURATED
from quests_jax.cover.objectives.objective import as_objective, mean_value
from quests_jax.cover.problem import CoverProblem, coverage
from quests_jax.cover.rules import msc, structure_tiles
from quests_jax.cover.solvers import lazy
from quests_jax.information import kernel_product, log_kernel_sum, structure_masses

pytestmark = pytest.mark.slow

PLATFORMS = ("cuda", "tpu")
EIGENVALUES = {"Eigh", "cusolver_syevd_ffi"}  # of a TPU and of a GPU; the only calls of foreign code
N, S, D, K = 700, 7, 3, 4  # rows, enough for tiles
MANY = jax.ShapeDtypeStruct((5000, D), jnp.float32)  # too many for all pairs at once
Program = tuple[Callable[..., Any], tuple[Any, ...]]

NAMES = (
    *("entropy", "slope", "delta entropy", "diversity", "overlap", "bandwidths", "product", "masses"),
    *("tiles of the entropy", "tiles of its slope", "tiles of delta entropies", "tiles of masses"),
    *("descriptor", "plain", "coverage", "log mass", "cap", "pairs"),
    *(
        f"{kind} {name}"
        for kind in ("dense", "sparse")
        for name in ("begin", "improve", "start", "choose", "fill")
    ),
    *("msc entropies", "msc initial", "msc advance"),
)
X = jnp.asarray(np.random.default_rng(0).normal(size=(N, D)))
NUMBER = np.repeat(np.arange(S, dtype=np.int32), N // S)
ENVS = qj.make_environments(np.asarray(X), NUMBER)
BUDGET = Budget(jnp.ones(S), jnp.asarray(2.0))


@cache
def dense() -> CoverProblem:
    return qj.cover_problem(ENVS, bandwidth=0.3)


@cache
def sparse() -> CoverProblem:
    parts = [(np.arange(N), np.arange(S), np.asarray(dense().masses.columns(jnp.arange(N)), np.float32))]
    return dataclasses.replace(dense(), masses=in_blocks(parts, S, N))


def data(problem: CoverProblem) -> relaxation.Data:
    return relaxation.Data(problem.masses, jnp.full(N, 1 / N), problem.reference_mass, BUDGET)


def iterate() -> tuple[Any, Any]:
    w, theta = jnp.full(S, 0.3), jnp.full(N, 0.5)
    best = relaxation.Relaxation(w, jnp.asarray(0.5), theta, jnp.asarray(1.0))
    return best, relaxation.Iterate(w, theta, jnp.ones(N))


def search(problem: CoverProblem) -> dict[str, Program]:
    objective = as_objective(SATURATED)
    ones, two, zero = jnp.ones(S), jnp.asarray(2.0), jnp.zeros(())
    limits = lazy.Limits(ones, two, jnp.int32(2), two, zero, None)
    first = jnp.zeros(S, jnp.int32), jnp.int32(0), jnp.zeros(S, bool)

    def start(problem: CoverProblem, *first: jax.Array) -> lazy.State:
        return lazy.start(problem, objective, limits, *first)

    def choose(problem: CoverProblem, state: lazy.State, stop: jax.Array) -> lazy.State:
        return lazy.choose(problem, objective, limits, state, stop)

    def fill(problem: CoverProblem, state: lazy.State, stop: jax.Array) -> lazy.State:
        return lazy.fill(problem, objective, limits, state, stop, jnp.array(False))

    more = problem, jax.eval_shape(start, problem, *first), jnp.int32(2)
    return {"start": (start, (problem, *first)), "choose": (choose, more), "fill": (fill, more)}


def of_msc() -> dict[str, Program]:
    rows = structure_tiles.tiles_of(ENVS, 0.3, np.ones(S))
    log_mass, left = jnp.full(rows.structure.size, -jnp.inf), jnp.asarray(2.0)
    initial = partial(msc._initial, longest=structure_tiles.TILE, first=True)
    state = initial(rows, log_mass, left)
    advance = rows, state, msc._grouped(rows, state), jnp.int32(2)
    return {
        "msc entropies": (structure_tiles._entropies, (rows.x, rows.structure, rows.start)),
        "msc initial": (initial, (rows, log_mass, left)),
        "msc advance": (partial(msc._advance, longest=structure_tiles.TILE), advance),
    }


def programs() -> dict[str, Program]:
    vectors = jnp.asarray(np.random.default_rng(1).normal(size=(CPU.environments, K, 3)))
    h = jnp.asarray([0.3, 0.5])
    best, now = iterate()
    found = {
        "entropy": (lambda x: qj.entropy(x, bandwidth=0.3), (X,)),
        "slope": (jax.grad(lambda x: qj.entropy(x, bandwidth=0.3)), (X,)),
        "delta entropy": (lambda y, x: qj.delta_entropy(y, x, bandwidth=0.3), (X[:50], X)),
        "diversity": (lambda x: qj.diversity(x, bandwidth=0.3), (X,)),
        "overlap": (lambda y, x: qj.overlap(y, x, bandwidth=0.3), (X[:50], X)),
        "bandwidths": (lambda y, x: log_kernel_sum(y, x, bandwidth=h), (X[:50], X)),
        "product": (lambda x: kernel_product(x, x, x, bandwidth=0.3), (X,)),
        "masses": (lambda x: structure_masses(x, x, NUMBER, S, bandwidth=0.3), (X,)),
        "tiles of the entropy": (qj.entropy, (MANY,)),
        "tiles of its slope": (jax.grad(qj.entropy), (MANY,)),
        "tiles of delta entropies": (qj.delta_entropy, (MANY, MANY)),
        "tiles of masses": (lambda x: structure_masses(x, x, np.arange(MANY.shape[0]) // 99, 51), (MANY,)),
        "descriptor": (partial(quests_descriptor, cutoff=5.0), (vectors[0],)),
        "plain": (partial(descriptor_batches.plain_program, k=K, cutoff=5.0), (jnp.int32(3), vectors)),
        "coverage": (coverage, (dense(), jnp.ones(S))),
        "log mass": (partial(mean_value, measure=LOG_MASS), (dense(), jnp.ones(S))),
        "cap": (certificate.capped_copy, (sparse(),)),
    }
    for name, problem in {"dense": dense(), "sparse": sparse()}.items():
        found[f"{name} begin"] = partial(relaxation.begin, measure=SATURATED), (data(problem), now.w)
        found[f"{name} improve"] = partial(relaxation.improve, measure=SATURATED), (data(problem), best, now)
        found |= {f"{name} {key}": value for key, value in search(problem).items()}
    owner = jnp.asarray(NUMBER)
    found["pairs"] = pairwise._bound, (data(dense()), owner, pairwise.Trial(now.w, now.theta, jnp.ones(S)))
    return found | of_msc()


@pytest.fixture(scope="module")
def compiled() -> dict[str, Program]:
    return programs()


@pytest.mark.parametrize("name", NAMES)
def test_every_program_lowers_for_accelerators(compiled: dict[str, Program], name: str) -> None:
    f, arguments = compiled[name]
    checks = [export.DisabledSafetyCheck.custom_call(call) for call in EIGENVALUES]
    exported = export.export(jax.jit(f), platforms=PLATFORMS, disabled_checks=checks)(*arguments)
    text = exported.mlir_module()
    assert set(re.findall(r"custom_call @([\w.]+)", text)) <= EIGENVALUES
    products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
    assert [line for line in products if "precision = [HIGHEST, HIGHEST]" not in line] == []


def test_all_programs_are_tried(compiled: dict[str, Program]) -> None:
    assert sorted(compiled) == sorted(NAMES)
