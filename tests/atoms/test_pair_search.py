"""Pairs of atoms: sparse boxes in time, and the first call of several threads."""

from __future__ import annotations

import subprocess
import sys
import time

import ase
import numpy as np
import pytest
from ase.build import bulk, graphene
from hypothesis import given, settings
from hypothesis import strategies as st

from quests_jax.atoms.describe import get_descriptors
from quests_jax.atoms.host_pair_search import Search, is_sparse, sparse_pairs

RADIUS = 4.0


def as_set(pairs: tuple, n: int) -> set[tuple[int, ...]]:
    """Pairs from both of their ends, as integers."""
    index, shift = np.asarray(pairs[0], int).reshape(-1, 2), np.asarray(pairs[1], int).reshape(-1, 3)
    assert len(index) == 0 or index.max() < n
    return {(i, j, *s) for (i, j), s in zip(index.tolist(), shift.tolist(), strict=True)} | {
        (j, i, *(-np.array(s)).tolist()) for (i, j), s in zip(index.tolist(), shift.tolist(), strict=True)
    }


@given(st.integers(0, 10**6))
@settings(max_examples=60)
def test_the_tree_finds_what_vesin_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(2.5, 12, 3)) + rng.uniform(-1, 1, (3, 3))
    n = int(rng.integers(1, 8))
    atoms = ase.Atoms(f"C{n}", rng.normal(scale=8, size=(n, 3)), cell=cell, pbc=rng.integers(0, 2, 3) > 0)
    found = sparse_pairs(atoms, RADIUS)
    assert not is_sparse(atoms, RADIUS)
    assert as_set(found, n) == as_set(Search().pairs(atoms, RADIUS), n)
    np.testing.assert_allclose(np.linalg.norm(found[2], axis=1), found[3])
    i, j = np.asarray(found[0], int).T
    np.testing.assert_allclose(
        found[2], atoms.positions[j] - atoms.positions[i] + found[1] @ atoms.cell.array
    )


@pytest.mark.parametrize("far", [[5e3, 5e3, 0], [1e5, 0, 0], [9e5, 9e5, 9e5]])
def test_a_stray_atom_costs_no_time(far: list[float]) -> None:
    near = ase.Atoms("H2", [[0, 0, 0], [0.8, 0, 0]])
    start = time.perf_counter()
    x = get_descriptors([near + ase.Atoms("H", [far])], k=4)
    assert time.perf_counter() - start < 20  # a compilation; hours, or the end of the process, before
    np.testing.assert_allclose(x[:2], get_descriptors([near], k=4), atol=1e-12)
    assert not x[2].any()


@pytest.mark.parametrize("height", [1e4, 4e5])
def test_a_cell_that_is_nearly_empty_costs_no_time(height: float) -> None:
    sheet, thick = (graphene(vacuum=v) for v in (height, 10.0))
    sheet.pbc = thick.pbc = True
    np.testing.assert_allclose(get_descriptors([sheet], k=4), get_descriptors([thick], k=4), atol=1e-9)
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(np.eye(3) * height)
    alone = ase.Atoms(atoms.numbers, atoms.positions)
    np.testing.assert_allclose(get_descriptors([atoms], k=4), get_descriptors([alone], k=4), atol=1e-9)


RACE = """
import threading
import vesin, vesin._c_lib as library
setup = library.setup_functions
library.setup_functions = lambda dll: (threading.Event().wait(0.3), setup(dll))
from quests_jax.atoms.host_pair_search import Search
import ase
failed = []
threading.excepthook = lambda args: failed.append(args.exc_value)
def search():
    Search().pairs(ase.Atoms("H2", [[0, 0, 0], [0.8, 0, 0]]), 2.0)
threads = [threading.Thread(target=search) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(failed)
"""


@pytest.mark.slow
def test_threads_that_search_first_wait_for_the_library() -> None:
    run = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
