"""Rules at equal numbers of atoms: ratios against loops, choices within budgets, one fit of GAP."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import quests_jax as qj
from quests_jax.datasets import bundled

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "potentials"
GAP = "QUESTS_JAX_GAP"  # names the Python of an environment with quippy-ase


@pytest.fixture(scope="module")
def load() -> Iterator:
    """Modules of the experiment, which are forgotten afterwards."""
    if not FOLDER.exists():
        pytest.skip("no experiments beside these tests")
    known = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield importlib.import_module
    sys.path.remove(str(FOLDER))
    for name in set(sys.modules) - known:
        if FOLDER in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
            del sys.modules[name]


def row(data: str, method: str, seed: int, inside: float, *outside: float) -> dict:
    keys = ("force_rmse", "energy_rmse", "force_rmse_tail")
    tests = {"in": dict.fromkeys(keys, inside)}
    tests |= {f"out {i}": dict.fromkeys(keys, value) for i, value in enumerate(outside)}
    return {"data": data, "design": data == "b", "method": method, "seed": seed, "tests": tests}


def test_a_ratio_is_to_the_geometric_mean_of_random_choices(load):
    tables = load("ratio_tables")
    rows = [
        row("a", "random", 0, 1.0, 2.0, 8.0),
        row("a", "random", 1, 4.0, 2.0, 2.0),
        row("a", "msc", 0, 1.0, 1.0, 4.0),
    ]
    inside = tables.ratios(rows, "a", "msc", "force_rmse", True)
    outside = tables.ratios(rows, "a", "msc", "force_rmse", False)
    np.testing.assert_allclose(np.exp(inside), [0.5], rtol=1e-12)  # 1 over √(1 · 4)
    np.testing.assert_allclose(np.exp(outside), [np.sqrt(0.5 * 1.0)], rtol=1e-12)  # 1/2 and 4/√16


def test_each_data_set_counts_once_and_those_of_the_design_apart(load):
    tables = load("ratio_tables")
    rows = [row("a", "random", 0, 1.0), row("b", "random", 0, 1.0), row("c", "random", 0, 1.0)]
    rows += [row("a", "msc", 0, 0.5), row("b", "msc", 0, 3.0), row("c", "msc", 0, 2.0)]
    text = tables.tables(rows)
    first, second = text.split("**Data sets of the design")
    assert "no part in the design: a, c" in first
    assert "| msc | 2 | 1.00 [" in first  # geometric mean of 0.5 and 2
    assert "| msc | 1 | 3.00 |" in second


def test_bandwidths_are_compared_within_a_data_set(load):
    tables = load("ratio_tables")
    rows = [row("a", "random", 0, 1.0), row("b", "random", 0, 1.0)]
    screen = [*rows, row("a", "cover", 0, 2.0), row("b", "cover", 0, 8.0), row("b", "cover", 7, 99.0)]
    other = [row("a", "cover, auto", 0, 1.0), row("b", "cover, auto", 0, 2.0)]
    every = [*tables.at_default(other, screen), *other]
    found = tables.paired(every, ["a", "b"], "cover, auto", "cover", "force_rmse", True)
    np.testing.assert_allclose(np.exp(found), [0.5, 0.25], rtol=1e-12)  # seed 7 has no other bandwidth


def test_an_active_learning_stops_before_the_pool_that_is_covered(load):
    tables = load("active_tables")
    steps = [(0.0, 4, 2.0), (0.5, 8, 1.0), (0.95, 12, 1.0), (1.0, 16, 0.8)]
    rows = [
        {"model": "linear", "method": "msc", "seed": 0, "iteration": number, "covered": covered}
        | {"labels": labels, "force_rmse": error, "energy_rmse": 1.0}
        for number, (covered, labels, error) in enumerate(steps, start=1)
    ]
    assert tables.table(rows).endswith("| 8, 16 | 1.25 | no |")
    assert tables.table(rows[:2]).endswith("| never, 8 | - | - |")


def test_strained_cells_are_compared_within_their_set(load):
    tables = load("dynamics_tables")
    rows = [
        {"data": data, "method": method, "strained": 3, "strained_rmse": value}
        for data, method, value in [("a", "random", 2.0), ("a", "msc", 4.0), ("b", "msc", 1.0)]
    ]
    found = tables.strained_ratios(rows, "msc", "random")
    assert list(found) == ["a"]
    np.testing.assert_allclose(np.exp(found["a"]), 2.0, rtol=1e-12)


def test_choices_keep_to_the_atoms(load):
    selecting = load("selecting")
    envs = qj.environments(qj.read(bundled())[::10])
    for method in ("balanced", "msc", "cover", "k-means", "random"):
        chosen = selecting.within_atoms(envs, method, 0.2, 0)
        assert 0 < envs.counts[chosen].sum() <= 0.2 * envs.counts.sum() + 1e-9


def test_one_command_makes_the_table_from_the_stored_fits(load, capsys):
    assert load("gap").main(["--summary"]) == 0
    text = capsys.readouterr().out
    assert "### 10 % of the atoms" in text
    assert "| balanced |" in text


def test_one_cell_of_the_table_from_scratch(load, shared_data: Path, tmp_path: Path):
    """Methane: read, chosen from, fitted and tested anew; the errors are those that are stored."""
    if GAP not in os.environ:
        pytest.skip(f"{GAP} does not name the Python of an environment with quippy-ase")
    gap, cells = load("gap"), load("cells")
    data = next(data for data in gap.GAP_SETS if data.name == "methane QM22")
    cell = cells.Cell(data, "balanced", gap.SIZE, 0)
    output = tmp_path / "fits.json"
    options = SimpleNamespace(data=shared_data, output=output, only=None, summary=False)
    cells.run_cells([cell], partial(gap.fit_and_test, python=Path(os.environ[GAP])), options, {})
    found, *more = load("ratio_tables").stored_rows(output)
    assert not more
    (stored,) = (row for row in _stored_fits(load) if _choice(row) == _choice(found))
    assert found["tests"]["in"] == pytest.approx(stored["tests"]["in"], rel=0.01)


def _stored_fits(load) -> list[dict]:
    return load("ratio_tables").stored_rows(FOLDER / "gap_results.json")


def _choice(row: dict) -> list:
    """Which fit it is, and how much was chosen."""
    return [row[key] for key in ("data", "method", "size", "seed", "structures", "atoms")]
