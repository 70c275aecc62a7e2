"""Experiments run from end to end on small data, and all results say how they were made."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from smoke import EXPERIMENTS, run_smoke

RESULTS = sorted(EXPERIMENTS.glob("*/results.json"))
SMOKED = (
    "learning_curves",
    "dimensionality",
    "bandwidth",
    "tm_protocol",
    "outliers",
)  # others have tests of their own
COMMON = {"versions", "device"}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def keys(value: Any) -> Iterator[str]:
    """Every key of every dictionary inside."""
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(name, str):
            yield name
        if isinstance(item, (dict, list)):
            yield from keys(item)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_results_say_how_they_were_made(path: Path) -> None:
    results = read(path)
    assert results.keys() >= COMMON
    assert not results.get("smoke"), "the committed results are those of a smoke run"
    assert {"jax", "jaxlib", "numpy", "ase", "python"} <= results["versions"].keys()
    inside = set(keys(results))
    assert {"bandwidth", "dtype"} <= inside
    assert any("seed" in name for name in inside)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_readmes_say_how_to_repeat_them(path: Path) -> None:
    readme = (path.parent / "README.md").read_text(encoding="utf-8")
    assert f"python experiments/{path.parent.name}/run.py" in readme
    assert f"python experiments/{path.parent.name}/run.py --smoke" in readme
    assert "inute" in readme or "hour" in readme
    assert len((path.parent / "run.py").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("name", SMOKED)
def test_readmes_hold_the_table_of_the_results(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not EXPERIMENTS.exists():
        pytest.skip("no experiments beside these tests")
    results, readme = (
        read(EXPERIMENTS / name / "results.json"),
        (EXPERIMENTS / name / "README.md").read_text("utf-8"),
    )
    monkeypatch.syspath_prepend(EXPERIMENTS / name)
    assert runpy.run_path(str(EXPERIMENTS / name / "run.py"))["text"](results) in readme


@pytest.mark.parametrize("name", SMOKED)
def test_smoke_versions_run(name: str, tmp_path: Path) -> None:
    results, printed, _ = run_smoke(name, tmp_path)
    committed = read(EXPERIMENTS / name / "results.json")
    assert results["smoke"]
    assert results.keys() == committed.keys()
    assert {tuple(row) for row in results["rows"]} <= {tuple(row) for row in committed["rows"]}
    assert (tmp_path / "figure.png").stat().st_size > 0
    assert printed.count("|") > 20


def test_the_study_of_growth_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Path(os.environ["JAX_COMPILATION_CACHE_DIR"]) / "growth"  # what one command traced, others find
    monkeypatch.setenv("QUESTS_JAX_CACHE", str(kept))
    results, printed, _ = run_smoke("scale", tmp_path)
    assert results["smoke"]
    assert {name.split()[0] for name in results["rows"]} == {"estimate", "compress", "exact"}
    for row in results["rows"].values():
        assert row["gigabytes"] > 0
    assert "to the power" in printed
