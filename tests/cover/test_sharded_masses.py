"""Masses divided over devices do what masses in one place do; forced host devices stand in for real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
import quests_jax as qj
from dataclasses import replace
from jax.sharding import Mesh
from test_masses import COUNTS, N, OPERATIONS, S
from toy_covers import loop_masses, toy, toy_problem, uneven
from quests_jax.cover.masses.sharded import AXIS, divided
from quests_jax.cover.masses import sparse as blocks
from quests_jax.cover.masses import dense_or_sparse as storage
assert jax.device_count() == 5
blocks.CHUNK = 4
everything = loop_masses(toy(0))

def shared(devices, sparse):
    each, parts = -(-S // devices), []
    for first in range(0, each * devices, each):
        own = everything[first : first + each]
        own = np.pad(own, ((0, each - len(own)), (0, 0)))
        stored = own.ravel(), np.tile(np.arange(N), each), np.full(each, N)
        parts.append(blocks.sparse_masses(*stored, N) if sparse else storage.dense_masses(*stored, N))
    return divided(parts, Mesh(np.asarray(jax.devices()[:devices]), (AXIS,)), S)

all_of_them = jax.jit(lambda masses: {name: operation(masses) for name, operation in OPERATIONS.items()})
expected = all_of_them(storage.DenseMasses(jnp.asarray(everything)))
problem = toy_problem(0, **uneven(0))
SOLVERS = qj.greedy_cover, qj.relaxed_cover, qj.cover.exact_cover
alone = [solve(problem, size=3) for solve in SOLVERS]
for sparse in (False, True):
    for devices in (3, 5):  # three hold eight structures and an empty place; five, of which one holds none
        for name, found in all_of_them(shared(devices, sparse)).items():
            np.testing.assert_allclose(found, expected[name], atol=1e-12, err_msg=name)
    spread = replace(problem, masses=shared(3, sparse))
    for solve, one in zip(SOLVERS, alone, strict=True):
        found = solve(spread, size=3)
        np.testing.assert_array_equal(found.selected, one.selected)
        np.testing.assert_allclose(found.coverage, one.coverage, rtol=1e-12)
        if one.upper_bound is not None:
            np.testing.assert_allclose(found.upper_bound, one.upper_bound, rtol=1e-9)
"""


def test_devices_agree_with_one():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=5"
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
